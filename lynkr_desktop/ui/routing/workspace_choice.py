"""A list of workspaces to choose from, and any other folder."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QFileDialog

from lynkr_desktop.ui.routing.decision_words import workspace_name
from lynkr_desktop.ui.theme.tokens import Column
from lynkr_desktop.ui.widgets.buttons import Choice

_OTHER = "\0other"


class WorkspaceChoice(Choice):
    """Shows names; the whole path is in the tool tip.

    Args:
        none: what an entry for no workspace at all says; empty for no such entry.

    Signals:
        picked: a person chose the workspace at this absolute path.
    """

    picked = Signal(str)

    def __init__(self, accessible_name: str, none: str = "") -> None:
        super().__init__()
        self._none = none
        self._roots: list[str] = []
        self._current = ""
        self.setProperty("dense", True)
        self.setAccessibleName(accessible_name)
        self.setFixedWidth(Column.CHOICE)
        self.setSizeAdjustPolicy(Choice.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.activated.connect(self._activated)
        self._fill()

    @property
    def current(self) -> str:
        """The path that is chosen, empty for none."""
        return self._current

    def set_roots(self, roots: Sequence[str]) -> None:
        """Offers these; one that a person added stays."""
        wanted = list(dict.fromkeys([*roots, *filter(None, [self._current])]))
        if wanted != self._roots:
            self._roots = wanted
            self._fill()

    def set_current(self, root: str) -> None:
        """Shows a workspace as the chosen one."""
        if root != self._current:
            self._current = root
            if root and root not in self._roots:
                self._roots.append(root)
            self._fill()

    def ask(self) -> None:
        """Asks for a folder."""
        dialog = QFileDialog(self.window(), self.tr("Choose the folder of a project"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._pick)
        dialog.open()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Leaves the wheel to the page: who scrolls past must not choose another workspace."""
        event.ignore()

    def _fill(self) -> None:
        self.clear()
        if self._none or not self._roots:
            self.addItem(self._none or self.tr("No workspace"), "")
        for root in self._roots:
            self.addItem(workspace_name(root), root)
            self.setItemData(self.count() - 1, root, Qt.ItemDataRole.ToolTipRole)
        self.insertSeparator(self.count())
        self.addItem(self.tr("Other folder…"), _OTHER)
        self.setCurrentIndex(max(0, self.findData(self._current)))
        self.setToolTip(self._current)

    def _activated(self, index: int) -> None:
        root = self.itemData(index)
        if root == _OTHER:
            self.setCurrentIndex(max(0, self.findData(self._current)))
            self.ask()
        else:
            self._pick(str(root or ""))

    def _pick(self, root: str) -> None:
        self.set_current(root)
        self.setToolTip(root)
        self.picked.emit(root)
