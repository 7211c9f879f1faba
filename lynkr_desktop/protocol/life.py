"""Whether the engine lives and can answer, and its restart, as the control API tells it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.control import EngineState, ProviderStatus


class Health(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/health, without a token: that it lives."""

    status: Literal["ok"] = "ok"
    version: str
    uptime_s: float


class Readiness(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/ready: whether a request would be taken now, and by some model.

    `reasons` says what keeps it from that and is empty when `ready`. `store` is `ok`, or says why requests
    cannot be recorded; they are answered all the same. `index` holds the workspaces that were asked about.
    """

    ready: bool
    state: EngineState
    reasons: tuple[str, ...] = ()
    providers: tuple[ProviderStatus, ...] = ()
    index: tuple[IndexStatus, ...] = ()
    store: str = "ok"


class HealthCheck(Struct, frozen=True, kw_only=True):
    """One thing that was tried. `detail` says what was found, or what is wrong and what to do."""

    name: str
    ok: bool
    detail: str
    seconds: float


class DeepHealth(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/health?deep=true, with the token: everything was tried; 503 unless all is `ok`."""

    ok: bool
    state: EngineState
    version: str
    uptime_s: float
    checks: tuple[HealthCheck, ...] = ()


class RestartReply(Struct, frozen=True, kw_only=True):
    """POST /v1/admin/restart: an engine of process `pid` has taken over the port; 0 where it starts later.

    `active` requests are finished by the one before, for at most `drain_timeout_s`.
    """

    pid: int
    port: int
    active: int
    drain_timeout_s: float
