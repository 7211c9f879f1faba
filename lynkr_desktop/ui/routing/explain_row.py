"""Asks what would be decided for a prompt, without sending it to a model."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QSizePolicy, QVBoxLayout, QWidget

from lynkr_desktop.protocol.routing import ExplainRequest
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.routing.workspace_choice import WorkspaceChoice
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.buttons import Button, button
from lynkr_desktop.ui.widgets.labels import Label, paragraph
from lynkr_desktop.ui.widgets.switch import Switch


class PromptEdit(QPlainTextEdit):
    """As high as its text, up to some lines. Enter asks, Shift+Enter begins a line.

    Signals:
        submitted: Enter was pressed.
    """

    submitted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFont(font(Type.BODY))
        self.setTabChangesFocus(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        line = QFontMetrics(self.font()).lineSpacing()
        self.document().setDocumentMargin((Size.CONTROL - line) / 2 - Size.HAIRLINE)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Enter asks, unless Shift is held."""
        shifted = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not shifted:
            self.submitted.emit()
        else:
            super().keyPressEvent(event)

    def sizeHint(self) -> QSize:  # noqa: N802
        """One line, as wide as there is room."""
        return QSize(Size.MAP, Size.CONTROL)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """May become narrow."""
        return QSize(Size.MAP // 2, Size.CONTROL)

    def _fit(self) -> None:
        # The layout of a plain text edit counts its size in lines.
        lines = min(Size.PROMPT_LINES, max(1, round(self.document().size().height())))
        line = QFontMetrics(self.font()).lineSpacing()
        one = lines == 1
        self.setFixedHeight(Size.CONTROL + (lines - 1) * line)
        off, needed = Qt.ScrollBarPolicy.ScrollBarAlwaysOff, Qt.ScrollBarPolicy.ScrollBarAsNeeded
        self.setVerticalScrollBarPolicy(off if one else needed)


class ExplainRow(QWidget):
    """The question.

    Signals:
        asked: the `ExplainRequest` that a person wants to be answered.
    """

    asked = Signal(object)

    def __init__(self, model: EngineModel) -> None:
        super().__init__()
        self._model, self._routing = model, model.routing
        self._prompt = PromptEdit()
        self._prompt.setPlaceholderText(self.tr("Type a prompt, see its tier"))
        self._prompt.setAccessibleName(self.tr("Prompt to explain"))
        self._prompt.submitted.connect(self._ask)
        self._prompt.textChanged.connect(self._refresh)
        self.workspace = WorkspaceChoice(self.tr("Workspace of the prompt"), self.tr("Default workspace"))
        self._tools = Switch(self.tr("With tools, as agents ask"))
        self._tools.setToolTip(self._tools.accessibleName())
        self._button: Button = button(self.tr("E&xplain"), self._ask)
        self._failure = paragraph("", tone="danger")
        self._failure.setVisible(False)
        row = QHBoxLayout()
        row.setSpacing(Space.S)
        top = Qt.AlignmentFlag.AlignTop
        row.addWidget(self._prompt, 1, top)
        row.addWidget(self.workspace, 0, top)
        tools = QHBoxLayout()
        tools.setSpacing(Space.XS)
        tools.addWidget(Label(self.tr("Tools"), tone="muted"))
        tools.addWidget(self._tools)
        holder = QVBoxLayout()
        holder.addSpacing((Size.CONTROL - self._tools.height()) // 2)
        holder.addLayout(tools)
        holder.addStretch(1)
        row.addLayout(holder)
        row.addWidget(self._button, 0, top)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Space.XS)
        column.addLayout(row)
        column.addWidget(self._failure)
        self.workspace.setProperty("dense", False)
        model.changed.connect(self._refresh)
        self._routing.explanation_changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        routing = self._routing
        status = self._model.status
        self.workspace.set_roots([index.root for index in status.workspaces] if status else [])
        ready = self._model.serving and not routing.explaining and bool(self._prompt.toPlainText().strip())
        self._button.setEnabled(ready)
        self._button.set_text(self.tr("Explaining") if routing.explaining else self.tr("E&xplain"))
        self._failure.set_text(routing.explain_failure)
        self._failure.setVisible(bool(routing.explain_failure))

    def _ask(self) -> None:
        if self._button.isEnabled():
            self.asked.emit(
                ExplainRequest(
                    prompt=self._prompt.toPlainText(),
                    workspace=self.workspace.current,
                    tools=self._tools.isChecked(),
                )
            )
