"""What the UI knows of routing decisions and of the code they follow from."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.routing import DecisionRow, RouteExplanation
from lynkr_desktop.ui.routing.code_tree import EMPTY_TREE, CodeTree

PAGE = 50
"""Decisions that are asked for at a time."""
KEPT_DECISIONS = 2_000


class RoutingModel(QObject):
    """Filled by the routing controller, read by the Routing page.

    Attributes:
        decisions: those loaded so far, newest first, with their filter.
        misrouted: whether only those that took too weak or too strong a tier are listed.
        complete: there are no older ones, or no more are kept here.
        loaded: whether the list was asked for at all.
        decisions_failure: why the list could not be had, empty when it could.
        explanation: the answer to the last question, None before one.
        explaining: a question is on its way.
        workspace: whose files are in `code`; `index` is the state of its index.
        code_loading: its files are on their way.

    Signals:
        decisions_changed: the list of decisions is another one.
        explanation_changed: a question was asked, answered or refused.
        code_changed: the files of the workspace, or what is known of them, are other ones.
    """

    decisions_changed = Signal()
    explanation_changed = Signal()
    code_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.decisions: list[DecisionRow] = []
        self.misrouted = False
        self.complete = True
        self.loaded = False
        self.decisions_failure = ""
        self.explanation: RouteExplanation | None = None
        self.explaining = False
        self.explain_failure = ""
        self.workspace = ""
        self.index: IndexStatus | None = None
        self.code: CodeTree = EMPTY_TREE
        self.code_loading = False
        self.code_failure = ""

    # ------------------------------------------------------------ decisions

    def restart(self, *, misrouted: bool) -> None:
        """Begins an empty list under another filter."""
        self.decisions, self.misrouted = [], misrouted
        self.complete, self.loaded, self.decisions_failure = True, False, ""
        self.decisions_changed.emit()

    def set_newest(self, rows: Sequence[DecisionRow]) -> None:
        """Takes the newest decisions. Older ones stay where the two lists meet, else there would be a gap."""
        fresh = {row.id for row in rows}
        older = [row for row in self.decisions if row.id not in fresh]
        meets = len(older) < len(self.decisions)
        first = not self.loaded
        if first or not meets:
            kept, self.complete = list(rows), len(rows) < PAGE
        else:
            oldest = rows[-1].at
            kept = [*rows, *(row for row in older if row.at <= oldest)]
        changed = first or bool(self.decisions_failure) or kept != self.decisions
        self.loaded, self.decisions_failure = True, ""
        self._keep(kept)
        if changed:
            self.decisions_changed.emit()

    def add_older(self, rows: Sequence[DecisionRow]) -> None:
        """Takes the page that follows the oldest decision."""
        known = {row.id for row in self.decisions}
        self.complete = len(rows) < PAGE
        self._keep(self.decisions + [row for row in rows if row.id not in known])
        self.decisions_changed.emit()

    def replace_decision(self, row: DecisionRow) -> None:
        """Takes a decision whose mark or outcome changed."""
        self.decisions = [row if known.id == row.id else known for known in self.decisions]
        self.decisions_changed.emit()

    def fail_decisions(self, why: str) -> None:
        """The list could not be had; what is loaded stays."""
        if why != self.decisions_failure:
            self.decisions_failure = why
            self.decisions_changed.emit()

    def _keep(self, rows: list[DecisionRow]) -> None:
        self.decisions = rows[:KEPT_DECISIONS]
        self.complete = self.complete or len(rows) > KEPT_DECISIONS

    # ------------------------------------------------------------ explaining

    def begin_explaining(self) -> None:
        """A question is on its way."""
        self.explaining, self.explain_failure = True, ""
        self.explanation_changed.emit()

    def explained(self, answer: RouteExplanation | None, failure: str = "") -> None:
        """The answer, or why there is none."""
        self.explaining, self.explanation, self.explain_failure = False, answer, failure
        self.explanation_changed.emit()

    # ------------------------------------------------------------ code

    def begin_code(self, workspace: str) -> None:
        """The files of a workspace are on their way; those of another one are dropped."""
        if workspace != self.workspace:
            self.workspace, self.index, self.code = workspace, None, EMPTY_TREE
        self.code_loading, self.code_failure = True, ""
        self.code_changed.emit()

    def set_code(self, index: IndexStatus, code: CodeTree) -> None:
        """The files of the workspace, as far as they are indexed."""
        # The index may be that of a folder above, or write the path in another way.
        self.workspace = index.root
        self.index, self.code, self.code_loading = index, code, False
        self.code_changed.emit()

    def set_index(self, index: IndexStatus) -> None:
        """How far the index of the workspace is; its files stay what they were."""
        if index != self.index:
            self.index = index
            self.code_changed.emit()

    def fail_code(self, why: str) -> None:
        """The files could not be had."""
        self.code_loading, self.code_failure = False, why
        self.code_changed.emit()
