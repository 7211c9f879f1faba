"""Answers the calls that are the engine's: of its own tools, or of the client's for what was left out.

The engine answers such a call and asks the model again, in a loop that the client does not see: it gets one
reply made of all of them. Where the model called other tools of the client's in the same breath, those go to
the client, and ours are dropped: it may call again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import cast

from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.stage import Inner, InnerTool
from lynkr_desktop.engine.providers.base import Answer
from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Message,
    RedactedThinking,
    Reply,
    ReplyFold,
    Request,
    Started,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
    parse_arguments,
)
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.text_calls import TextToolCalls

MOST_CALLS = 24
"""Calls of inner tools within one reply, beyond which a model is taken to go in circles."""

Ask = Callable[[Request], Awaitable[Answer]]
"""Sends a request to the same model; raises `WireError`."""

Reader = Callable[[Request, Answer], TextToolCalls | None]
"""What finds tool calls that the model writes as text; None where it writes none."""


class InnerAnswer(Answer):
    """A reply whose calls of inner tools are answered on the way.

    Args:
        request: as it went to the model.
        answer: the model's first answer.
        inner: what answers each tool of the engine's own, by name.
        ask: sends the request that goes on.
        reader: finds calls in text.
    """

    def __init__(
        self,
        request: Request,
        answer: Answer,
        inner: Mapping[str, InnerTool],
        ask: Ask,
        reader: Reader,
    ) -> None:
        self._request = request
        self._answer = answer
        self._inner = inner
        self._ask = ask
        self._reader = reader
        self.dropped, self.headers = answer.dropped, answer.headers
        self.content_type = answer.content_type
        self.calls: list[str] = []
        """The inner tools that were called, in order."""

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        """The whole reply as events, without bytes of the upstream."""
        turn = _Turn(self._request, self._inner)
        while True:
            text_calls = self._reader(self._request, self._answer)
            # Its generator must end with ours, or the connection would stay open.
            pieces = cast(AsyncGenerator[tuple[bytes, list[Event]]], aiter(self._answer))
            async with aclosing(pieces):
                async for _, events in pieces:
                    found = text_calls.feed(events) if text_calls is not None else events
                    if told := turn.take(found):
                        yield b"", told
            self.warning = self._answer.warning
            await self._answer.close()
            if not turn.goes_on:
                return
            self.calls += [call.name for call, _ in turn.answered]
            if len(self.calls) > MOST_CALLS:
                yield b"", [Failed("The model asked for what was left out of its prompt again and again.")]
                return
            self._request = _continued(self._request, turn)
            turn = turn.next(self._request)
            try:
                self._answer = await self._ask(self._request)
            except WireError as error:
                yield b"", [Failed(error.message, error.status, error.kind)]
                return

    async def close(self) -> None:
        """Ends what is open."""
        await self._answer.close()


class _Turn:
    """One reply of the model on its way to the client.

    Attributes:
        request: that it answers.
        inner: what answers inner tools.
        answered: the calls of inner tools, with what is said to them.
        goes_on: the model must be asked again.
    """

    def __init__(
        self,
        request: Request,
        inner: Mapping[str, InnerTool],
        blocks: int = 0,
        spent: Usage | None = None,
    ) -> None:
        self.request = request
        self.answered: list[tuple[ToolUse, Inner]] = []
        self.goes_on = False
        self.inner = inner
        self._blocks = blocks
        self._spent = spent
        self._fold = ReplyFold()
        self._places: dict[int, int] = {}
        self._held: dict[int, tuple[ToolUse, list[str]]] = {}
        self._clients = 0

    @property
    def content(self) -> tuple[Text | Thinking | RedactedThinking | ToolUse, ...]:
        """What the model said, with its calls of inner tools and without those of others."""
        reply = self._fold.result()
        return reply.content if isinstance(reply, Reply) else ()

    def next(self, request: Request) -> _Turn:
        """The reply that follows when the model was asked again."""
        return _Turn(request, self.inner, self._blocks, self._spent)

    def take(self, events: list[Event]) -> list[Event]:
        """Takes events of the model; gives those that the client gets."""
        self._fold.feed(events)
        told: list[Event] = []
        for event in events:
            told += self._told(event)
        return told

    def _told(self, event: Event) -> list[Event]:
        match event:
            case Started():
                return [event] if self._spent is None else []
            case BlockStarted(block=ToolUse() as call) if call.name in self.inner:
                self._held[event.index] = call, []
                return []
            case BlockStarted():
                self._clients += isinstance(event.block, ToolUse)
                return [BlockStarted(self._place(event.index), event.block)]
            case ToolInputDelta() if event.index in self._held:
                self._held[event.index][1].append(event.json)
                return []
            case BlockStopped() if event.index in self._held:
                return self._answer(event.index)
            case TextDelta() | ThinkingDelta() | ToolInputDelta() | BlockStopped():
                return [replace(event, index=self._places[event.index])]
            case Stopped():
                return self._stop(event)
        return [event]

    def _answer(self, index: int) -> list[Event]:
        """Answers a call of ours, now that its arguments are whole; it may stand for one of the client's."""
        call, parts = self._held.pop(index)
        arguments = parse_arguments("".join(parts)) if parts else call.input
        said = self.inner[call.name](arguments)
        if said.call is None:
            self.answered.append((replace(call, input=arguments), said))
            return []
        name, given = said.call
        self._clients += 1
        place = self._place(index)
        # A call of the client's own tool goes on as the model wrote it.
        written = "".join(parts) if name == call.name and parts else encode_json(given).decode()
        return [
            BlockStarted(place, ToolUse(call.id, name, {})),
            ToolInputDelta(place, written),
            BlockStopped(place),
        ]

    def _stop(self, event: Stopped) -> list[Event]:
        # A reply that was cut short is none to go on from: the arguments may be cut too.
        whole = event.reason in ("tool_use", "end_turn")
        self.goes_on = bool(self.answered) and not self._clients and whole
        usage = event.usage
        if usage.estimated and (self.goes_on or self._spent is not None):
            usage = self._estimated(usage)
        if self._spent is not None:
            usage = _sum(self._spent, usage)
        if self.goes_on:
            self._spent = usage
            return []
        reason = event.reason
        if reason == "tool_use" and not self._clients:
            reason = "end_turn"
        return [replace(event, usage=usage, reason=reason)]

    def _estimated(self, usage: Usage) -> Usage:
        """What this one prompt and reply took, where the provider does not tell: one of several in a sum."""
        return replace(
            usage,
            input_tokens=usage.input_tokens or tokens.of_request(self.request),
            output_tokens=usage.output_tokens or sum(map(tokens.of_block, self.content)),
        )

    def _place(self, index: int) -> int:
        place = self._places[index] = self._blocks
        self._blocks += 1
        return place


def _continued(request: Request, turn: _Turn) -> Request:
    """The request with the model's turn, and our answers to it."""
    results = tuple(ToolResult(call.id, (Text(said.text),)) for call, said in turn.answered)
    turns = Message("assistant", turn.content), Message("user", results)
    return replace(request, messages=(*request.messages, *turns))


def _sum(one: Usage, other: Usage) -> Usage:
    """What two replies took together."""
    costs = [usage.cost for usage in (one, other) if usage.cost is not None]
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
        estimated=one.estimated or other.estimated,
        cost=sum(costs) if len(costs) == 2 else None,
    )
