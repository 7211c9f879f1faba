"""Whether the engine can answer: what it knows at once, and what is tried when somebody asks for it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable

from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.telemetry.database import RecordsError
from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.control import EngineState
from lynkr_desktop.protocol.life import DeepHealth, HealthCheck, Readiness

LIMIT_S = 5.0
"""For each check; a probe must not wait for a provider that is silent."""
LEAST_FREE = 200 * 1024**2
"""Bytes that must be free where the records are: the log, their journal and some days of them."""

_STATES: dict[EngineState, str] = {
    "starting": "Lynkr is still starting.",
    "paused": "Lynkr is paused. Resume it in the tray menu.",
    "draining": "Lynkr is stopping.",
}


class Unhealthy(Exception):
    """A check found something wrong. The message says what, and what to do."""


async def readiness(engine: Engine) -> Readiness:
    """Whether a request would be taken now, and by some model. Asks nobody outside of this process."""
    status = await engine.status()
    reasons = [_STATES[engine.state]] if engine.state in _STATES else []
    candidates = [candidate for tier in status.tiers if tier.enabled for candidate in tier.candidates]
    if not any(candidate.usable for candidate in candidates):
        told = dict.fromkeys(candidate.reason for candidate in candidates if candidate.reason)
        reasons += list(told) or ["No tier that is switched on has a model."]
    return Readiness(
        ready=not reasons,
        state=engine.state,
        reasons=tuple(reasons),
        providers=status.providers,
        index=status.workspaces,
        store=engine.records.trouble or "ok",
    )


async def deep_health(engine: Engine) -> DeepHealth:
    """Tries everything that a request needs: records, each provider in use, the index, the disk."""
    in_use = {
        candidate.provider
        for tier in (await engine.status()).tiers
        if tier.enabled
        for candidate in tier.candidates
    }
    checks = [
        _tried("engine", lambda: _engine(engine)),
        _tried("records", lambda: _records(engine)),
        _tried("index", lambda: _code(engine)),
        _tried("disk", lambda: _disk(engine)),
        *(
            _tried(f"provider {name}", lambda provider=provider: _provider(provider))  # type: ignore[misc]
            for name, provider in engine.snapshot.providers.items()
            if name in in_use
        ),
    ]
    found = tuple(await asyncio.gather(*checks))
    health = engine.health()
    return DeepHealth(
        ok=all(check.ok for check in found),
        state=engine.state,
        version=health.version,
        uptime_s=health.uptime_s,
        checks=found,
    )


async def _tried(name: str, check: Callable[[], Awaitable[str]]) -> HealthCheck:
    began = time.monotonic()
    try:
        async with asyncio.timeout(LIMIT_S):
            ok, detail = True, await check()
    except TimeoutError:
        ok, detail = False, f"There was no answer within {LIMIT_S:.0f} seconds."
    except (Unhealthy, RecordsError, OSError) as error:
        ok, detail = False, str(error)
    return HealthCheck(name=name, ok=ok, detail=detail, seconds=round(time.monotonic() - began, 4))


async def _engine(engine: Engine) -> str:
    if engine.state in _STATES:
        raise Unhealthy(_STATES[engine.state])
    return "It takes requests."


async def _records(engine: Engine) -> str:
    await engine.records.probe()
    if engine.records.trouble:
        raise Unhealthy(engine.records.trouble)
    lost = engine.records.lost
    return "They can be written and read." + (f" {lost} were lost since the start." if lost else "")


async def _code(engine: Engine) -> str:
    states = _index(engine)
    failed = [status for status in states if status.state == "failed"]
    if failed:
        raise Unhealthy("; ".join(f"{status.root}: {status.error}" for status in failed))
    if not states:
        return "No workspace was asked about yet."
    return ", ".join(f"{status.root}: {status.state}" for status in states)


async def _disk(engine: Engine) -> str:
    home = engine.paths.home
    free = (await asyncio.to_thread(shutil.disk_usage, home)).free
    told = f"{free / 1024**3:.1f} GB are free where {home} is"
    if free < LEAST_FREE:
        raise Unhealthy(f"{told}; requests are answered all the same, but not all recorded. Make room.")
    return f"{told}."


async def _provider(provider: Provider) -> str:
    """Whether it tells its models, and takes its key where it needs one."""
    models = await provider.models()
    now = await provider.availability()
    if not now.usable:
        raise Unhealthy(now.reason or "It cannot be used now.")
    if provider.key is not None:
        found = await provider.check_key()
        if found.result in ("refused", "unreachable"):
            raise Unhealthy(found.message)
    return f"It has {len(models)} models." if len(models) != 1 else "It has one model."


def _index(engine: Engine) -> tuple[IndexStatus, ...]:
    return engine.workspaces.statuses() if engine.workspaces is not None else ()
