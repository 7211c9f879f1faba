"""Fetches what the Routing page shows: as little as it needs, and only while somebody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QCoreApplication, QObject, QTimer

from lynkr_desktop.protocol.code import FileMetrics, IndexStatus
from lynkr_desktop.protocol.control import EngineStatus
from lynkr_desktop.protocol.routing import ExplainRequest, Mark
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui.control_client import ControlClient, ControlFailure
from lynkr_desktop.ui.routing.code_tree import CodeTree, grow
from lynkr_desktop.ui.routing.routing_model import PAGE, RoutingModel
from lynkr_desktop.ui.theme.tokens import Motion

_MOST_CATCHING_UP = 3


def _tr(text: str) -> str:
    return QCoreApplication.translate("RoutingController", text)


class RoutingActions(Protocol):
    """What the Routing page may ask for. Each returns at once; the model tells what became of it."""

    def watch(self, seen: bool) -> None:
        """Keeps the page fresh while it is seen."""

    def list_decisions(self, *, misrouted: bool) -> None:
        """Lists all decisions, or only those that took the wrong tier."""

    def load_older(self) -> None:
        """Adds older decisions to the list."""

    def mark(self, decision_id: str, mark: Mark) -> None:
        """Says how a decision was."""

    def explain(self, request: ExplainRequest) -> None:
        """Asks what would be decided."""

    def show_code(self, workspace: str) -> None:
        """Shows the files of a workspace."""

    def index_again(self) -> None:
        """Has all files of the workspace that is shown looked at again."""


class RoutingController(QObject):
    """The `RoutingActions` of the real engine.

    Args:
        client: the client of the engine that runs, None while none does.
        notice: tells a person one sentence.
    """

    def __init__(
        self,
        model: RoutingModel,
        tasks: Tasks,
        client: Callable[[], ControlClient | None],
        notice: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._model, self._tasks, self._client, self._notice = model, tasks, client, notice
        self._seen = False
        self._stale = True
        self._latest = ""
        self._catching_up = 0
        self._listing: asyncio.Task[None] | None = None
        self._older: asyncio.Task[None] | None = None
        self._explaining: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._code_stale = False
        self._list_timer = self._timer(Motion.LIVE, self._refresh)
        self._code_timer = self._timer(Motion.LIVE_CODE, self._read_code)

    def _timer(self, interval: int, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval)
        timer.timeout.connect(act)
        return timer

    # ------------------------------------------------------------ what the engine tells

    def engine_up(self) -> None:
        """An engine answers: what is shown may be another one's."""
        self._stale = True
        if self._seen:
            self._refresh()
            if self._model.workspace:
                self._read_code()

    def engine_down(self) -> None:
        """No answer will come any more."""
        for task in (self._listing, self._older, self._explaining, self._reading):
            if task is not None:
                task.cancel()
        if self._model.explaining:
            self._model.explained(None, _tr("The engine was stopped before it answered."))
        if self._model.code_loading:
            self._model.fail_code(_tr("The engine was stopped before it answered."))

    def request_finished(self, decision_id: str) -> None:
        """A request ended, so that a decision is new: the list follows, at most once a second."""
        self._latest, self._stale, self._catching_up = decision_id, True, 0
        if self._seen and not self._list_timer.isActive():
            self._list_timer.start()

    def status_changed(self, status: EngineStatus) -> None:
        """The index of the workspace that is shown may have moved on."""
        root = self._model.workspace
        found = next((index for index in status.workspaces if same_folder(index.root, root)), None)
        if not root or found is None or found == self._model.index:
            return
        # A report of files comes only when the index is through with them.
        changed = not found.unfinished and not _same_files(found, self._model.index)
        self._model.set_index(found)
        if changed:
            self._code_stale = True
            if self._seen and not self._code_timer.isActive():
                self._code_timer.start()

    # ------------------------------------------------------------ what a person asks for

    def watch(self, seen: bool) -> None:
        """Keeps the page fresh while it is seen."""
        self._seen = seen
        if not seen:
            self._list_timer.stop()
            self._code_timer.stop()
            return
        if self._stale:
            self._refresh()
        if self._code_stale:
            self._read_code()

    def list_decisions(self, *, misrouted: bool) -> None:
        """Lists all decisions, or only those that took the wrong tier."""
        for task in (self._listing, self._older):
            if task is not None:
                task.cancel()
        self._listing = self._older = None
        self._model.restart(misrouted=misrouted)
        self._refresh()

    def load_older(self) -> None:
        """Adds older decisions to the list."""
        client, rows = self._client(), self._model.decisions
        if client is not None and rows and not self._model.complete and not _busy(self._older):
            self._older = self._tasks.spawn(self._fetch_older(client, rows[-1].id), "older decisions")

    def mark(self, decision_id: str, mark: Mark) -> None:
        """Says how a decision was."""
        client = self._client()
        if client is None:
            self._notice(_tr("The engine is not running, so the decision was not marked."))
            self._model.decisions_changed.emit()
            return
        self._tasks.spawn(self._mark(client, decision_id, mark), "mark a decision")

    def explain(self, request: ExplainRequest) -> None:
        """Asks what would be decided."""
        client = self._client()
        if client is None:
            self._model.explained(None, _tr("The engine is not running. Start it, then ask again."))
            return
        if self._explaining is not None:
            self._explaining.cancel()
        self._model.begin_explaining()
        self._explaining = self._tasks.spawn(self._explain(client, request), "explain")

    def show_code(self, workspace: str) -> None:
        """Shows the files of a workspace."""
        if _busy(self._reading):
            assert self._reading is not None
            self._reading.cancel()
            self._reading = None
        self._model.begin_code(workspace)
        if self._client() is None:
            self._model.fail_code(_tr("The engine is not running."))
        else:
            self._read_code()

    def index_again(self) -> None:
        """Has all files of the workspace that is shown looked at again."""
        client, workspace = self._client(), self._model.workspace
        if client is None:
            self._notice(_tr("The engine is not running."))
        elif workspace:
            self._tasks.spawn(self._index(client, workspace), "index again")

    # ------------------------------------------------------------ asking the engine

    def _refresh(self) -> None:
        client = self._client()
        if client is None:
            return
        if _busy(self._listing):
            self._list_timer.start()
            return
        self._stale = False
        self._listing = self._tasks.spawn(self._fetch_newest(client), "decisions")

    async def _fetch_newest(self, client: ControlClient) -> None:
        wanted = self._latest
        try:
            rows = await client.decisions(PAGE, misrouted=self._model.misrouted)
        except ControlFailure as failure:
            self._stale = True
            self._model.fail_decisions(failure.message)
            return
        self._model.set_newest(rows)
        if self._stale and self._seen:
            self._list_timer.start()
        elif wanted and not self._model.misrouted and all(row.id != wanted for row in rows):
            # A decision is written shortly after its request is told of.
            self._catching_up += 1
            if self._catching_up <= _MOST_CATCHING_UP and self._seen:
                self._list_timer.start()

    async def _fetch_older(self, client: ControlClient, before: str) -> None:
        try:
            rows = await client.decisions(PAGE, before, misrouted=self._model.misrouted)
        except ControlFailure as failure:
            self._model.fail_decisions(failure.message)
        else:
            self._older = None  # whoever hears of these may want more at once
            self._model.add_older(rows)

    async def _mark(self, client: ControlClient, decision_id: str, mark: Mark) -> None:
        try:
            self._model.replace_decision(await client.mark(decision_id, mark))
        except ControlFailure as failure:
            self._notice(_tr("The decision was not marked: {why}").format(why=failure.message))
            self._model.decisions_changed.emit()

    async def _explain(self, client: ControlClient, request: ExplainRequest) -> None:
        try:
            self._model.explained(await client.explain(request))
        except ControlFailure as failure:
            self._model.explained(None, failure.message)

    def _read_code(self) -> None:
        client, workspace = self._client(), self._model.workspace
        if client is None or not workspace:
            return
        if _busy(self._reading):
            self._code_timer.start()
            return
        self._code_stale = False
        self._reading = self._tasks.spawn(self._fetch_code(client, workspace), "code of a workspace")

    async def _fetch_code(self, client: ControlClient, workspace: str) -> None:
        try:
            code = await client.code(workspace)
        except ControlFailure as failure:
            self._model.fail_code(failure.message)
        else:
            self._model.set_code(code.status, await _grown(code.files))

    async def _index(self, client: ControlClient, workspace: str) -> None:
        try:
            self._model.set_index(await client.index(workspace))
        except ControlFailure as failure:
            self._model.fail_code(failure.message)
        else:
            # An answer that was on its way already may tell of the state before.
            self._code_timer.start()


async def _grown(files: tuple[FileMetrics, ...]) -> CodeTree:
    growing = grow(files)
    while True:
        await asyncio.sleep(0)
        try:
            next(growing)
        except StopIteration as done:
            tree: CodeTree = done.value
            return tree


def _busy(task: asyncio.Task[None] | None) -> bool:
    return task is not None and not task.done()


def same_folder(one: str, other: str) -> bool:
    """Whether two absolute paths name the same folder, however each is written."""
    return one == other or (bool(one and other) and Path(one) == Path(other))


def _same_files(one: IndexStatus, other: IndexStatus | None) -> bool:
    """Whether the files are those that were read."""
    if other is None:
        return False
    return (one.updated, one.files, one.state) == (other.updated, other.files, other.state)
