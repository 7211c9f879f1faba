"""What the UI knows of the engine: the one object that every view reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetStatus
from lynkr_desktop.protocol.control import EngineStatus, LocalModel, RequestRow, TierStatus
from lynkr_desktop.protocol.events import (
    BreakerChanged,
    BudgetChanged,
    ConfigReloaded,
    EngineEvent,
    ModelPull,
    RequestFinished,
    RequestStarted,
    SessionChanged,
    StatusEvent,
)
from lynkr_desktop.protocol.sessions import SessionPause
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.routing.routing_model import RoutingModel
from lynkr_desktop.ui.theme.tokens import Motion

KEPT_REQUESTS = 50


class Phase(Enum):
    """What the tray icon tells by its shape."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Remedy:
    """What one click does about a problem: `start` again, on another `port`, or `restart` by force."""

    kind: Literal["start", "port", "restart"]
    port: int | None = None


@dataclass(frozen=True)
class Problem:
    """Why the engine does not serve: what happened, what it means and what to do.

    `details` is for the clipboard: what somebody who helps would ask for.
    """

    title: str
    text: str
    details: str = ""
    remedy: Remedy | None = None


class EngineModel(QObject):
    """The engine's state as last heard.

    Setters are called from the controller only. However many events arrive, `changed` fires at most
    once per `Motion.COALESCE` milliseconds, so that drawing never has to keep up with the network.

    Attributes:
        status: what the engine that runs said last; None when none does.
        port: where the engine listens; known before its first status.
        history: the last status of any engine; its totals stay true when the engine is gone.
        routing: decisions and code; it has signals of its own.

    Signals:
        changed: something that a view shows may be different.
        notice: one sentence that a person should see now.
        session_paused: a `SessionPause`: the loop guard paused a session, and a person should know.
    """

    changed = Signal()
    notice = Signal(str)
    session_paused = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.phase = Phase.STOPPED
        self.status: EngineStatus | None = None
        self.history: EngineStatus | None = None
        self.port: int | None = None
        self.problem: Problem | None = None
        self.token = ""
        self.routing = RoutingModel(self)
        self._requests: dict[str, RequestRow] = {}
        self._pending: dict[Tier, bool] = {}
        self._held_back: set[str] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(Motion.COALESCE)
        self._timer.timeout.connect(self.changed)

    @property
    def serving(self) -> bool:
        """Whether the control API can be asked for things."""
        return self.phase in (Phase.RUNNING, Phase.PAUSED) and self.status is not None

    @property
    def startable(self) -> bool:
        """Whether Start is what a person would press; else it is Stop. A silent engine can be stopped."""
        return self.phase is Phase.STOPPED or (self.phase is Phase.PROBLEM and self.port is None)

    @property
    def requests(self) -> list[RequestRow]:
        """The latest requests, newest first; those still running have status 0."""
        return sorted(self._requests.values(), key=lambda row: row.at, reverse=True)

    @property
    def tiers(self) -> tuple[TierStatus, ...]:
        """The tiers, with a switch that is on its way already in its new place."""
        if self.status is None:
            return ()
        return tuple(
            msgspec.structs.replace(tier, enabled=self._pending.get(tier.tier, tier.enabled))
            for tier in self.status.tiers
        )

    def set_phase(self, phase: Phase, problem: Problem | None = None) -> None:
        """Moves to a phase; `problem` belongs to PROBLEM."""
        if phase is self.phase and problem == self.problem:
            return
        self.phase = phase
        self.problem = problem
        self._touch(at_once=True)

    def engine_up(self, port: int) -> None:
        """An engine answers; its status follows."""
        self.port = port
        if self.phase is not Phase.STOPPING:
            self.set_phase(Phase.RUNNING)

    def set_token(self, token: str) -> None:
        """The access token in force."""
        if token != self.token:
            self.token = token
            self._touch()

    def set_status(self, status: EngineStatus) -> None:
        """Takes a whole status, and the phase that it tells."""
        self.status = self.history = status
        self.port = status.port
        phase = {
            "running": Phase.RUNNING,
            "paused": Phase.PAUSED,
            "draining": Phase.STOPPING,
            "starting": Phase.STARTING,
        }[status.state]
        # Once a person has asked it to stop, a late "running" must not flash up.
        if self.phase is not Phase.STOPPING:
            self.set_phase(phase)
        self._touch()

    def set_requests(self, rows: list[RequestRow]) -> None:
        """Replaces the list of the latest requests."""
        self._requests = {row.id: row for row in rows[:KEPT_REQUESTS]}
        self._touch()

    def apply(self, event: EngineEvent) -> None:
        """Takes one event of the stream."""
        match event:
            case StatusEvent():
                self.set_status(event.status)
            case RequestStarted() | RequestFinished():
                self._add_request(event.request)
            case ModelPull():
                self._replace_model(event.model)
            case ConfigReloaded():
                self._config_reloaded(event)
            case BudgetChanged():
                self._budget_changed(event.budget)
            case BreakerChanged():
                self._breaker_changed(event.breaker)
            case SessionChanged():
                self.session_changed(event.session)
                if event.session.state == "paused" and event.session.cause != "person":
                    self.session_paused.emit(event.session)
        self._touch()

    def session_changed(self, session: SessionPause) -> None:
        """A session was paused, resumed or ended: shown at once, the status that follows says the same."""
        if self.status is None:
            return
        others = [known for known in self.status.sessions_paused if known.id != session.id]
        stopped = others if session.state == "running" else [session, *others]
        self.status = msgspec.structs.replace(self.status, sessions_paused=tuple(stopped))
        self._touch(at_once=True)

    def forget_engine(self) -> None:
        """The engine is gone: what it said last stays visible only where it is history."""
        self.status = None
        self.port = None
        self._pending.clear()
        self._requests = {key: row for key, row in self._requests.items() if row.status}
        self._touch()

    def tier_pending(self, tier: Tier, enabled: bool) -> None:
        """A switch was moved and the engine has not answered yet."""
        self._pending[tier] = enabled
        self._touch(at_once=True)

    def tier_settled(self, tier: Tier, enabled: bool | None) -> None:
        """The engine answered: the tier is now `enabled`; None means it refused, and the switch goes back."""
        self._pending.pop(tier, None)
        if enabled is not None and self.status is not None:
            tiers = tuple(
                msgspec.structs.replace(row, enabled=enabled) if row.tier is tier else row
                for row in self.status.tiers
            )
            self.status = msgspec.structs.replace(self.status, tiers=tiers)
        self._touch(at_once=True)

    def _add_request(self, row: RequestRow) -> None:
        self._requests[row.id] = row
        while len(self._requests) > KEPT_REQUESTS:
            oldest = min(self._requests.values(), key=lambda kept: kept.at)
            del self._requests[oldest.id]

    def _replace_model(self, model: LocalModel) -> None:
        if self.status is None:
            return
        models = tuple(model if model.id == known.id else known for known in self.status.models)
        self.status = msgspec.structs.replace(self.status, models=models)

    def _config_reloaded(self, event: ConfigReloaded) -> None:
        if event.error:
            return  # the status that follows carries it, and the window shows it until it is mended
        self.notice.emit(self.tr("Configuration taken from {path}").format(path=event.path))

    def _breaker_changed(self, breaker: BreakerStatus) -> None:
        # A probe that failed opens it again and again; once is enough.
        if breaker.state == "open" and breaker.name not in self._held_back:
            said = self.tr(
                "{model} is not asked for now: it kept failing, or was too slow. "
                "Other models of its tier answer where there are any."
            )
            self.notice.emit(said.format(model=breaker.name))
        if breaker.state == "closed":
            self._held_back.discard(breaker.name)
        else:
            self._held_back.add(breaker.name)

    def _budget_changed(self, budget: BudgetStatus) -> None:
        name = f"{budget.scope} {budget.name}".strip()
        if budget.share >= 1:
            text = self.tr("The budget of {name} is used up; its requests are refused. See `lynkr budgets`.")
        else:
            text = self.tr("The budget of {name} is spent to {share}. `lynkr budgets` shows it.")
        self.notice.emit(text.format(name=name, share=f"{budget.share:.0%}"))

    def _touch(self, *, at_once: bool = False) -> None:
        if at_once:
            self._timer.stop()
            self.changed.emit()
        elif not self._timer.isActive():
            self._timer.start()
