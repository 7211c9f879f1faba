"""The way of a request through the engine: every step, in its order, in `Flow.handle`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from aiohttp import web

from lynkr_desktop.engine.cache.replay import replay, take_over
from lynkr_desktop.engine.cache.responses import ResponseCache
from lynkr_desktop.engine.delivery import Delivery, estimated_usage, prompt_usage
from lynkr_desktop.engine.exchange import Exchange, response_headers
from lynkr_desktop.engine.guards import read_body
from lynkr_desktop.engine.loading import load_only
from lynkr_desktop.engine.optimization.inner import InnerAnswer
from lynkr_desktop.engine.passages.hook import Passages
from lynkr_desktop.engine.providers.base import Answer, Call, EventAnswer, Provider
from lynkr_desktop.engine.providers.key import refusal
from lynkr_desktop.engine.resilience.budgets import Budgets
from lynkr_desktop.engine.resilience.guarded_sessions import GuardedSessions
from lynkr_desktop.engine.resilience.traffic import Passage, Traffic, to_repeat
from lynkr_desktop.engine.routing.router import Asking
from lynkr_desktop.engine.routing.selection import SHORT, Choice, Skipped, Wants
from lynkr_desktop.engine.routing.spread import conversation_of
from lynkr_desktop.engine.security.caller import MODELS, NOBODY
from lynkr_desktop.engine.security.egress import Egress
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.security.spending import Spending
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.wire.calls import CallIds
from lynkr_desktop.engine.wire.canonical import Event, Failed, Reply, ReplyFold, Request, Started, Usage
from lynkr_desktop.engine.wire.codec import ClientCodec, Dialect
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.patch import patched_body
from lynkr_desktop.engine.wire.text_calls import TextToolCalls

log = logging.getLogger(__name__)

CLIENT_GONE = 499
_LONG = 100_000
"""Bytes of a body from which on it is patched in a thread, so that no other request waits."""

# What another model may do better; a request that is wrong in itself is not sent elsewhere.
_TRY_NEXT = frozenset({401, 402, 403, 404, 408, 409, 429, 500, 501, 502, 503, 504, 529})


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

    @property
    def spending(self) -> Spending:
        """What access keys have used today."""

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


@dataclass(slots=True)
class _Whole:
    """An upstream answer that was read to its end."""

    reply: Reply
    raw: bytes


@dataclass(slots=True)
class _Open:
    """An upstream answer whose first events are known and good."""

    answer: Answer
    pieces: AsyncIterator[tuple[bytes, list[Event]]]
    first: list[tuple[bytes, list[Event]]]


class Flow:
    """Takes requests of every client protocol through the same steps."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def handle(self, http: web.Request, codec: ClientCodec) -> Awaitable[web.StreamResponse]:
        """Answers one request."""
        exchange = Exchange(codec=codec, headers=http.headers, query=http.query_string)
        return answered(self._host, exchange, self._steps(http, exchange))

    async def _steps(self, http: web.Request, exchange: Exchange) -> web.StreamResponse:
        snapshot = self._host.snapshot
        exchange.caller = NOBODY
        exchange.caller = snapshot.guard.check(http)
        snapshot.guard.permit(exchange.caller, MODELS)
        self._host.spending.check(exchange.caller)
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
            if self._host.budgets.enabled:
                await self._host.budgets.open(exchange, snapshot.config.routing.workspace)
            exchange.stages = snapshot.stages_of(exchange.decision.profile, http.headers)
            if self._host.passages.enabled:
                await self._host.passages.put_in(exchange, snapshot.config.routing.workspace)
            if (stored := await self._host.cache.find(exchange, snapshot)) is not None:
                take_over(exchange, stored)
                self._host.routed(exchange)
                return await replay(http, exchange, stored)
            answer = await self._ask(exchange, snapshot)
        if isinstance(answer, _Whole):
            return self._deliver_whole(exchange, answer)
        return await self._deliver_stream(http, exchange, snapshot, answer)

    # ------------------------------------------------------------ upstream

    async def _ask(self, exchange: Exchange, snapshot: Snapshot) -> _Whole | _Open:
        """Tries the models tier by tier, each tier's as they are ranked, until one begins to answer well."""
        decision, tried = exchange.decision, exchange.skipped
        assert decision is not None
        wants = _wants(exchange, snapshot.selection.spreads)
        late: list[Choice] = []
        for targets in decision.steps:
            choices, skipped = await snapshot.selection.rank(targets, wants, decision.profile)
            tried += skipped
            slow = [choice for choice in choices if self._host.traffic.is_slow(choice)]
            if slow:
                late += slow
                choices = [choice for choice in choices if choice not in slow]
            if choices and (answer := await self._ask_each(exchange, snapshot, choices)) is not None:
                return answer
        if late and (answer := await self._ask_each(exchange, snapshot, late)) is not None:
            return answer
        raise _none_left(tried)

    async def _ask_each(
        self, exchange: Exchange, snapshot: Snapshot, choices: list[Choice]
    ) -> _Whole | _Open | None:
        """Tries some models, and again those that may have recovered after a pause; None if none answers."""
        pending = self._host.traffic.passages(exchange, choices)
        backoff = self._host.traffic.backoff()
        while True:
            failed: list[tuple[Passage, WireError]] = []
            for passage in pending:
                choice = passage.choice
                exchange.target, exchange.free = choice.target, choice.provider.free
                if exchange.hold is not None:
                    try:
                        self._host.budgets.reserve(exchange)
                    except WireError as error:
                        # Another model may be free.
                        passage.close()
                        exchange.skipped.append(Skipped(choice.target, error))
                        continue
                self._host.routed(exchange)
                try:
                    await passage.enter()
                    answer = await self._attempt(exchange, snapshot, choice)
                except WireError as error:
                    passage.failed(error)
                    # Some upstreams repeat in their errors the key that they were given.
                    error.message = redact(error.message)
                    if error.status == 401:
                        error.message = refusal(
                            error.message, choice.provider, exchange.credential is not None
                        )
                    if error.status not in _TRY_NEXT and not isinstance(error, Unsupported):
                        raise
                    log.info("%s: %s did not answer: %s", exchange.id, choice.target.name, error.message)
                    failed.append((passage, error))
                else:
                    passage.answered()
                    return answer
            pending, pause = to_repeat(failed, backoff)
            for passage, why in failed:
                if passage not in pending:
                    passage.close()
                    exchange.skipped.append(Skipped(passage.choice.target, why))
            if not pending:
                return None
            await asyncio.sleep(pause)
            for passage in pending:
                passage.repeated()

    async def _attempt(self, exchange: Exchange, snapshot: Snapshot, choice: Choice) -> _Whole | _Open:
        request, target = exchange.request, exchange.target
        assert request is not None
        assert target is not None
        provider = choice.provider
        dialect = exchange.codec.name
        if request.inexpressible and not provider.speaks(dialect, target.model):
            named = ", ".join(request.inexpressible)
            raise Unsupported(f"{target.name} cannot be given: {named}.", request.inexpressible[0])
        if exchange.stages and not request.inexpressible:
            answer = await self._send_optimized(exchange, snapshot, provider, choice.window)
        else:
            answer = await provider.send(_call(exchange, request, target.model, dialect, exchange.body))
        exchange.answered = True
        exchange.dropped, exchange.upstream_headers = answer.dropped, answer.headers
        if request.stream:
            return await self._begin(answer)
        text_calls = _text_calls(exchange, provider, request, answer)
        fold = ReplyFold()
        raw = b""
        for piece, events in await _read(answer):
            raw = piece if answer.dialect == dialect else b""
            fold.feed(text_calls.feed(events) if text_calls else events)
        exchange.warning = answer.warning
        if text_calls is not None and text_calls.found:
            raw = b""
        reply = fold.result()
        if isinstance(reply, Failed):
            raise WireError(reply.message, status=reply.status, kind=reply.kind)
        return _Whole(reply, raw)

    async def _send_optimized(
        self, exchange: Exchange, snapshot: Snapshot, provider: Provider, window: int | None
    ) -> Answer:
        """Sends what the stages make of a request, and answers the calls of tools that they brought along."""
        request, target, dialect = exchange.request, exchange.target, exchange.codec.name
        assert request is not None
        assert target is not None
        made = await snapshot.optimizer.run(request, exchange.stages, len(exchange.body), window)
        exchange.sent, exchange.receipts = made.request, (*exchange.added, *made.receipts)

        async def ask(changed: Request) -> Answer:
            if changed is request:
                return await provider.send(_call(exchange, request, target.model, dialect, exchange.body))
            body: bytes | None = None
            if provider.speaks(dialect, target.model):
                given = exchange.body, dialect, request, changed
                long = len(exchange.body) > _LONG
                body = await asyncio.to_thread(patched_body, *given) if long else patched_body(*given)
            own = None if body is None else dialect
            return await provider.send(_call(exchange, changed, target.model, own, body or b""))

        answer = await ask(made.request)
        if not made.inner:
            return answer
        inner = InnerAnswer(
            made.request,
            answer,
            made.inner,
            ask,
            lambda sent, got: _text_calls(exchange, provider, sent, got),
        )
        exchange.inner_calls = inner.calls
        return inner

    async def _begin(self, answer: Answer) -> _Open:
        """Reads up to the first content, so that what fails at once still gets a status of its own."""
        pieces = aiter(answer)
        first: list[tuple[bytes, list[Event]]] = []
        try:
            async for raw, events in pieces:
                first.append((raw, events))
                told = next((event for event in events if not isinstance(event, Started)), None)
                if isinstance(told, Failed):
                    raise WireError(told.message, status=told.status, kind=told.kind)
                if told is not None:
                    break
        except BaseException:
            await answer.close()
            raise
        return _Open(answer, pieces, first)

    # ------------------------------------------------------------ client

    def _deliver_whole(self, exchange: Exchange, whole: _Whole) -> web.Response:
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
        self, http: web.Request, exchange: Exchange, snapshot: Snapshot, opened: _Open
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
            text_calls=_text_calls(exchange, snapshot.providers[target.provider], request, opened.answer),
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


