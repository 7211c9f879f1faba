"""From the pieces of one upstream answer to the client's bytes, with count kept of what went through."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lynkr_desktop.engine.exchange import Exchange, output_estimate
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.wire.calls import CallIds
from lynkr_desktop.engine.wire.canonical import (
    NAMELESS_CALL,
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Started,
    Stopped,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.text_calls import TextToolCalls

_FRAME = (Started, BlockStarted, BlockStopped)
_BROKEN_OFF = Failed("The model's answer broke off before its end.")


class Delivery:
    """One streamed answer.

    An upstream of the client's own protocol is passed on byte for byte, for as long as its bytes tell the
    story: once a tool call was found in its text, the rest is encoded from the events.

    Args:
        exchange: the request; its error, status and first token are noted here.
        untouched: whether the upstream's bytes mean something to the client.
        price: the cost of a usage, None where the price is not known.
        text_calls: finds tool calls that the model writes as text; None looks for none.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        untouched: bool,
        price: Callable[[Exchange, Usage], float | None],
        text_calls: TextToolCalls | None = None,
    ) -> None:
        assert exchange.request is not None
        self._exchange = exchange
        self._untouched = untouched
        self._price = price
        self._encoder = exchange.codec.stream_encoder(exchange.request)
        self._text_calls = text_calls
        self._ids = CallIds(exchange.request)
        self._held_raw = b""
        self._held: list[Event] = []
        self._frame: list[Event] = []
        """What the encoder must know of the part that went out untouched."""
        self._characters = 0
        self._stopped: Stopped | None = None
        self._failure: Failed | None = None

    @property
    def usage(self) -> Usage:
        """The tokens so far, and their cost: as reported, else estimated from what went through."""
        return self._stopped.usage if self._stopped is not None else self._priced(Usage(estimated=True))

    def _priced(self, usage: Usage) -> Usage:
        if usage.estimated:
            usage = estimated_usage(self._exchange, usage, self._characters)
        return msgspec.structs.replace(usage, cost=self._price(self._exchange, usage))

    @property
    def complete(self) -> bool:
        """Whether the answer came to a good end."""
        return self._stopped is not None and self._failure is None

    def out(self, raw: bytes, events: list[Event]) -> bytes:
        """The bytes for the client; an upstream's failure becomes an error of the client's protocol."""
        if self._failure is not None:
            return b""
        if self._text_calls is not None:
            events = self._text_calls.feed(events)
        good = self._noted(events)
        if (recording := self._exchange.recording) is not None:
            recording.add(good)
        if self._failure is not None:
            if self._untouched and self._failure.told and _holds_no_secret(raw):
                return self._held_raw + raw
            return self._encoded([*self._unheld(good), self._failure])
        if not self._untouched or (self._text_calls is not None and self._text_calls.found):
            return self._encoded(self._unheld(good))
        return self._out_untouched(raw, good)

    def end(self) -> bytes:
        """What is still owed at the end of the upstream's answer: an error, if it never stopped or failed."""
        return b"" if self._stopped is not None else self.out(b"", [_BROKEN_OFF])

    def _out_untouched(self, raw: bytes, events: list[Event]) -> bytes:
        self._held += events
        if self._text_calls is not None:
            self._held_raw += raw
            if self._text_calls.holding:
                return b""
            raw, self._held_raw = self._held_raw, b""
        self._frame += [event for event in self._held if isinstance(event, _FRAME)]
        self._held.clear()
        return raw

    def _unheld(self, events: list[Event]) -> list[Event]:
        """The events with those that were held back before them; from here on, events are encoded."""
        if self._untouched:
            self._untouched = False
            self._encoded(self._frame)
            events, self._held = self._held + events, []
        return events

    def _encoded(self, events: list[Event]) -> bytes:
        return b"".join([self._encoder.encode(event) for event in events])

    def _noted(self, events: list[Event]) -> list[Event]:
        """The events up to a failure, which is noted and left out."""
        for position, event in enumerate(events):
            if isinstance(event, TextDelta | ThinkingDelta):
                self._characters += len(event.text)
            elif isinstance(event, ToolInputDelta):
                self._characters += len(event.json)
            else:
                event = events[position] = self._completed(event)
                if isinstance(event, Failed):
                    failure = self._failure = msgspec.structs.replace(event, message=redact(event.message))
                    self._exchange.status, self._exchange.error = failure.status, failure.message
                    return events[:position]
                continue
            if self._exchange.first_token_at is None:
                self._exchange.mark_first_token()
        return events

    def _completed(self, event: Event) -> Event:
        """An event with what the upstream left out and this engine knows."""
        match event:
            case Started():
                exchange = self._exchange
                exchange.told_model = event.model
                usage = event.usage or Usage(input_tokens=exchange.prompt_tokens, estimated=True)
                model = event.model or (exchange.target.model if exchange.target else "")
                return Started(event.id, model, usage, event.created)
            case BlockStarted(block=ToolUse() as call):
                if not call.name:
                    return NAMELESS_CALL
                return BlockStarted(event.index, self._ids.settle(call))
            case Stopped():
                self._stopped = msgspec.structs.replace(event, usage=self._priced(event.usage))
                return self._stopped
        return event


def prompt_usage(exchange: Exchange, events: list[Event]) -> Usage:
    """What is known before the answer: the prompt, as the first events tell it or else as it is long."""
    told = next((event.usage for event in events if isinstance(event, Started)), None)
    known = told or Usage(input_tokens=exchange.prompt_tokens)
    return msgspec.structs.replace(known, estimated=True)


def _holds_no_secret(raw: bytes) -> bool:
    text = raw.decode("utf-8", "replace")
    return redact(text) == text


def estimated_usage(exchange: Exchange, usage: Usage, characters: int) -> Usage:
    """Counts what an upstream did not: `characters` are those of its answer."""
    return msgspec.structs.replace(
        usage,
        input_tokens=usage.input_tokens or exchange.prompt_tokens,
        output_tokens=usage.output_tokens or output_estimate(characters),
        estimated=True,
    )
