"""Messages as providers speak it: requests out, replies, streams and errors in."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.anthropic.outgoing import compose
from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Json,
    RedactedThinking,
    Request,
    Started,
    Stopped,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolInputDelta,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import WireError, kind_of
from lynkr_desktop.engine.wire.fields import NOT_JSON, decode_or_none, encode_json, token_count
from lynkr_desktop.engine.wire.framing import ServerSentEvent, SseSplitter

_STOP_REASON: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    # A long turn with tools of the server's own, which only a client of this protocol can ask for.
    "pause_turn": "end_turn",
    "model_context_window_exceeded": "max_tokens",
}

_IN_BAND = 200
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 502,
    "timeout_error": 504,
    "overloaded_error": 529,
}

_KIND_OF_DELTA = {
    "text_delta": "text",
    "input_json_delta": "tool_use",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
}

_BROKEN_OFF = "The upstream's answer broke off before its end."
_NO_EVENT = "The upstream sent a piece that is not an event of Messages."
_EMPTY = "The model returned an empty answer."


class AnthropicUpstream:
    """The provider codec of POST /v1/messages."""

    name = "anthropic_messages"

    def encode_request(self, request: Request, model: str) -> bytes:
        """The body for `model`; `outgoing.compose` tells in one go what is left out, too."""
        return encode_json(compose(request, model).body)

    def dropped(self, request: Request) -> tuple[str, ...]:
        """What Messages has no word for, or what the model asked for does not take."""
        return compose(request, request.model).dropped

    def decode_reply(self, body: bytes) -> list[Event]:
        """A `message` as events. Raises `WireError` when it is none."""
        try:
            message = _MESSAGE.decode(body)
        except NOT_JSON as error:
            raise WireError("The upstream's answer is not a message.") from error
        if message.error is not None:
            raise error_of(message.error, _IN_BAND)
        if message.content is None:
            raise WireError("The upstream's answer is not a message.")
        decoder = MessagesStreamDecoder()
        events = decoder.begin(message)
        for position, block in enumerate(message.content):
            events += decoder.block(position, block)
            events += decoder.stop_block(position)
        return events + decoder.end(message.stop_reason or "", message.stop_sequence)

    def stream_decoder(self) -> MessagesStreamDecoder:
        """A fresh decoder for one reply."""
        return MessagesStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> WireError:
        """The error of a bad status: Anthropic's own, or that of a gateway or a cloud before it."""
        value = decode_or_none(body)
        if isinstance(value, list) and value:
            value = value[0]
        return error_of(value.get("error", value) if isinstance(value, dict) else value, status)


