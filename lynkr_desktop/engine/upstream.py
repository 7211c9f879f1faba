"""A request on its way to the models: which are asked, in which order, how often; how answers begin."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.optimization.inner import InnerAnswer
from lynkr_desktop.engine.providers.base import Answer, Call, EventAnswer, Provider
from lynkr_desktop.engine.providers.key import refusal
from lynkr_desktop.engine.resilience.budgets import Budgets
from lynkr_desktop.engine.resilience.traffic import Passage, Traffic, to_repeat
from lynkr_desktop.engine.routing.selection import SHORT, Choice, Skipped, Wants
from lynkr_desktop.engine.routing.spread import conversation_of
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.wire.canonical import Event, Failed, Reply, ReplyFold, Request, Started
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.patch import patched_body
from lynkr_desktop.engine.wire.text_calls import TextToolCalls

log = logging.getLogger(__name__)

_LONG = 100_000
"""Bytes of a body from which on it is patched in a thread, so that no other request waits."""

# What another model may do better; a request that is wrong in itself is not sent elsewhere.
_TRY_NEXT = frozenset({401, 402, 403, 404, 408, 409, 429, 500, 501, 502, 503, 504, 529})


@dataclass(slots=True)
class Whole:
    """An upstream answer that was read to its end."""

    reply: Reply
    raw: bytes


@dataclass(slots=True)
class Open:
    """An upstream answer whose first events are known and good."""

    answer: Answer
    pieces: AsyncIterator[tuple[bytes, list[Event]]]
    first: list[tuple[bytes, list[Event]]]


class Upstream:
    """Finds a model that answers.

    Args:
        traffic: the ways to the models.
        budgets: what may still be spent.
        routed: is told of each model that a request is sent to, by `exchange.target`.
    """

    def __init__(self, traffic: Traffic, budgets: Budgets, routed: Callable[[Exchange], None]) -> None:
        self._traffic = traffic
        self._budgets = budgets
        self._routed = routed

    async def ask(self, exchange: Exchange, snapshot: Snapshot) -> Whole | Open:
        """Tries the models tier by tier, each tier's as they are ranked, until one begins to answer well."""
        decision, tried = exchange.decision, exchange.skipped
        assert decision is not None
        wants = _wants(exchange, snapshot.selection.spreads)
        late: list[Choice] = []
        for targets in decision.steps:
            choices, skipped = await snapshot.selection.rank(targets, wants, decision.profile)
            tried += skipped
            slow = [choice for choice in choices if self._traffic.is_slow(choice)]
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
    ) -> Whole | Open | None:
        """Tries some models, and again those that may have recovered after a pause; None if none answers."""
        pending = self._traffic.passages(exchange, choices)
        backoff = self._traffic.backoff()
        while True:
            failed: list[tuple[Passage, WireError]] = []
            for passage in pending:
                choice = passage.choice
                exchange.target, exchange.free = choice.target, choice.provider.free
                if exchange.hold is not None:
                    try:
                        self._budgets.reserve(exchange)
                    except WireError as error:
                        # Another model may be free.
                        passage.close()
                        exchange.skipped.append(Skipped(choice.target, error))
                        continue
                self._routed(exchange)
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
                    exchange.skipped += [Skipped(passage.choice.target, why) for passage, why in failed]
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

    async def _attempt(self, exchange: Exchange, snapshot: Snapshot, choice: Choice) -> Whole | Open:
        request, target = exchange.request, exchange.target
        assert request is not None
        assert target is not None
        provider = choice.provider
        dialect = exchange.codec.name
        if request.inexpressible and not provider.speaks(dialect, target.model):
            named = ", ".join(request.inexpressible)
            raise Unsupported(f"{target.name} cannot be given: {named}.", request.inexpressible[0])
        if (
            exchange.stages
            and not request.inexpressible
            and not snapshot.optimizer.idle(request, exchange.stages, choice.window)
        ):
            answer = await self._send_optimized(exchange, snapshot, provider, choice.window)
        else:
            answer = await provider.send(_call(exchange, request, target.model, dialect, exchange.body))
        exchange.answered = True
        exchange.dropped, exchange.upstream_headers = answer.dropped, answer.headers
        if request.stream:
            return await self._begin(answer)
        text_calls = text_calls_of(exchange, provider, request, answer)
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
        return Whole(reply, raw)

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
            lambda sent, got: text_calls_of(exchange, provider, sent, got),
        )
        exchange.inner_calls = inner.calls
        return inner

    async def _begin(self, answer: Answer) -> Open:
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
        return Open(answer, pieces, first)


async def _read(answer: Answer) -> list[tuple[bytes, list[Event]]]:
    """All pieces of an answer that is not streamed to the client."""
    if isinstance(answer, EventAnswer):
        return [(answer.raw, answer.events)]
    try:
        return [piece async for piece in answer]
    finally:
        await answer.close()


def text_calls_of(
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
