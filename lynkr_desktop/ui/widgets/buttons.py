"""Push buttons, and a drop-down list that shows its arrow."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QPushButton

from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import Size, Space


class Button(QPushButton):
    """A push button. The mnemonic of its text works without being underlined."""

    def __init__(self, text: str, *, dense: bool = False, primary: bool = False) -> None:
        super().__init__()
        self.setProperty("dense", dense)
        self.setProperty("primary", primary)
        self.setAutoDefault(False)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Sets the text; `&` marks the letter that presses the button together with Alt."""
        plain = text.replace("&", "")
        if plain != self.text():
            self.setText(plain)
            self.setShortcut(QKeySequence.mnemonic(text))


def button(text: str, act: Callable[[], object], *, dense: bool = False, primary: bool = False) -> Button:
    """A push button that does one thing."""
    result = Button(text, dense=dense, primary=primary)
    result.clicked.connect(lambda: act())
    return result


class Choice(QComboBox):
    """A drop-down list; the stylesheet takes Qt's own arrow away."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        """Draws the list's face and the arrow over it."""
        super().paintEvent(event)
        image = icons.pixmap("chevron-down", theme.colors.muted, Size.ICON_SMALL, self.devicePixelRatioF())
        side = Size.ICON_SMALL
        left, top = self.width() - side - Space.S, (self.height() - side) / 2
        QPainter(self).drawPixmap(QRectF(left, top, side, side), image, QRectF(image.rect()))