class _Block(Struct):
    """A content block, whole or as it opens; other kinds have other fields."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None


class _Delta(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Message(Struct):
    """A whole message, an error in its place, or what message_start holds."""

    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Json | None = None
    error: Any = None


class _Event(Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: Json | None = None
    error: Any = None


_MESSAGE = msgspec.json.Decoder(_Message)
_EVENT = msgspec.json.Decoder(_Event)


class MessagesStreamDecoder:
    """Messages stream events to canonical events.

    Blocks that the canonical model does not know (tools of the server's own) are passed over; a client of the
    same protocol gets them anyway, as bytes.
    """

    def __init__(self) -> None:
        self._splitter = SseSplitter()
        self._started = False
        self._ended = False
        self._next = 0
        self._kinds: dict[int, str] = {}
        self._open: dict[int, int] = {}
        """The upstream's index of each open block, and ours."""
        self._said = False
        """Whether anything came that is content."""
        self._called = False
        self._reason: str | None = None
        self._stop_sequence: str | None = None
        self._usage: Json = {}

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """Takes the next bytes; gives (raw, events) per complete server-sent event."""
        return [(event.raw, self._decode(event)) for event in self._splitter.feed(chunk)]

    def finish(self) -> list[Event]:
        """Tells that the stream has ended."""
        events: list[Event] = []
        for event in self._splitter.finish():
            events += self._decode(event)
        if not self._ended:
            events += self._fail(_BROKEN_OFF)
        return events

    def _decode(self, raw: ServerSentEvent) -> list[Event]:
        if self._ended or not raw.data:
            return []
        try:
            event = _EVENT.decode(raw.data)
        except NOT_JSON:
            return self._fail(_NO_EVENT)
        match event.type:
            case "content_block_delta":
                return self._delta(event.index, event.delta or _Delta())
            case "content_block_start":
                return self.block(event.index, event.content_block or _Block())
            case "content_block_stop":
                return self.stop_block(event.index)
            case "message_start":
                events = self.begin(event.message or _Message())
                # The first token's only; the count comes with message_delta.
                self._usage.pop("output_tokens", None)
                return events
            case "message_delta":
                delta = event.delta or _Delta()
                self._reason = delta.stop_reason or self._reason
                self._stop_sequence = delta.stop_sequence or self._stop_sequence
                self._count(event.usage)
            case "message_stop":
                if self._reason is None:
                    return self._fail(_BROKEN_OFF)
                return self.end(self._reason, self._stop_sequence)
            case _ if event.type == "error" or event.error is not None:
                error = error_of(event.error, _IN_BAND)
                self._ended = True
                # A client of this protocol reads the error in the bytes, if they have the right form.
                told = event.type == "error" and raw.event == "error"
                return [Failed(error.message, error.status, error.kind, told=told)]
            case "ping":
                pass
            case _:
                # A kind newer than this code; clients of this protocol may know it, if they can read it.
                try:
                    raw.data.decode()
                except UnicodeDecodeError:
                    return self._fail(_NO_EVENT)
        return []

    def begin(self, message: _Message) -> list[Event]:
        """The first event, with the prompt's tokens."""
        if self._started:
            return []
        self._started = True
        self._count(message.usage)
        usage = decode_usage(self._usage) if "input_tokens" in self._usage else None
        return [Started(message.id or "", message.model or "", usage)]

    def block(self, index: int, block: _Block) -> list[Event]:
        """A block opens, with what it already holds."""
        ours = self._next
        # Blocks never overlap; one that still stands open here lost its end.
        unended = [event for other in list(self._open) for event in self.stop_block(other)]
        match block.type:
            case "text":
                events: list[Event] = [BlockStarted(ours, Text(""))]
                if block.text:
                    self._said = True
                    events.append(TextDelta(ours, block.text))
            case "thinking":
                events = [BlockStarted(ours, Thinking(""))]
                if block.thinking or block.signature:
                    events.append(ThinkingDelta(ours, block.thinking or "", block.signature or ""))
            case "redacted_thinking":
                events = [BlockStarted(ours, RedactedThinking(block.data or ""))]
            case "tool_use":
                self._said = self._called = True
                call = ToolUse(block.id or "", block.name or "", block.input or {})
                events = [BlockStarted(ours, call)]
            case _:
                self._said = True
                return self.begin(_Message()) + unended
        self._open[index], self._kinds[index] = ours, block.type
        self._next += 1
        return self.begin(_Message()) + unended + events

    def stop_block(self, index: int) -> list[Event]:
        """A block closes."""
        ours = self._open.pop(index, None)
        return [] if ours is None else [BlockStopped(ours)]

    def end(self, reason: str, stop_sequence: str | None) -> list[Event]:
        """The closing events. An answer that ends in order and says nothing is a failure."""
        stop = _STOP_REASON.get(reason, "end_turn")
        if stop in ("end_turn", "tool_use"):
            if not self._said:
                return self._fail(_EMPTY)
            stop = "tool_use" if self._called else "end_turn"
        self._ended = True
        events: list[Event] = [BlockStopped(ours) for ours in self._open.values()]
        self._open.clear()
        return [*events, Stopped(stop, decode_usage(self._usage), stop_sequence)]

    def _delta(self, index: int, delta: _Delta) -> list[Event]:
        ours = self._open.get(index)
        if ours is None:
            return []
        if _KIND_OF_DELTA.get(delta.type, self._kinds[index]) != self._kinds[index]:
            return self._fail(_NO_EVENT)
        match delta.type:
            case "text_delta" if delta.text:
                self._said = True
                return [TextDelta(ours, delta.text)]
            case "input_json_delta" if delta.partial_json:
                return [ToolInputDelta(ours, delta.partial_json)]
            case "thinking_delta" if delta.thinking:
                return [ThinkingDelta(ours, delta.thinking)]
            case "signature_delta" if delta.signature:
                return [ThinkingDelta(ours, signature=delta.signature)]
        return []

    def _count(self, usage: Json | None) -> None:
        """Counts are cumulative: a later one replaces an earlier."""
        self._usage.update((key, value) for key, value in (usage or {}).items() if value is not None)

    def _fail(self, message: str) -> list[Event]:
        self._ended = True
        return [Failed(message)]


def decode_usage(usage: Json) -> Usage:
    """Token counts; the prompt's include what the cache read or wrote."""
    cached = token_count(usage, "cache_read_input_tokens")
    written = token_count(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=token_count(usage, "input_tokens") + cached + written,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=token_count(usage, "output_tokens"),
        reasoning_tokens=token_count(usage.get("output_tokens_details"), "thinking_tokens"),
        estimated="output_tokens" not in usage,
    )


def error_of(error: Any, status: int) -> WireError:
    """An error object of the upstream, whoever wrote it; its type tells the status where HTTP told none."""
    message = ""
    if isinstance(error, dict):
        found = error.get("message") or error.get("detail") or error.get("error")
        message = found if isinstance(found, str) else ""
        if status == _IN_BAND:
            status = _STATUS.get(str(error.get("type")), 502)
    elif isinstance(error, str):
        message = error
    if status == _IN_BAND:
        status = 502
    kind = "upstream_error" if status == 500 else kind_of(status)
    return WireError(message or f"The upstream answered {status}.", status=status, kind=kind)
