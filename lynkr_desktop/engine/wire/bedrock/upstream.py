"""The provider codec of Converse: replies, event streams and errors in."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.bedrock.outgoing import ConverseRequest
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
from lynkr_desktop.engine.wire.fields import encode_json

STREAM_TYPE = "application/vnd.amazon.eventstream"

_STOP_REASON: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "refusal",
    "content_filtered": "refusal",
}
_MALFORMED = ("malformed_model_output", "malformed_tool_use")

_STATUS = {
    "validationException": 400,
    "accessDeniedException": 403,
    "resourceNotFoundException": 404,
    "modelTimeoutException": 408,
    "throttlingException": 429,
    "modelNotReadyException": 429,
    "serviceQuotaExceededException": 429,
    "internalServerException": 500,
    "modelErrorException": 502,
    "modelStreamErrorException": 502,
    "serviceUnavailableException": 503,
}
"""Exceptions of the service, as streams name them, and the HTTP status that clients know."""

_FAILED_DEPENDENCY = 424
"""Bedrock's status for a model that broke, which no client knows."""


class BedrockUpstream:
    """The provider codec of POST /model/{model}/converse and /converse-stream."""

    name = "bedrock"

    def encode_request(self, request: Request, model: str) -> bytes:
        """The body for `model`; whether it streams is told by the path."""
        return ConverseRequest(request, model).body

    def dropped(self, request: Request, model: str = "") -> tuple[str, ...]:
        """What Converse, or the model, has no word for."""
        return ConverseRequest(request, model).dropped

    def decode_reply(
        self, body: bytes, tool_names: Mapping[str, str] | None = None, model: str = ""
    ) -> list[Event]:
        """A reply that is not streamed, as events. Raises `WireError` when it is none."""
        try:
            reply = _REPLY.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise WireError("The upstream's answer is not one of Converse.") from error
        if reply.output is None or reply.stop_reason is None:
            raise WireError(reply.message or "The upstream's answer is not one of Converse.")
        folded = _Blocks(tool_names, model)
        events = folded.begin()
        for index, block in enumerate(reply.output.message.content):
            events += folded.whole(index, block)
        events += folded.stop(reply.stop_reason, reply.additional_model_response_fields)
        return events + folded.end(reply.usage)

    def stream_decoder(
        self, tool_names: Mapping[str, str] | None = None, model: str = ""
    ) -> ConverseStreamDecoder:
        """A fresh decoder for one reply.

        Args:
            tool_names: `ConverseRequest.tool_names` of its request.
            model: who answers, which the service does not tell.
        """
        return ConverseStreamDecoder(tool_names, model)

    def decode_error(self, status: int, body: bytes) -> WireError:
        """The error of a bad status, with the service's own message where it has one."""
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            value = None
        fields: Json = value if isinstance(value, dict) else {}
        if status == _FAILED_DEPENDENCY:
            original = fields.get("originalStatusCode")
            status = original if isinstance(original, int) and 500 <= original < 600 else 502
        message = next(
            (text for key in ("message", "Message") if isinstance(text := fields.get(key), str) and text), ""
        )
        if isinstance(kind := fields.get("__type"), str) and kind:
            kind = kind.rpartition("#")[2]
            message = f"{kind}: {message}" if message else kind
        return WireError(message or f"The upstream answered {status}.", status=status, kind=kind_of(status))


# ---------------------------------------------------------------- what the service sends


class _ReasoningText(Struct):
    text: str = ""
    signature: str = ""


class _Reasoning(Struct, rename="camel"):
    """Of a whole block `reasoning_text`, of a delta `text` or `signature`."""

    reasoning_text: _ReasoningText | None = None
    text: str = ""
    signature: str = ""
    redacted_content: str = ""


class _ToolUse(Struct, rename="camel"):
    """Of a start or a whole block id and name, of a delta a piece of `input` as JSON text."""

    tool_use_id: str = ""
    name: str = ""
    input: Any = None


class _Block(Struct, rename="camel"):
    """A content block, or the start or a delta of one: one of its fields is set."""

    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Event(Struct, rename="camel"):
    """The payload of any event of the stream."""

    content_block_index: int = 0
    start: _Block | None = None
    delta: _Block | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Any = None
    usage: dict[str, Any] | None = None
    message: str | None = None
    original_message: str | None = None


class _Message(Struct):
    content: list[_Block] = []


class _Output(Struct):
    message: _Message


