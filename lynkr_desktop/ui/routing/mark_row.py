"""The row in which a person says how a decision was, and takes it back."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from lynkr_desktop.protocol.routing import Mark, Verdict
from lynkr_desktop.ui.routing import decision_words as words
from lynkr_desktop.ui.theme.tokens import Size, Space, Type
from lynkr_desktop.ui.widgets.buttons import Button, button
from lynkr_desktop.ui.widgets.labels import ElidedLabel

_MARKS: tuple[Mark, ...] = ("good", "under", "over")


class MarkRow(QWidget):
    """Good, Too weak, Too strong, Clear; beneath, after a mark, what was done and Undo.

    Signals:
        picked: the id of the decision and the mark.
    """

    picked = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._id = ""
        self._mark: Verdict = ""
        self._before: tuple[str, Verdict] | None = None
        self._buttons: dict[Mark, Button] = {
            "good": self._button(self.tr("&Good"), "good", self.tr("The tier was right")),
            "under": self._button(self.tr("Too &weak"), "under", self.tr("The tier was too weak")),
            "over": self._button(self.tr("Too s&trong"), "over", self.tr("The tier was too strong")),
        }
        self._clear = button(self.tr("Cl&ear"), lambda: self._pick("none"), dense=True)
        self._done = ElidedLabel("", Type.CAPTION, "muted")
        self._undo = button(self.tr("U&ndo"), self._take_back, dense=True)
        self._told = QWidget()
        told = QHBoxLayout(self._told)
        told.setContentsMargins(0, 0, 0, 0)
        told.setSpacing(Space.S)
        told.addWidget(self._done, 1)
        told.addWidget(self._undo)
        row = QHBoxLayout()
        row.setSpacing(Space.XS)
        for mark in _MARKS:
            row.addWidget(self._buttons[mark])
        row.addWidget(self._clear)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Space.XS)
        column.addLayout(row)
        column.addWidget(self._told)
        self._told.setFixedHeight(Size.DENSE)
        self._told.setVisible(False)

    def _button(self, text: str, mark: Mark, tip: str) -> Button:
        result = button(text, lambda: self._pick(mark), dense=True)
        result.setCheckable(True)
        result.setToolTip(tip)
        return result

    def show_mark(self, decision_id: str, mark: Verdict) -> None:
        """Shows the mark of a decision; the buttons say what is recorded, not what was pressed."""
        if decision_id != self._id:
            self._before = None
        self._id, self._mark = decision_id, mark
        for name, item in self._buttons.items():
            item.setChecked(name == mark)
        self._clear.setEnabled(bool(mark))
        before = self._before
        changed = before is not None and before[1] != mark
        self._told.setVisible(changed)
        if changed:
            self._done.set_text(
                self.tr("Marked: {mark}.").format(mark=words.verdict(mark))
                if mark
                else self.tr("The mark was taken back.")
            )

    def _pick(self, mark: Mark) -> None:
        self._before = (self._id, self._mark)
        # Qt has toggled the button already: what it shows is the record's to say.
        for name, item in self._buttons.items():
            item.setChecked(name == self._mark)
        wanted = "none" if mark == self._mark else mark
        self.picked.emit(self._id, wanted)

    def _take_back(self) -> None:
        if self._before is not None:
            decision_id, mark = self._before
            self._before = None
            self.picked.emit(decision_id, mark or "none")
