"""Models that run inside Lynkr: what they are, and whether they are on this computer."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QMessageBox, QSizePolicy, QVBoxLayout, QWidget

from lynkr_desktop.protocol.control import LocalModel
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.bars import ThinBar
from lynkr_desktop.ui.widgets.buttons import button
from lynkr_desktop.ui.widgets.card import Card, Line
from lynkr_desktop.ui.widgets.icons import IconLabel
from lynkr_desktop.ui.widgets.labels import ElidedLabel, Label, paragraph


class ModelsCard(Card):
    """A row per local model."""

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model, self._actions = model, actions
        self._rows: dict[str, ModelRow] = {}
        head = Label(self.tr("Local models"), Type.SECTION)
        head.setFixedHeight(Size.CARD_HEAD)
        head.setContentsMargins(Space.L, 0, Space.L, 0)
        self._empty = paragraph(self.tr("No model runs inside Lynkr. Install its embedded extra to get one."))
        self._empty.setContentsMargins(Space.L, 0, Space.L, Space.M)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(head)
        self._column.addWidget(self._empty)
        self._column.addStretch(1)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows the models as they stand."""
        status = self._model.status
        models = () if status is None else status.models
        if [model.id for model in models] != list(self._rows):
            self._rebuild(models)
        for model in models:
            self._rows[model.id].show_model(model, serving=self._model.serving)
        self._empty.setVisible(not models)

    def _rebuild(self, models: tuple[LocalModel, ...]) -> None:
        for row in self._rows.values():
            self._column.removeWidget(row)
            row.deleteLater()
        self._rows = {model.id: ModelRow(model.id, self._actions) for model in models}
        for row in self._rows.values():
            self._column.insertWidget(self._column.count() - 1, row)


class ModelRow(QWidget):
    """One model, its state, and the one thing to do about it."""

    def __init__(self, model_id: str, actions: Actions) -> None:
        super().__init__()
        self._id, self._actions = model_id, actions
        self._shown: LocalModel | None = None
        self._title = ElidedLabel("", Type.STRONG)
        self._state_icon = IconLabel(size=Size.MARK)
        self._state = Label("", Type.CAPTION, "muted")
        self._facts = paragraph("", Type.CAPTION)
        self._bar = ThinBar(self.tr("Download"))
        self._left = Label("", Type.CAPTION, "muted")
        self._error = paragraph("", Type.CAPTION, "danger")
        self._act = button("", self._press, dense=True)
        self._act.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        state = QHBoxLayout()
        state.setSpacing(Space.S - 2)
        state.addWidget(self._state_icon)
        state.addWidget(self._state, 1)
        state.addWidget(self._act)
        column = QVBoxLayout()
        column.setContentsMargins(Space.L, Space.S, Space.L, Space.M)
        column.setSpacing(Space.XS)
        column.addWidget(self._title)
        column.addLayout(state)
        column.addWidget(self._bar)
        column.addWidget(self._left)
        column.addWidget(self._error)
        column.addWidget(self._facts)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(Line())
        whole.addLayout(column)

    def show_model(self, model: LocalModel, *, serving: bool) -> None:
        """Shows the model's state."""
        self._act.setEnabled(serving)
        if model == self._shown:
            return
        self._shown = model
        self._title.set_text(model.title)
        facts = (model.licence, fmt.size(model.size), model.publisher)
        self._facts.set_text(", ".join(part for part in facts if part))
        word, icon, role = self._state_words(model)
        self._state.set_text(word)
        self._state_icon.show_icon(icon, role)
        self._state_icon.setVisible(bool(icon))
        downloading = model.state == "downloading"
        self._bar.setVisible(downloading)
        self._left.setVisible(downloading)
        self._bar.set_part(model.received / model.size if model.size else 0.0)
        self._left.set_text(self._progress(model))
        self._error.set_text(model.error)
        self._error.setVisible(bool(model.error))
        self._act.set_text(self._act_word(model))
        self._act.setAccessibleName(f"{self._act_word(model)} {model.title}")

    def _state_words(self, model: LocalModel) -> tuple[str, str, str]:
        return {
            "absent": (self.tr("Not on this computer"), "", "muted"),
            "downloading": (self.tr("Downloading"), "download", "muted"),
            "installed": (self.tr("On this computer"), "check", "ok"),
            "loading": (self.tr("Loading"), "more", "muted"),
            "loaded": (self.tr("Loaded"), "state-running", "ok"),
            "failed": (self.tr("Failed"), "state-problem", "risk"),
        }[model.state]

    def _act_word(self, model: LocalModel) -> str:
        if model.state == "downloading":
            return self.tr("Stop")
        if model.state in ("absent", "failed"):
            return self.tr("Resume") if model.received else self.tr("Download")
        return self.tr("Remove")

    def _progress(self, model: LocalModel) -> str:
        parts = [
            self.tr("{part} of {whole}").format(part=fmt.size(model.received), whole=fmt.size(model.size))
        ]
        if model.bytes_per_s > 0:
            parts.append(f"{fmt.size(model.bytes_per_s)}/s")
            left = fmt.duration((model.size - model.received) / model.bytes_per_s)
            parts.append(self.tr("{time} left").format(time=left))
        return ", ".join(parts)

    def _press(self) -> None:
        model = self._shown
        if model is None:
            return
        if model.state == "downloading":
            self._actions.cancel_pull(self._id)
        elif model.state in ("absent", "failed"):
            self._actions.pull_model(self._id)
        else:
            self._ask_to_remove(model)

    def _ask_to_remove(self, model: LocalModel) -> None:
        box = QMessageBox(self.window())
        box.setWindowTitle(self.tr("Remove {model}").format(model=model.title))
        box.setText(self.tr("Remove {model} from this computer?").format(model=model.title))
        box.setInformativeText(
            self.tr("This frees {size}. You can download it again at any time.").format(
                size=fmt.size(model.size)
            )
        )
        keep = box.addButton(self.tr("&Keep"), QMessageBox.ButtonRole.RejectRole)
        remove = box.addButton(self.tr("&Remove"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        remove.clicked.connect(lambda: self._actions.remove_model(self._id))
        box.open()
