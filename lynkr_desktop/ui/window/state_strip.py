"""What is out of the ordinary while all is well: the profile in force, and code that is being indexed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from lynkr_desktop.protocol.control import ProfileStatus
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.routing.decision_words import indexing, indexing_part
from lynkr_desktop.ui.theme.tokens import Column, Size, Space, Type
from lynkr_desktop.ui.widgets.bars import ThinBar
from lynkr_desktop.ui.widgets.card import Card
from lynkr_desktop.ui.widgets.icons import IconLabel
from lynkr_desktop.ui.widgets.labels import ElidedLabel, Label


class StateStrip(Card):
    """One line; hidden while everything is as usual."""

    def __init__(self, model: EngineModel) -> None:
        super().__init__()
        self._model = model
        self._shield = IconLabel("approvals", "ok", Size.ICON_SMALL)
        self._profile = Label("", Type.STRONG)
        self._meaning = ElidedLabel("", tone="muted")
        self._indexing = ElidedLabel("", Type.CAPTION, "muted")
        self._indexing.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._progress = ThinBar(self.tr("Progress of the index"))
        self._progress.setFixedWidth(Column.SHARE)
        row = QHBoxLayout(self)
        row.setContentsMargins(Space.L, 0, Space.L, 0)
        row.setSpacing(Space.S)
        row.addWidget(self._shield)
        row.addWidget(self._profile)
        row.addWidget(self._meaning, 1)
        row.addWidget(self._indexing, 1)
        row.addWidget(self._progress)
        self.setFixedHeight(Size.TABLE_ROW)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Shows what holds now."""
        status = self._model.status
        profile = ProfileStatus(name="default") if status is None else status.profile
        special = profile.name != "default" or profile.local_only
        self._shield.show_icon(*(("approvals", "ok") if profile.local_only else ("settings", "muted")))
        self._profile.set_text(self.tr("Profile {name}").format(name=profile.name))
        self._meaning.set_text(self.tr("Nothing leaves this machine.") if profile.local_only else "")
        for part in self._special:
            part.setVisible(special)
        workspaces = () if status is None else status.workspaces
        words = indexing(workspaces)
        self._indexing.set_text(words)
        self._progress.set_part(indexing_part(workspaces))
        for part in self._busy:
            part.setVisible(bool(words))
        # Alone in the line, it begins at the left like everything else.
        side = Qt.AlignmentFlag.AlignRight if special else Qt.AlignmentFlag.AlignLeft
        self._indexing.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        self.setVisible(special or bool(words))

    @property
    def _special(self) -> tuple[QWidget, ...]:
        return self._shield, self._profile, self._meaning

    @property
    def _busy(self) -> tuple[QWidget, ...]:
        return self._indexing, self._progress
