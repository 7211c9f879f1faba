"""A switch: a check box to keyboards and screen readers, painted as a track with a knob."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QCheckBox

from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size
from lynkr_desktop.ui.widgets.icons import draw_focus


class Switch(QCheckBox):
    """On to the right and filled, off to the left and outlined: readable without colour.

    Attributes:
        RING: room for the focus ring round the track; `WIDTH` is that of both.
    """

    RING = Size.FOCUS + 1
    WIDTH = Size.SWITCH[0] + 2 * RING

    def __init__(self, accessible_name: str) -> None:
        super().__init__()
        self.setAccessibleName(accessible_name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFixedSize(self.sizeHint())

    def sizeHint(self) -> QSize:  # noqa: N802
        """Track and focus ring."""
        return QSize(self.WIDTH, Size.SWITCH[1] + 2 * self.RING)

    def hitButton(self, pos: QPoint) -> bool:  # noqa: N802
        """All of it can be clicked."""
        return self.rect().contains(pos)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws the track, the knob and the focus ring."""
        colors = theme.colors
        width, height = Size.SWITCH
        track = QRectF(self.RING, self.RING, width, height)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.isEnabled():
            painter.setOpacity(0.5)
        on = self.isChecked()
        inset = Size.HAIRLINE / 2
        if on:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.accent))
            painter.drawRoundedRect(track, height / 2, height / 2)
        else:
            painter.setPen(QPen(QColor(colors.control), Size.HAIRLINE))
            painter.setBrush(QColor(colors.surface))
            painter.drawRoundedRect(track.adjusted(inset, inset, -inset, -inset), height / 2, height / 2)
        margin = (height - Size.SWITCH_KNOB) / 2
        left = track.right() - margin - Size.SWITCH_KNOB if on else track.left() + margin
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colors.on_accent if on else colors.control))
        painter.drawEllipse(QRectF(left, track.top() + margin, Size.SWITCH_KNOB, Size.SWITCH_KNOB))
        if self.hasFocus():
            draw_focus(painter, QRectF(self.rect()), height / 2 + self.RING)
