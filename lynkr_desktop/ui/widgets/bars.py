"""Thin bars: a tier's share of the day, and the progress of a download."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QProgressBar, QSizePolicy

from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import TIER_FILLS, Size

_STEPS = 1000


class ThinBar(QProgressBar):
    """A progress bar to screen readers, painted as a thin rounded bar. Values are 0..1.

    With a tier it has that tier's colour and edge, without one the accent.
    """

    def __init__(self, accessible_name: str, tier: Tier | None = None) -> None:
        super().__init__()
        self._tier = tier
        self.setRange(0, _STEPS)
        self.setTextVisible(False)
        self.setAccessibleName(accessible_name)
        self.setFixedHeight(Size.SHARE_BAR)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_part(self, part: float) -> None:
        """Shows a part of 0..1."""
        value = round(min(1.0, max(0.0, part)) * _STEPS)
        if value != self.value():
            self.setValue(value)

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as its column."""
        return QSize(Size.SHARE_BAR * 4, Size.SHARE_BAR)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """May become narrow."""
        return QSize(Size.SHARE_BAR * 4, Size.SHARE_BAR)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws the track and the filled part; what is more than nothing is always visible."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        radius = self.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.colors.track))
        painter.drawRoundedRect(QRectF(self.rect()), radius, radius)
        part = max(0, self.value()) / _STEPS
        if part <= 0:
            return
        filled = QRectF(0, 0, max(Size.SHARE_BAR / 2, self.width() * part), self.height())
        if self._tier is None:
            painter.setBrush(QColor(theme.colors.accent))
            painter.drawRoundedRect(filled, radius, radius)
            return
        inset = Size.HAIRLINE / 2
        painter.setBrush(QColor(TIER_FILLS[self._tier]))
        painter.setPen(QPen(QColor(theme.colors.tier_edges[self._tier]), Size.HAIRLINE))
        corner = min(radius, filled.width() / 2) - inset
        painter.drawRoundedRect(filled.adjusted(inset, inset, -inset, -inset), corner, corner)
