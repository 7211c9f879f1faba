"""Server-sent events of GET /v1/admin/events: `id` rises by one, `event` is the tag, `data` the JSON body.

A client that reconnects sends `Last-Event-ID`; events still in the ring are replayed, otherwise it gets a
fresh `status` first and knows from the gap that it missed some.
"""

from __future__ import annotations

from msgspec import Struct

from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetStatus
from lynkr_desktop.protocol.control import EngineStatus, LocalModel, RequestRow
from lynkr_desktop.protocol.sessions import SessionPause


class StatusEvent(Struct, frozen=True, tag="status"):
    """Anything that `GET /v1/admin/status` shows has changed; at most four a second."""

    status: EngineStatus


class RequestStarted(Struct, frozen=True, tag="request.started"):
    """A request was routed and goes out to `provider/model`."""

    request: RequestRow


class RequestFinished(Struct, frozen=True, tag="request.finished"):
    """A request ended, well or not; the row is what the records hold."""

    request: RequestRow


class ModelPull(Struct, frozen=True, tag="model.pull"):
    """Progress of a model download, at most four a second, and once more at its end."""

    model: LocalModel


class ConfigReloaded(Struct, frozen=True, tag="config.reloaded"):
    """A configuration was taken (`error` empty) or refused (the old one stays in force)."""

    path: str
    error: str = ""


class SessionChanged(Struct, frozen=True, tag="session"):
    """A session was paused, by the loop guard or a person, or it was resumed or ended."""

    session: SessionPause


class BreakerChanged(Struct, frozen=True, tag="breaker"):
    """A circuit breaker opened, lets a probe through, or closed again."""

    breaker: BreakerStatus


class BudgetChanged(Struct, frozen=True, tag="budget"):
    """A budget is nearly spent (`budgets.warn_at`), or wholly; told once for each."""

    budget: BudgetStatus


EngineEvent = (
    StatusEvent
    | RequestStarted
    | RequestFinished
    | ModelPull
    | ConfigReloaded
    | BreakerChanged
    | SessionChanged
    | BudgetChanged
)
