"""What a person can do to the engine, and how what it says reaches the model.

Views call the methods of `Actions` and read the `EngineModel`; nothing flows the other way.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.events import EngineEvent, RequestFinished, StatusEvent
from lynkr_desktop.protocol.sessions import SessionAct
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui import session_words
from lynkr_desktop.ui.control_client import ControlClient, ControlFailure, read_token
from lynkr_desktop.ui.engine_model import KEPT_REQUESTS, EngineModel, Phase, Problem, Remedy
from lynkr_desktop.ui.engine_process import EngineHandle, StartFailure
from lynkr_desktop.ui.problems import crashed, failed_to_start, not_answering, refused
from lynkr_desktop.ui.routing.routing_controller import RoutingActions, RoutingController
from lynkr_desktop.ui.supervisor import Supervisor

log = logging.getLogger(__name__)

_RECONNECT_S = 0.25
_SILENT_AFTER_S = 5.0
_DRAIN_GRACE_S = 5.0
_FORCED_S = 3.0
_KILL_AFTER_S = 3.0


class Actions(Protocol):
    """Everything that a view may ask for. Each returns at once; the model tells what became of it."""

    @property
    def routing(self) -> RoutingActions:
        """What the Routing page may ask for."""

    def start(self) -> None:
        """Starts the engine and keeps it running."""

    def stop(self) -> None:
        """Stops it after the requests in flight; a second call ends those too."""

    def pause(self, seconds: float | None) -> None:
        """Pauses it for a while, or until resumed."""

    def resume(self) -> None:
        """Ends a pause."""

    def set_tier(self, tier: Tier, enabled: bool) -> None:
        """Switches a tier."""

    def set_profile(self, name: str) -> None:
        """Puts another routing profile into force."""

    def act_on_session(self, session: str, act: SessionAct) -> None:
        """Resumes a paused session of an agent, lets it start over, or ends it."""

    def pull_model(self, model_id: str) -> None:
        """Downloads a local model."""

    def cancel_pull(self, model_id: str) -> None:
        """Stops a download."""

    def remove_model(self, model_id: str) -> None:
        """Deletes a downloaded model."""

    def reload_config(self) -> None:
        """Reads the configuration file again."""

    def remedy(self, remedy: Remedy) -> None:
        """Does what a problem proposes."""

    def quit(self) -> None:
        """Ends the engine and the app."""


class Controller(QObject):
    """The `Actions` of the real engine.

    Signals:
        up: an engine serves, and its status is in the model.
        finished: everything has ended after `quit`.
    """

    up = Signal()
    finished = Signal()

    def __init__(
        self,
        paths: Paths,
        model: EngineModel,
        tasks: Tasks,
        command: Callable[[int | None], list[str]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._paths = paths
        self._model = model
        self._tasks = tasks
        self._client: ControlClient | None = None
        self._follower: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._forced = asyncio.Event()
        self._last_details = ""
        # Not its child: a page that is closed last still tells it that nobody looks.
        self._routing = RoutingController(model.routing, tasks, lambda: self._client, model.notice.emit)
        self._supervisor = Supervisor(
            paths,
            command,
            tasks,
            on_starting=lambda: self._model.set_phase(Phase.STARTING),
            on_up=self._on_up,
            on_down=self._on_down,
            on_failed=self._on_failed,
        )

    @property
    def routing(self) -> RoutingController:
        """What the Routing page may ask for."""
        return self._routing

    async def adopt_running(self) -> bool:
        """Takes over an engine that already serves this home."""
        return await self._supervisor.adopt_running()

    def start(self) -> None:
        """Starts the engine and keeps it running."""
        if self._stopping is None:
            self._supervisor.start()

    def stop(self) -> None:
        """Stops it after the requests in flight; a second call ends those too."""
        self._begin_stop(quit_after=False)

    def quit(self) -> None:
        """Ends the app, and the engine with it unless a person runs that in a terminal of their own."""
        self._begin_stop(quit_after=True)

    def remedy(self, remedy: Remedy) -> None:
        """Does what a problem proposes."""
        if remedy.kind == "restart" and self._supervisor.handle is not None:
            self._supervisor.handle.kill()  # the supervisor sees it end and starts another
        elif self._stopping is None:
            self._supervisor.start(remedy.port)

    def pause(self, seconds: float | None) -> None:
        """Pauses it for a while, or until resumed."""
        self._ask("pause", lambda client: client.pause(seconds))

    def resume(self) -> None:
        """Ends a pause."""
        self._ask("resume", lambda client: client.resume())

    def reload_config(self) -> None:
        """Reads the configuration file again."""
        self._ask("reload", lambda client: client.reload())

    def set_profile(self, name: str) -> None:
        """Puts another routing profile into force."""
        self._ask("profile", lambda client: client.set_profile(name))

    def act_on_session(self, session: str, act: SessionAct) -> None:
        """Resumes a paused session of an agent, lets it start over, or ends it."""

        async def tell(client: ControlClient) -> None:
            after = await client.act_on_session(session, act)
            self._model.session_changed(after)
            if told := session_words.done(after):
                self._model.notice.emit(told)

        self._ask(f"{act} a session", tell)

    def pull_model(self, model_id: str) -> None:
        """Downloads a local model."""
        self._ask("download", lambda client: client.pull_model(model_id))

    def cancel_pull(self, model_id: str) -> None:
        """Stops a download."""
        self._ask("stop the download", lambda client: client.cancel_pull(model_id))

    def remove_model(self, model_id: str) -> None:
        """Deletes a downloaded model."""
        self._ask("remove", lambda client: client.remove_model(model_id))

    def set_tier(self, tier: Tier, enabled: bool) -> None:
        """Switches a tier: shown at once, and taken back with the reason if the engine refuses."""
        if self._client is None:
            self._model.notice.emit(self.tr("The engine is not running, so the tier was not switched."))
            self._model.tier_settled(tier, None)
            return
        self._model.tier_pending(tier, enabled)
        self._tasks.spawn(self._switch_tier(self._client, tier, enabled), f"switch {tier}")

    async def _switch_tier(self, client: ControlClient, tier: Tier, enabled: bool) -> None:
        try:
            await client.set_tier(tier, enabled)
        except ControlFailure as failure:
            self._model.tier_settled(tier, None)
            name = tier.value.capitalize()
            stays = self.tr("{tier} stays off: {why}") if enabled else self.tr("{tier} stays on: {why}")
            self._model.notice.emit(stays.format(tier=name, why=failure.message))
        else:
            self._model.tier_settled(tier, enabled)

    def _ask(self, what: str, call: Callable[[ControlClient], Awaitable[None]]) -> None:
        if self._client is None:
            self._model.notice.emit(self.tr("The engine is not running."))
            return
        self._tasks.spawn(self._tell(self._client, call), what)

    async def _tell(self, client: ControlClient, call: Callable[[ControlClient], Awaitable[None]]) -> None:
        try:
            await call(client)
        except ControlFailure as failure:
            self._model.notice.emit(failure.message)

    def _on_up(self, handle: EngineHandle) -> None:
        self._drop_client()
        self._model.engine_up(handle.port)
        self._follower = self._tasks.spawn(self._follow(handle), "engine events")

    def _on_down(self, code: int | None, delay: float) -> bool:
        status = self._model.status
        self._drop_client()
        self._model.forget_engine()
        if status is not None and status.state == "draining":
            self._model.set_phase(Phase.STOPPED)
            self._model.notice.emit(self.tr("The engine was stopped from elsewhere."))
            return False
        self._model.set_phase(Phase.PROBLEM, crashed(code, delay))
        self._model.notice.emit(self.tr("The engine stopped unexpectedly and is being started again."))
        return True

    def _on_failed(self, failure: StartFailure, delay: float | None) -> None:
        self._model.set_phase(Phase.PROBLEM, failed_to_start(failure, delay))

    def _drop_client(self) -> None:
        self._client = None
        self._routing.engine_down()
        if self._follower is not None:
            self._follower.cancel()
            self._follower = None

    async def _follow(self, handle: EngineHandle) -> None:
        """Listens for as long as the engine lives; reconnects, and says when it no longer answers."""
        last_id, answered, greeted = "", time.monotonic(), False
        while True:
            token = read_token(self._paths.token, os.environ.get("LYNKR_TOKEN", ""))
            self._model.set_token(token)
            try:
                async with ControlClient(handle.port, token) as client:
                    status = await client.status()
                    self._supervisor.answered(status.pid)
                    self._client = client
                    self._model.set_status(status)
                    if not greeted:
                        greeted = True
                        self.up.emit()
                    listed = False
                    async for event_id, event in client.events(last_id):
                        if not listed:
                            # Only now: a request between list and stream would be missed.
                            listed = True
                            self._model.set_requests(await client.requests(KEPT_REQUESTS))
                            self._routing.engine_up()
                        last_id, answered = event_id or last_id, time.monotonic()
                        self._apply(event)
                    answered = time.monotonic()
            except ControlFailure as failure:
                if failure.code != "unreachable":
                    self._problem_while_running(refused(failure))
                elif time.monotonic() - answered > _SILENT_AFTER_S:
                    self._problem_while_running(not_answering(handle.pid, handle.port))
            finally:
                self._client = None
            await asyncio.sleep(_RECONNECT_S)

    def _apply(self, event: EngineEvent) -> None:
        self._model.apply(event)
        if isinstance(event, RequestFinished):
            self._routing.request_finished(event.request.id)
        elif isinstance(event, StatusEvent):
            self._routing.status_changed(event.status)
            self._model.set_token(self._model.token or read_token(self._paths.token))

    def _problem_while_running(self, problem: Problem) -> None:
        if self._model.phase is not Phase.STOPPING:
            self._model.set_phase(Phase.PROBLEM, problem)

    def _begin_stop(self, *, quit_after: bool) -> None:
        if self._stopping is not None:
            self._forced.set()
            if quit_after:
                self._stopping.add_done_callback(lambda _: self.finished.emit())
            return
        self._forced.clear()
        self._stopping = self._tasks.spawn(self._stop(quit_after), "stop the engine")

    async def _stop(self, quit_after: bool) -> None:
        client = self._client
        handle = await self._supervisor.release()
        try:
            if handle is not None and (handle.supervised or not quit_after):
                self._model.set_phase(Phase.STOPPING)
                await self._end(handle, client)
        finally:
            self._drop_client()
            self._model.forget_engine()
            self._model.set_phase(Phase.STOPPED)
            self._stopping = None
            if quit_after:
                self.finished.emit()

    async def _end(self, handle: EngineHandle, client: ControlClient | None) -> None:
        """Drains, then insists: shutdown, forced shutdown, terminate, kill."""
        ended = self._tasks.spawn(handle.wait(), "engine exit")
        try:
            if client is not None:
                try:
                    reply = await client.shutdown(force=False)
                    if await self._drained(ended, reply.drain_timeout_s + _DRAIN_GRACE_S):
                        return
                    await client.shutdown(force=True)
                    if await _within(ended, _FORCED_S):
                        return
                except ControlFailure as failure:
                    log.info("the engine did not take the shutdown: %s", failure)
            handle.terminate()
            if not await _within(ended, _KILL_AFTER_S):
                handle.kill()
                await _within(ended, _KILL_AFTER_S)
        finally:
            ended.cancel()

    async def _drained(self, ended: asyncio.Task[int | None], limit_s: float) -> bool:
        """Whether it ended by itself, before the time is up and before a person forces it."""
        forced = self._tasks.spawn(self._forced.wait(), "second quit")
        await asyncio.wait({ended, forced}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        return ended.done()


async def _within(task: asyncio.Task[int | None], seconds: float) -> bool:
    await asyncio.wait({task}, timeout=seconds)
    return task.done()