class _Reply(Struct, rename="camel"):
    output: _Output | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Any = None
    usage: dict[str, Any] | None = None
    message: str | None = None


_EVENT = msgspec.json.Decoder(_Event)
_REPLY = msgspec.json.Decoder(_Reply)


class ConverseStreamDecoder:
    """Frames of an event stream to canonical events.

    Args:
        tool_names: from the names that the model saw to the client's.
        model: who answers.
    """

    def __init__(self, tool_names: Mapping[str, str] | None = None, model: str = "") -> None:
        from botocore.eventstream import EventStreamBuffer, ParserError

        self._frames = EventStreamBuffer()
        # A frame whose checksums are right may still hold what no header or number should be.
        self._damages = (ParserError, struct.error, KeyError, UnicodeDecodeError)
        self._blocks = _Blocks(tool_names, model)
        self._ended = False

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """Takes the next bytes; gives the events of each complete frame, whose bytes no client reads."""
        if self._ended:
            return []
        self._frames.add_data(chunk)
        pieces: list[tuple[bytes, list[Event]]] = []
        try:
            for frame in self._frames:
                pieces.append((b"", self._decode(frame.headers, frame.payload)))
                if self._ended:
                    break
        except self._damages:
            pieces.append((b"", self._fail("The upstream sent a damaged frame.")))
        return pieces

    def finish(self) -> list[Event]:
        """Tells that the stream has ended."""
        if self._ended:
            return []
        self._ended = True
        return self._blocks.end(None)

    def _decode(self, headers: Mapping[str, Any], payload: bytes) -> list[Event]:
        kind = headers.get(":message-type", "event")
        if kind == "error":
            code, message = str(headers.get(":error-code", "")), str(headers.get(":error-message", ""))
            return self._exception(code, message)
        try:
            event = _EVENT.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._fail("The upstream sent an event that is none of Converse.")
        if kind == "exception":
            return self._exception(
                str(headers.get(":exception-type", "")), event.original_message or event.message or ""
            )
        events = self._blocks.begin()
        match headers.get(":event-type"):
            case "contentBlockStart" if event.start is not None:
                events += self._blocks.start(event.content_block_index, event.start)
            case "contentBlockDelta" if event.delta is not None:
                events += self._blocks.delta(event.content_block_index, event.delta)
            case "contentBlockStop":
                events += self._blocks.close(event.content_block_index)
            case "messageStop":
                events += self._blocks.stop(event.stop_reason or "", event.additional_model_response_fields)
            case "metadata":
                # It stands behind messageStop and ends the stream.
                events += self._blocks.end(event.usage)
        self._ended = bool(events) and isinstance(events[-1], Failed | Stopped)
        return events

    def _exception(self, kind: str, message: str) -> list[Event]:
        status = _STATUS.get(kind[:1].lower() + kind[1:], 502)
        text = f"{kind}: {message}" if kind and message else message or kind or "The upstream broke off."
        return self._fail(text, status)

    def _fail(self, message: str, status: int = 502) -> list[Event]:
        self._ended = True
        return [Failed(message, status, kind_of(status))]


