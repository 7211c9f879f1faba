"""Text in the styles of the type scale."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.tokens import Type, TypeStyle

Tone = Literal["text", "muted", "accent", "danger"]


class Label(QLabel):
    """A label in one style and tone; plain text, whatever characters it holds."""

    def __init__(
        self,
        text: str = "",
        style: TypeStyle = Type.BODY,
        tone: Tone = "text",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFont(font(style))
        self.setMinimumHeight(style.line)
        self.setProperty("tone", tone)

    def set_text(self, text: str) -> None:
        """Sets the text; an equal one costs no layout."""
        if text != self.text():
            self.setText(text)
            self.updateGeometry()

    def set_tone(self, tone: Tone) -> None:
        """Changes the colour role."""
        if tone != self.property("tone"):
            self.setProperty("tone", tone)
            self.style().unpolish(self)
            self.style().polish(self)


def paragraph(text: str = "", style: TypeStyle = Type.BODY, tone: Tone = "muted") -> Label:
    """A label that wraps."""
    label = Label(text, style, tone)
    label.setWordWrap(True)
    return label


class ElidedLabel(Label):
    """One line that gives way: cut with an ellipsis when narrow, then whole in its tool tip."""

    def __init__(
        self,
        text: str = "",
        style: TypeStyle = Type.BODY,
        tone: Tone = "text",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__(text, style, tone)
        self._mode = mode
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        """As wide as the whole text."""
        metrics = QFontMetrics(self.font())
        return QSize(metrics.horizontalAdvance(self.text()) + 1, self.minimumHeight())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Narrow enough for any row."""
        return QSize(0, self.minimumHeight())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws what fits."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        shown = QFontMetrics(self.font()).elidedText(self.text(), self._mode, self.width())
        painter.drawText(self.rect(), int(self.alignment()), shown)
        tip = self.text() if shown != self.text() else ""
        if not self.property("own_tip") and tip != self.toolTip():
            self.setToolTip(tip)

    def set_tip(self, tip: str) -> None:
        """A tool tip of its own, shown whether or not the text is cut."""
        self.setProperty("own_tip", bool(tip))
        self.setToolTip(tip)
