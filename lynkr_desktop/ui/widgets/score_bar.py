"""A score as a bar in its tier's colour, cut where one tier ends and the next begins."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import TIER_FILLS, Size, Type

CORNER = Size.FOCUS


def draw_score(
    painter: QPainter, rect: QRectF, score: float, tier: Tier | None, cuts: Sequence[float], ground: str
) -> None:
    """Draws the bar.

    Args:
        rect: where; it is `Size.SCORE_BAR` high.
        cuts: the thresholds in 0..1; those at the ends are not drawn.
        ground: the colour that the cuts let through.
    """
    colors = theme.colors
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colors.track))
    painter.drawRoundedRect(rect, CORNER, CORNER)
    part = min(1.0, max(0.0, score))
    if part > 0:
        filled = QRectF(rect.left(), rect.top(), max(Size.SCORE_BAR / 2, rect.width() * part), rect.height())
        inset = Size.HAIRLINE / 2
        edge = colors.tier_edges[tier] if tier is not None else colors.control
        painter.setPen(QPen(QColor(edge), Size.HAIRLINE))
        painter.setBrush(QColor(TIER_FILLS[tier] if tier is not None else colors.control))
        painter.drawRoundedRect(filled.adjusted(inset, inset, -inset, -inset), CORNER, CORNER)
    for cut in cuts:
        if 0 < cut < 1:
            x = rect.left() + round(rect.width() * cut) - Size.SCORE_CUT / 2
            painter.fillRect(QRectF(x, rect.top(), Size.SCORE_CUT, rect.height()), QColor(ground))


class ScoreBar(QWidget):
    """The bar over its thresholds."""

    def __init__(self) -> None:
        super().__init__()
        self._score = 0.0
        self._tier: Tier | None = None
        self._cuts: tuple[float, ...] = ()
        self.setFixedHeight(Size.SCORE_BAR + Size.SCORE_LEGEND)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_score(self, score: float, tier: Tier | None, cuts: Sequence[float], words: str) -> None:
        """Shows a score; `words` say the same to a screen reader."""
        self._score, self._tier, self._cuts = score, tier, tuple(cuts)
        self.setAccessibleName(words)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as its card."""
        return QSize(Size.MAP, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws bar and thresholds; a threshold whose figure would touch the one before it has none."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = QRectF(0, 0, self.width(), Size.SCORE_BAR)
        draw_score(painter, rect, self._score, self._tier, self._cuts, theme.colors.surface)
        painter.setFont(font(Type.CAPTION))
        painter.setPen(QColor(theme.colors.muted))
        metrics = QFontMetrics(painter.font())
        free = 0.0
        for cut in self._cuts:
            words = f"{cut:.2f}"
            width = metrics.horizontalAdvance(words)
            left = self.width() * cut - width / 2
            if 0 < cut < 1 and left >= free and left + width <= self.width():
                painter.drawText(
                    QRectF(left, Size.SCORE_BAR, width + 1, Size.SCORE_LEGEND),
                    int(Qt.AlignmentFlag.AlignCenter),
                    words,
                )
                free = left + width + Size.SCORE_BAR
