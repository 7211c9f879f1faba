"""The way of a request through the engine: every step, in its order, in `Flow.handle`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

import msgspec
from aiohttp import web

from lynkr_desktop.engine.cache.replay import replay, take_over
from lynkr_desktop.engine.cache.responses import ResponseCache
from lynkr_desktop.engine.delivery import Delivery, estimated_usage, prompt_usage
from lynkr_desktop.engine.exchange import Exchange, response_headers
from lynkr_desktop.engine.guards import read_body
from lynkr_desktop.engine.loading import load_only
from lynkr_desktop.engine.passages.hook import Passages
from lynkr_desktop.engine.resilience.budgets import Budgets
from lynkr_desktop.engine.resilience.guarded_sessions import GuardedSessions
from lynkr_desktop.engine.resilience.traffic import Traffic
from lynkr_desktop.engine.routing.router import Asking
from lynkr_desktop.engine.security.caller import MODELS, NOBODY
from lynkr_desktop.engine.security.egress import Egress
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.upstream import Open, Upstream, Whole, text_calls_of
from lynkr_desktop.engine.wire.calls import CallIds
from lynkr_desktop.engine.wire.canonical import Failed, Usage
from lynkr_desktop.engine.wire.codec import ClientCodec
from lynkr_desktop.engine.wire.errors import WireError

log = logging.getLogger(__name__)

CLIENT_GONE = 499


class Host(Protocol):
    """What the flow needs of the engine."""

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force, with its router, guard and providers."""

    @property
    def egress(self) -> Egress:
        """What may leave this machine."""

    @property
    def cache(self) -> ResponseCache:
        """Replies that were given before."""

    @property
    def passages(self) -> Passages:
        """What is put before asks: memories, for one."""

    @property
    def traffic(self) -> Traffic:
        """The ways to the models."""

    @property
    def sessions(self) -> GuardedSessions:
        """Which sessions may go on."""

    @property
    def budgets(self) -> Budgets:
        """What sessions, projects, days and keys may use."""

    def enter(self, exchange: Exchange) -> None:
        """A request came in."""

    @property
    def cut_off(self) -> WireError | None:
        """What requests are told that the engine no longer waits for; None while it does."""

    def admit(self, exchange: Exchange) -> None:
        """Raises `WireError` 503 while paused or draining, 503 or 529 while overloaded."""

    def spare(self, exchange: Exchange) -> None:
        """Raises `WireError` 503 or 529 where pressure leaves no room for what nobody waits for."""

    def routed(self, exchange: Exchange) -> None:
        """A request goes out to `exchange.target`."""

    def price(self, exchange: Exchange, usage: Usage) -> float | None:
        """The cost of `usage` at the target of `exchange`, None when the price is unknown."""

    def leave(self, exchange: Exchange) -> None:
        """A request has ended; it is recorded."""


