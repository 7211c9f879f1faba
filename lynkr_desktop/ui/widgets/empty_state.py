"""An empty place: one sentence about what will stand here, and the one button that makes it so."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from lynkr_desktop.ui.theme.tokens import Size, Space
from lynkr_desktop.ui.widgets.buttons import button
from lynkr_desktop.ui.widgets.icons import IconLabel
from lynkr_desktop.ui.widgets.labels import paragraph


class EmptyState(QWidget):
    """Centred in whatever room there is.

    Signals:
        clicked: the button was pressed.
    """

    clicked = Signal()

    def __init__(self, icon: str, sentence: str, act: str, *, primary: bool = False) -> None:
        super().__init__()
        self._sentence = paragraph()
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._sentence.setFixedWidth(Size.EMPTY_TEXT)
        self._button = button(act, self.clicked.emit, primary=primary)
        centre = Qt.AlignmentFlag.AlignHCenter
        column = QVBoxLayout(self)
        column.setSpacing(0)
        column.addStretch(1)
        column.addWidget(IconLabel(icon, "control", Size.EMPTY_ICON), 0, centre)
        column.addSpacing(Space.M)
        column.addWidget(self._sentence, 0, centre)
        column.addSpacing(Space.M)
        column.addWidget(self._button, 0, centre)
        column.addStretch(1)
        self.set_sentence(sentence)

    def set_sentence(self, sentence: str) -> None:
        """Says something else."""
        self._sentence.set_text(sentence)
        # A centred label is not asked how high it gets in its width.
        self._sentence.setMinimumHeight(max(0, self._sentence.heightForWidth(Size.EMPTY_TEXT)))

    def set_act(self, text: str) -> None:
        """Says what the button does."""
        self._button.set_text(text)

    def set_button_visible(self, visible: bool) -> None:
        """Hides the button while there is nothing to press it for."""
        self._button.setVisible(visible)
