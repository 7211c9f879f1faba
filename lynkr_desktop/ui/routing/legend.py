"""What shades and outlines of the treemap stand for."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from lynkr_desktop.ui.routing.code_tree import EMPTY_TREE, CodeTree, Scale
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space, Type


class Legend(QWidget):
    """Complexity from the least to the most, then blast radius; the tool tip reads each step."""

    def __init__(self) -> None:
        super().__init__()
        self._code = EMPTY_TREE
        self._steps: list[tuple[QRectF, str]] = []
        self.setFixedHeight(Type.CAPTION.line)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_scales(self, code: CodeTree) -> None:
        """Explains the scales of a tree."""
        self._code = code
        self.setAccessibleName(
            self.tr(
                "Legend. Area: lines. Shade: complexity of the worst function, {shades}. "
                "Outline: blast radius in files, {outlines}"
            ).format(shades=_all(code.complexity), outlines=_all(code.blast))
        )
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as its card."""
        return QSize(Size.MAP, Type.CAPTION.line)

    def event(self, event: QEvent) -> bool:
        """The tool tip of the step under the mouse."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            here = QPointF(event.pos())
            words = next((words for rect, words in self._steps if rect.contains(here)), "")
            QToolTip.showText(event.globalPos(), words, self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws both scales; the second stands at the right."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font(Type.CAPTION))
        self._steps = []
        metrics = QFontMetrics(painter.font())
        most = f"{max(self._code.complexity.most, self._code.complexity.starts[0])}"
        left = self._words(painter, metrics, 0, self.tr("Complexity 1"))
        left = self._shades(painter, left + Space.S)
        self._words(painter, metrics, left + Space.S, most)
        title = self.tr("Blast radius")
        outlines = len(self._code.blast.starts) * (Size.LEGEND[0] + Space.S) - Space.S
        right = self.width() - outlines
        self._words(painter, metrics, right - Space.S - metrics.horizontalAdvance(title), title)
        self._outlines(painter, right)

    def _words(self, painter: QPainter, metrics: QFontMetrics, left: float, words: str) -> float:
        painter.setPen(QColor(theme.colors.muted))
        width = metrics.horizontalAdvance(words)
        painter.drawText(QRectF(left, 0, width + 1, self.height()), int(Qt.AlignmentFlag.AlignVCenter), words)
        return left + width

    def _shades(self, painter: QPainter, left: float) -> float:
        width, height = Size.LEGEND
        top = (self.height() - height) / 2
        for step, color in enumerate(theme.colors.ramp):
            rect = QRectF(left, top, width, height)
            painter.fillRect(rect, QColor(color))
            self._steps.append(
                (rect, self.tr("Complexity {range}").format(range=self._code.complexity.words(step)))
            )
            left += width
        frame = QRectF(left - width * len(theme.colors.ramp), top, width * len(theme.colors.ramp), height)
        half = Size.HAIRLINE / 2
        painter.setPen(QPen(QColor(theme.colors.control), Size.HAIRLINE))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(frame.adjusted(half, half, -half, -half))
        return left

    def _outlines(self, painter: QPainter, left: float) -> None:
        width, height = Size.LEGEND
        top = (self.height() - height) / 2
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for step in range(len(self._code.blast.starts)):
            rect = QRectF(left, top, width, height)
            pen = Size.MAP_OUTLINES[step + 1]
            painter.setPen(QPen(QColor(theme.colors.text), pen))
            painter.drawRoundedRect(
                rect.adjusted(pen / 2, pen / 2, -pen / 2, -pen / 2), Size.FOCUS, Size.FOCUS
            )
            words = self.tr("{range} files depend on it").format(range=self._code.blast.words(step))
            self._steps.append((rect, words))
            left += width + Space.S


def _all(scale: Scale) -> str:
    return ", ".join(scale.words(step) for step in range(len(scale.starts)))
