"""Requests without a conversation, as Ollama's clients send them to get a model loaded or unloaded."""

from __future__ import annotations

import re

from aiohttp import web

from lynkr_desktop.engine.exchange import Exchange, response_headers
from lynkr_desktop.engine.routing.decision import Target
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.wire.canonical import Usage
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from lynkr_desktop.engine.wire.ollama import OllamaChatClient, OllamaGenerateClient

_NO_TIME = re.compile(r"0+(\.0*)?(ns|us|µs|ms|s|m|h)?")


async def load_only(exchange: Exchange, snapshot: Snapshot) -> web.Response:
    """Loads or unloads the first model of the decision that can be used. Raises `WireError`."""
    request, decision, codec = exchange.request, exchange.decision, exchange.codec
    assert request is not None
    assert decision is not None
    if not isinstance(codec, OllamaChatClient | OllamaGenerateClient):
        raise InvalidRequest("messages must hold at least one message of the user.", "messages")
    keep_alive = request.extra.get("keep_alive")
    if isinstance(keep_alive, bool) or not isinstance(keep_alive, str | int | float | None):
        raise InvalidRequest("keep_alive must be a duration or a number of seconds.", "keep_alive")
    problem: WireError | None = None
    for target in decision.targets:
        provider = snapshot.providers[target.provider]
        found = await provider.availability(target.model)
        if not found.usable:
            status, kind = (404, "not_found") if found.missing else (503, "unavailable")
            problem = problem or WireError(found.reason, status=status, kind=kind)
            continue
        exchange.target = Target(target.provider, found.model or target.model, target.tier)
        exchange.free = provider.free
        unload = keep_alive is not None and _NO_TIME.fullmatch(str(keep_alive)) is not None
        if unload:
            await provider.unload(exchange.target.model)
        else:
            await provider.load(exchange.target.model, keep_alive)
        exchange.status, exchange.usage, exchange.cost = 200, Usage(), 0.0
        body = codec.encode_loaded(request.model, unloaded=unload)
        return web.Response(body=body, headers=response_headers(exchange), content_type="application/json")
    raise problem or WireError("No model is configured for this request.", status=503, kind="unavailable")
