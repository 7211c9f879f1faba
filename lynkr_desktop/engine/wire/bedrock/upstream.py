"""The provider codec of Converse: replies, event streams and errors in."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.bedrock.blocks import Blocks, Piece
from lynkr_desktop.engine.wire.bedrock.outgoing import ConverseRequest
from lynkr_desktop.engine.wire.canonical import Event, Failed, Json, Request, Stopped
from lynkr_desktop.engine.wire.errors import WireError, kind_of
from lynkr_desktop.engine.wire.fields import NOT_JSON, decode_or_none

STREAM_TYPE = "application/vnd.amazon.eventstream"

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
        except NOT_JSON as error:
            raise WireError("The upstream's answer is not one of Converse.") from error
        if reply.output is None or reply.stop_reason is None:
            raise WireError(reply.message or "The upstream's answer is not one of Converse.")
        folded = Blocks(tool_names, model)
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
        value = decode_or_none(body)
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


class _Event(Struct, rename="camel"):
    """The payload of any event of the stream."""

    content_block_index: int = 0
    start: Piece | None = None
    delta: Piece | None = None
    stop_reason: str | None = None
    additional_model_response_fields: Any = None
    usage: dict[str, Any] | None = None
    message: str | None = None
    original_message: str | None = None


class _Message(Struct):
    content: list[Piece] = []


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
        self._blocks = Blocks(tool_names, model)
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
        except NOT_JSON:
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
