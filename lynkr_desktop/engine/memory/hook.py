"""Where memory meets a request: which project it belongs to, and its body with memories in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.memory.service import Memories
from lynkr_desktop.engine.memory.store import Origin
from lynkr_desktop.engine.routing.side import side_request
from lynkr_desktop.engine.routing.workspace import workspace_of
from lynkr_desktop.engine.wire.calls import in_call_order
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.insertion import inserted_body

log = logging.getLogger(__name__)

HEADER = "x-lynkr-memory"
"""`off`: this request is given no memories, and nothing of it is kept."""

_LONG = 40_000
"""Bytes of a body from which on it is rewritten in a thread."""


def origin_of(exchange: Exchange, workspace: str | None) -> Origin | None:
    """Where a request stands; None for those that memory has nothing to do with. Arguments as of `put_in`."""
    request, decision = exchange.request, exchange.decision
    if request is None or decision is None or _is_off(exchange.headers):
        return None
    grounds = decision.grounds
    if grounds is not None:
        if grounds.side is not None:
            return None
        folder = grounds.workspace
    else:
        if side_request(request) is not None:
            return None
        configured = Path(workspace).expanduser() if workspace else None
        found = workspace_of(request, exchange.headers, configured)
        folder = found.folder if found is not None else ""
    return Origin(
        scope=folder or f"client:{exchange.client}",
        session=exchange.session,
        request=exchange.id,
        local_only=decision.profile.local_only,
    )


async def put_in(exchange: Exchange, memories: Memories, workspace: str | None) -> None:
    """Puts what is remembered for its asks into a request that was decided. Never raises.

    From then on the exchange has the longer body, and the request that it says. A body that has no place for
    it stays as it is.

    Args:
        exchange: the request; where it stands is noted in it.
        memories: of the engine.
        workspace: the folder that the configuration names for requests that state none.
    """
    request = exchange.request
    if not memories.enabled or request is None:
        return
    origin = exchange.origin = origin_of(exchange, workspace)
    if origin is None or request.inexpressible:
        return
    places = await memories.recall(request, origin)
    if not places:
        return

    def rewritten() -> tuple[bytes, Request] | None:
        body = inserted_body(exchange.body, exchange.codec.name, places)
        return None if body is None else (body, in_call_order(exchange.codec.decode_request(body)))

    try:
        long = len(exchange.body) > _LONG
        made = await asyncio.to_thread(rewritten) if long else rewritten()
    except (WireError, ValueError, RecursionError) as error:
        log.warning("request %s could not be given its memories: %s", exchange.id, error)
        return
    if made is not None:
        exchange.came = request
        exchange.body, exchange.request = made
        exchange.told = sum(1 for _, block in places if block)


def _is_off(headers: Mapping[str, str]) -> bool:
    return headers.get(HEADER, "").strip().lower() in ("off", "false", "0")
