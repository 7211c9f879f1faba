"""The addresses and the token that agents need, each with a button that copies it."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.theme.tokens import Motion, Size, Space, Type
from lynkr_desktop.ui.widgets.card import Card, Line
from lynkr_desktop.ui.widgets.icons import IconButton
from lynkr_desktop.ui.widgets.labels import ElidedLabel, Label


class CopyField(QWidget):
    """A value under its name, and a button that copies it. What is shown may be masked."""

    def __init__(self, name: str, copy_name: str) -> None:
        super().__init__()
        self._value = ""
        self._copy_name = copy_name
        self._shown = ElidedLabel("", Type.MONO, mode=Qt.TextElideMode.ElideMiddle)
        # Room is given by the length of what the fields hold.
        self._shown.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._shown.setAccessibleName(name)
        self._button = IconButton("copy", copy_name)
        self._button.clicked.connect(self._copy)
        self._done = QTimer(self)
        self._done.setSingleShot(True)
        self._done.setInterval(Motion.COPIED)
        self._done.timeout.connect(self._restore)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addStretch(1)
        words.addWidget(Label(name, Type.CAPTION, "muted"))
        words.addWidget(self._shown)
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(Space.L, 0, Space.XS, 0)
        row.setSpacing(Space.XS)
        row.addLayout(words, 1)
        row.addWidget(self._button)

    def set_value(self, value: str, shown: str | None = None) -> None:
        """Sets what is copied, and what is shown where that differs."""
        self._value = value
        self._shown.set_text(value if shown is None else shown)
        self._button.setEnabled(bool(value))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._value)
        self._button.set_icon("check")
        self._button.set_name(self.tr("Copied"))
        self._done.start()

    def _restore(self) -> None:
        self._button.set_icon("copy")
        self._button.set_name(self._copy_name)


class EndpointStrip(Card):
    """OpenAI address, Anthropic address, token."""

    def __init__(self, model: EngineModel) -> None:
        super().__init__()
        self._model = model
        self._openai = CopyField(self.tr("OpenAI"), self.tr("Copy the OpenAI URL"))
        self._anthropic = CopyField(self.tr("Anthropic"), self.tr("Copy the Anthropic URL"))
        self._token = CopyField(self.tr("Token"), self.tr("Copy the token"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        for field in (self._openai, self._anthropic, self._token):
            if row.count():
                row.addWidget(Line(Qt.Orientation.Vertical))
            row.addWidget(field)
        self.setFixedHeight(Size.ENDPOINT_ROW)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows the addresses of the engine that runs."""
        status = self._model.status
        self._openai.set_value(status.openai_url if status else "")
        self._anthropic.set_value(status.anthropic_url if status else "")
        self._token.set_value(self._model.token, fmt.masked(self._model.token))