class Flow:
    """Takes requests of every client protocol through the same steps."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._upstream = Upstream(host.traffic, host.budgets, host.routed)

    def handle(self, http: web.Request, codec: ClientCodec) -> Awaitable[web.StreamResponse]:
        """Answers one request."""
        exchange = Exchange(codec=codec, headers=http.headers, task=http.task, query=http.query_string)
        return answered(self._host, exchange, self._steps(http, exchange))

    async def _steps(self, http: web.Request, exchange: Exchange) -> web.StreamResponse:
        snapshot = self._host.snapshot
        exchange.caller = NOBODY
        exchange.caller = snapshot.guard.check(http)
        snapshot.guard.permit(exchange.caller, MODELS)
        exchange.credential = snapshot.guard.own_credential(http)
        self._host.admit(exchange)
        exchange.body = await read_body(http, snapshot.config.proxy.max_body)
        exchange.request = self._host.cache.decoded(exchange.codec, exchange.body)
        asking = Asking(exchange.request, http.headers, exchange.session, exchange.id, exchange.caller.tiers)
        exchange.decision = await snapshot.decide(asking, fresh=exchange.codec.name.startswith("ollama"))
        with self._host.egress.for_request(exchange.decision.profile.local_only):
            if not exchange.request.messages:
                return await load_only(exchange, snapshot)
            self._host.spare(exchange)
            self._host.sessions.check(exchange)
            if self._host.budgets.enabled or exchange.caller.limited:
                await self._host.budgets.open(exchange, snapshot.config.routing.workspace)
            exchange.stages = snapshot.stages_of(exchange.decision.profile, http.headers)
            if self._host.passages.enabled:
                await self._host.passages.put_in(exchange, snapshot.config.routing.workspace)
            if (stored := await self._host.cache.find(exchange, snapshot)) is not None:
                take_over(exchange, stored)
                self._host.routed(exchange)
                return await replay(http, exchange, stored)
            answer = await self._upstream.ask(exchange, snapshot)
        if isinstance(answer, Whole):
            return self._deliver_whole(exchange, answer)
        return await self._deliver_stream(http, exchange, snapshot, answer)

    # ------------------------------------------------------------ client

    def _deliver_whole(self, exchange: Exchange, whole: Whole) -> web.Response:
        reply, request, target = whole.reply, exchange.request, exchange.target
        assert request is not None
        assert target is not None
        usage, exchange.told_model = reply.usage, reply.model
        if usage.estimated:
            characters = sum(len(msgspec.json.encode(block)) for block in reply.content)
            usage = estimated_usage(exchange, usage, characters)
        usage = msgspec.structs.replace(usage, cost=self._host.price(exchange, usage))
        exchange.usage, exchange.cost = usage, usage.cost
        exchange.status = 200
        body = whole.raw
        if not body:
            reply = CallIds(request).settle_reply(reply)
            reply = msgspec.structs.replace(reply, usage=usage, model=reply.model or target.model)
            body = exchange.codec.encode_reply(reply, request)
        if exchange.recording is not None:
            reply = msgspec.structs.replace(reply, usage=usage, model=reply.model or target.model)
            exchange.recording.add_reply(reply)
            self._host.cache.keep(exchange)
        return web.Response(body=body, headers=response_headers(exchange), content_type="application/json")

    async def _deliver_stream(
        self, http: web.Request, exchange: Exchange, snapshot: Snapshot, opened: Open
    ) -> web.StreamResponse:
        request, target = exchange.request, exchange.target
        assert request is not None
        assert target is not None
        exchange.status = 200
        exchange.usage = prompt_usage(exchange, opened.first[0][1])
        exchange.cost = self._host.price(exchange, exchange.usage)
        response = web.StreamResponse(headers=response_headers(exchange))
        response.content_type = exchange.codec.stream_type
        response.headers["cache-control"] = "no-cache"
        delivery = Delivery(
            exchange,
            untouched=opened.answer.dialect == exchange.codec.name,
            price=self._host.price,
            text_calls=text_calls_of(exchange, snapshot.providers[target.provider], request, opened.answer),
        )
        try:
            await response.prepare(http)
            for raw, events in opened.first:
                if out := delivery.out(raw, events):
                    await response.write(out)
                exchange.delivered = delivery.complete
            async for raw, events in opened.pieces:
                if out := delivery.out(raw, events):
                    await response.write(out)
                exchange.delivered = delivery.complete
            if out := delivery.end():
                await response.write(out)
            await response.write_eof()
        except asyncio.CancelledError:
            if (why := _cut_off(self._host)) is None or not response.prepared:
                raise
            if out := delivery.out(b"", [Failed(why.message, status=why.status, kind=why.kind)]):
                await response.write(out)
            await response.write_eof()
        finally:
            await opened.answer.close()
            exchange.warning = opened.answer.warning
            exchange.usage = delivery.usage
            exchange.cost = exchange.usage.cost
            if delivery.complete:
                self._host.cache.keep(exchange)
        return response


async def answered(
    host: Host, exchange: Exchange, steps: Coroutine[Any, Any, web.StreamResponse]
) -> web.StreamResponse:
    """Takes the steps of a request; whatever happens, it is answered in its own protocol and recorded."""
    host.enter(exchange)
    try:
        return await steps
    except WireError as error:
        exchange.fail(error)
        return error_response(exchange, error)
    except (asyncio.CancelledError, ConnectionError) as gone:
        if isinstance(gone, asyncio.CancelledError) and (why := _cut_off(host)) is not None:
            exchange.fail(why)
            return error_response(exchange, why)
        if not exchange.delivered:
            exchange.status = CLIENT_GONE
            exchange.error = exchange.error or "The client went away."
        raise
    except Exception:
        log.exception("request %s failed inside the engine", exchange.id)
        inside = WireError(
            f"Lynkr failed inside. Its log has the details under {exchange.id}.",
            status=500,
            kind="internal",
        )
        exchange.fail(inside)
        return error_response(exchange, inside)
    finally:
        host.leave(exchange)


def _cut_off(host: Host) -> WireError | None:
    """What a cancelled request is told where the engine cancelled it, which is undone; None otherwise."""
    task = asyncio.current_task()
    if host.cut_off is not None and task is not None:
        task.uncancel()
    return host.cut_off


def error_response(exchange: Exchange, error: WireError) -> web.Response:
    """An error in the client's protocol."""
    headers = {**error.headers, **response_headers(exchange)}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    return web.Response(
        status=error.status,
        body=exchange.codec.encode_error(error, exchange.id),
        headers=headers,
        content_type="application/json",
    )
