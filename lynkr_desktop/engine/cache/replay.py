"""A stored reply on its way to a client, as a stream or whole, in the client's own protocol."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from lynkr_desktop.engine.cache.stored import Stored
from lynkr_desktop.engine.exchange import Exchange, response_headers
from lynkr_desktop.engine.routing.decision import Target
from lynkr_desktop.engine.wire.canonical import Event, Reply, Stopped

_EVENTS = 128
"""Events that are encoded and written at once."""


def take_over(exchange: Exchange, stored: Stored) -> None:
    """Lets the record of a request tell that a stored reply answers it: from a cache, and free."""
    facts = stored.facts
    exchange.target = Target(facts.provider, facts.model, facts.tier)
    exchange.told_model = facts.told_model
    exchange.usage = msgspec.structs.replace(
        facts.usage, cached_tokens=facts.usage.input_tokens, cache_write_tokens=0, cost=0.0
    )
    exchange.cost = 0.0


async def replay(http: web.Request, exchange: Exchange, stored: Stored) -> web.StreamResponse:
    """Answers with a stored reply."""
    request = exchange.request
    assert request is not None
    events = [_free(event) for event in stored.events]
    if not request.stream:
        reply = Reply.of(events)
        assert isinstance(reply, Reply)  # nothing else is stored, nor found
        exchange.mark_first_token()
        exchange.status = 200
        body = exchange.codec.encode_reply(reply, request)
        headers = response_headers(exchange)
        return web.Response(body=body, headers=headers, content_type="application/json")
    encoder = exchange.codec.stream_encoder(request)
    exchange.status = 200
    response = web.StreamResponse(headers=response_headers(exchange))
    response.content_type = exchange.codec.stream_type
    response.headers["cache-control"] = "no-cache"
    await response.prepare(http)
    exchange.mark_first_token()
    for start in range(0, len(events), _EVENTS):
        piece = b"".join([encoder.encode(event) for event in events[start : start + _EVENTS]])
        if piece:
            await response.write(piece)
        await asyncio.sleep(0)  # other requests go on while a long reply is encoded
    exchange.delivered = True
    await response.write_eof()
    return response


def _free(event: Event) -> Event:
    """An event that tells no cost: this time there is none."""
    if isinstance(event, Stopped) and event.usage.cost is not None:
        return msgspec.structs.replace(event, usage=msgspec.structs.replace(event.usage, cost=0.0))
    return event
