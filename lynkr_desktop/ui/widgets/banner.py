"""A message across the page: what happened, what it means, what to do, with its buttons."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout

from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.buttons import button
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.icons import IconLabel
from lynkr_desktop.ui.widgets.labels import Label, paragraph


class Banner(Card):
    """Shown only while it has something to say."""

    def __init__(self, icon: str, role: str) -> None:
        super().__init__()
        self._details = ""
        self._title = Label("", Type.HEAVY)
        self._text = paragraph()
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Icon, title and buttons share one line; the text runs on below the title.
        self._title.setMinimumHeight(Size.DENSE)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self._title)
        words.addWidget(self._text)
        words.addStretch(1)
        mark = QVBoxLayout()
        mark.addSpacing((Size.DENSE - Size.ICON) // 2)
        mark.addWidget(IconLabel(icon, role, Size.ICON))
        mark.addStretch(1)
        self._copy = button(self.tr("Copy &details"), self._copy_details, dense=True)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(Space.S)
        self._buttons.addWidget(self._copy)
        row = QHBoxLayout(self)
        row.setContentsMargins(Space.L, Space.S, Space.M, Space.S)
        row.setSpacing(Space.M)
        row.addLayout(mark)
        row.addLayout(words, 1)
        row.addLayout(self._buttons)
        row.setAlignment(self._buttons, Qt.AlignmentFlag.AlignTop)
        self.setVisible(False)

    def add_button(self, act: QPushButton) -> None:
        """Adds a button right of those before it."""
        self._buttons.addWidget(act)

    def say(self, title: str, text: str, details: str = "") -> None:
        """Shows a message. Without details there is nothing to copy."""
        self._title.set_text(title)
        self._text.set_text(text)
        self._text.setVisible(bool(text))
        self._details = details
        self._copy.setVisible(bool(details))
        self.setAccessibleName(f"{title}. {text}")
        self.setVisible(True)

    def _copy_details(self) -> None:
        QGuiApplication.clipboard().setText(
            "\n".join(part for part in (self._title.text(), self._text.text(), self._details) if part)
        )