class _Blocks:
    """Content blocks as they come, to canonical ones: one at a time, their indexes rising from 0."""

    def __init__(self, tool_names: Mapping[str, str] | None, model: str) -> None:
        self._names = tool_names or {}
        self._model = model
        self._begun = False
        self._next = 0
        self._open: Text | Thinking | ToolUse | None = None
        self._source = -1
        """The service's index of what is open."""
        self._redacted: list[str] = []
        self._ids: set[str] = set()
        self._reason: StopReason | None = None
        self._stop_sequence: str | None = None
        self._failed: Failed | None = None

    def begin(self) -> list[Event]:
        """The first event, once; the service gives no id."""
        events: list[Event] = [] if self._begun else [Started(model=self._model)]
        self._begun = True
        return events

    def whole(self, index: int, block: _Block) -> list[Event]:
        """A block that is not streamed."""
        if (tool := block.tool_use) is not None:
            arguments = tool.input if isinstance(tool.input, dict) else {}
            piece = _ToolUse(input=encode_json(arguments).decode())
            events = self.start(index, block) + self.delta(index, _Block(tool_use=piece))
        elif (thought := block.reasoning_content) is not None and thought.reasoning_text is not None:
            text = thought.reasoning_text
            flat = _Reasoning(text=text.text, signature=text.signature)
            events = self.delta(index, _Block(reasoning_content=flat))
        else:
            events = self.delta(index, block)
        return events + self.close(index)

    def start(self, index: int, block: _Block) -> list[Event]:
        """Only calls of tools are announced; text and reasoning begin with their first delta."""
        if (tool := block.tool_use) is None:
            return []
        call_id = tool.tool_use_id
        if not call_id or call_id in self._ids:
            call_id = f"{call_id or 'tooluse'}_{self._next}"
        self._ids.add(call_id)
        return self._into(index, ToolUse(call_id, self._names.get(tool.name, tool.name), {}))

    def delta(self, index: int, delta: _Block) -> list[Event]:
        """More of a block."""
        if (tool := delta.tool_use) is not None:
            if not isinstance(self._open, ToolUse) or self._source != index:
                return self._fail("The upstream sent arguments of a tool call that had not begun.")
            text = tool.input if isinstance(tool.input, str) else ""
            return [ToolInputDelta(self._next - 1, text)] if text else []
        if (thought := delta.reasoning_content) is not None:
            if thought.redacted_content:
                events = [] if self._redacted and self._source == index else self._close_open()
                self._source = index
                self._redacted.append(thought.redacted_content)
                return events
            events = self._continue(index, Thinking)
            return [*events, ThinkingDelta(self._next - 1, thought.text, thought.signature)]
        if delta.text:
            events = self._continue(index, Text)
            return [*events, TextDelta(self._next - 1, delta.text)]
        return []

    def close(self, index: int) -> list[Event]:
        """A block is complete."""
        return self._close_open() if self._source == index else []

    def stop(self, reason: str, additional: Any) -> list[Event]:
        """The reason of the end. An answer without any content is a failure, not a clean end."""
        events = self._close_open()
        if reason in _MALFORMED:
            return events + self._fail(
                "The model wrote a tool call or an answer that Bedrock could not read."
            )
        stop = _STOP_REASON.get(reason, "end_turn")
        if self._ids:
            stop = "tool_use" if stop == "end_turn" else stop
        elif stop == "tool_use":
            stop = "end_turn"
        if not self._next and stop in ("end_turn", "tool_use"):
            return events + self._fail("The model returned an empty answer.")
        self._reason = stop
        if stop == "stop_sequence":
            self._stop_sequence = _stop_sequence(additional)
        return events

    def end(self, usage: dict[str, Any] | None) -> list[Event]:
        """The closing event: `Stopped` after a reason, `Failed` without one."""
        if self._failed is not None:
            return []
        if self._reason is None:
            return self._fail("The upstream's answer broke off before its end.")
        counted = decode_usage(usage) if usage else Usage(estimated=True)
        return [Stopped(self._reason, counted, self._stop_sequence)]

    def _continue(self, index: int, kind: type[Text] | type[Thinking]) -> list[Event]:
        return [] if isinstance(self._open, kind) and self._source == index else self._into(index, kind(""))

    def _into(self, index: int, block: Text | Thinking | ToolUse) -> list[Event]:
        events = self._close_open()
        self._open, self._source = block, index
        events.append(BlockStarted(self._next, block))
        self._next += 1
        return events

    def _close_open(self) -> list[Event]:
        events: list[Event] = []
        if self._redacted:
            events.append(BlockStarted(self._next, RedactedThinking(_join_blobs(self._redacted))))
            self._redacted.clear()
            self._next += 1
        elif self._open is None:
            return []
        self._open, self._source = None, -1
        return [*events, BlockStopped(self._next - 1)]

    def _fail(self, message: str) -> list[Event]:
        self._failed = Failed(message)
        return [self._failed]


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Token counts; the service leaves out of `inputTokens` what its cache read or wrote."""

    def count(key: str) -> int:
        value = usage.get(key)
        return value if isinstance(value, int) and value > 0 else 0

    read, written = count("cacheReadInputTokens"), count("cacheWriteInputTokens")
    return Usage(
        input_tokens=count("inputTokens") + read + written,
        cached_tokens=read,
        cache_write_tokens=written,
        output_tokens=count("outputTokens"),
    )


def _stop_sequence(additional: Any) -> str | None:
    """Which sequence it was; Claude's own field, asked for by the request."""
    value = additional.get("stop_sequence") if isinstance(additional, dict) else None
    return value if isinstance(value, str) else None


def _join_blobs(pieces: list[str]) -> str:
    """One base64 text from several, each of which may be padded."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece) for piece in pieces)).decode()
    except (ValueError, binascii.Error):
        return "".join(pieces)