async def _read(answer: Answer) -> list[tuple[bytes, list[Event]]]:
    """All pieces of an answer that is not streamed to the client."""
    if isinstance(answer, EventAnswer):
        return [(answer.raw, answer.events)]
    try:
        return [piece async for piece in answer]
    finally:
        await answer.close()


def _text_calls(
    exchange: Exchange, provider: Provider, request: Request, answer: Answer
) -> TextToolCalls | None:
    """Looks for tool calls in text where the models may write them and tools were offered.

    Servers that speak Responses find them themselves, and its numbered events could not be cut in two.
    """
    if isinstance(answer, InnerAnswer) or answer.dialect == "openai_responses":
        return None
    if not provider.text_tool_calls or not request.offers_tools:
        return None
    text_calls = TextToolCalls(request)
    if exchange.recording is not None:
        exchange.recording.text_calls.append(text_calls)
    return text_calls


def _call(exchange: Exchange, request: Request, model: str, dialect: Dialect | None, body: bytes) -> Call:
    return Call(request, model, dialect, body, exchange.headers, exchange.credential, exchange.query)


def _wants(exchange: Exchange, spreads: bool) -> Wants:
    request = exchange.request
    assert request is not None
    size = len(exchange.body)
    # Counting what is no text takes time, and short requests suit every model.
    size -= request.media_bytes if size > SHORT else 0
    fits = "sliding_window_history" in exchange.stages
    conversation = conversation_of(request, exchange.session) if spreads else ""
    return Wants(request.needs, size, exchange.credential is not None, fits, conversation)


def _none_left(tried: list[Skipped]) -> WireError:
    if len(tried) == 1:
        return tried[0].error
    # Models of one provider mostly fail for one reason.
    names: dict[str, list[str]] = {}
    for skipped in tried:
        names.setdefault(skipped.error.message, []).append(skipped.target.name)
    reasons = "; ".join(f"{', '.join(named)}: {message}" for message, named in names.items())
    errors = [skipped.error for skipped in tried]
    sent = [error for error in errors if error.status != 503 and not isinstance(error, Unsupported)]
    sent = sent or [error for error in errors if isinstance(error, Unsupported)]
    last = sent[-1] if sent else WireError("", status=503, kind="unavailable")
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    return WireError(
        f"No model could answer. Tried {reasons}" if tried else "No model is configured for this request.",
        status=last.status,
        kind=last.kind,
        retry_after=min(waits, default=None),
    )


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
