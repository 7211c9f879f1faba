"""Ollama's chat and generate as clients speak them: requests in, replies, streams and errors out."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Json,
    Reply,
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
    parse_arguments,
)
from lynkr_desktop.engine.wire.codec import Dialect, StreamEncoder
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.ollama.incoming import decode_chat, decode_generate

NDJSON = "application/x-ndjson"


class _OllamaClient(ABC):
    """What both paths share. One codec serves one request: a reply tells how long it took, from here on."""

    stream_type = NDJSON

    def __init__(self) -> None:
        self._clock = _Clock()

    def stream_encoder(self, request: Request) -> StreamEncoder:
        """A fresh encoder for one reply."""
        return _LineEncoder(self, self._clock)

    def encode_reply(self, reply: Reply, request: Request) -> bytes:
        """The answer in one object."""
        text = "".join(block.text for block in reply.content if isinstance(block, Text))
        thinking = "".join(block.text for block in reply.content if isinstance(block, Thinking))
        calls = [block for block in reply.content if isinstance(block, ToolUse)]
        encoded = [_encode_call(number, call) for number, call in enumerate(calls)]
        end = _end(reply.stop_reason, reply.usage, self._clock)
        return encode_json(self.line(reply.model, text, thinking, encoded) | end)

    def encode_loaded(self, model: str, *, unloaded: bool) -> bytes:
        """The answer to a request that only loads or unloads a model."""
        reason = "unload" if unloaded else "load"
        return encode_json(self.line(model) | {"done": True, "done_reason": reason})

    def encode_error(self, error: WireError, request_id: str) -> bytes:
        """`{"error": "..."}`."""
        return encode_json({"error": error.message})

    def encode_stream_error(self, error: WireError) -> bytes:
        """The same as a line; no line that says `done` follows."""
        return encode_json({"error": error.message}) + b"\n"

    @abstractmethod
    def line(self, model: str, text: str = "", thinking: str = "", calls: Sequence[Json] = ()) -> Json:
        """One line of a stream."""


class OllamaChatClient(_OllamaClient):
    """The client codec of POST /api/chat, for one request."""

    name: Dialect = "ollama_chat"

    def decode_request(self, body: bytes) -> Request:
        """Raises `InvalidRequest` with the path of what is wrong."""
        return decode_chat(body)

    def line(self, model: str, text: str = "", thinking: str = "", calls: Sequence[Json] = ()) -> Json:
        """One line of a stream."""
        message: Json = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if calls:
            message["tool_calls"] = calls
        return {"model": model, "created_at": _now(), "message": message, "done": False}


class OllamaGenerateClient(_OllamaClient):
    """The client codec of POST /api/generate, for one request."""

    name: Dialect = "ollama_generate"

    def decode_request(self, body: bytes) -> Request:
        """Raises `InvalidRequest` with the path of what is wrong."""
        return decode_generate(body)

    def line(self, model: str, text: str = "", thinking: str = "", calls: Sequence[Json] = ()) -> Json:
        """One line of a stream."""
        line: Json = {"model": model, "created_at": _now(), "response": text, "done": False}
        if thinking:
            line["thinking"] = thinking
        if calls:
            line["tool_calls"] = calls
        return line


class _LineEncoder:
    """Canonical events to lines. A tool call waits until it is whole: its arguments are an object."""

    def __init__(self, codec: _OllamaClient, clock: _Clock) -> None:
        self._codec = codec
        self._clock = clock
        self._model = ""
        self._calls: dict[int, tuple[ToolUse, list[str]]] = {}
        self._sent = 0

    def encode(self, event: Event) -> bytes:
        """Bytes to send for this event; empty for what this protocol has no word for."""
        match event:
            case Started():
                self._model = event.model
            case BlockStarted(block=ToolUse() as call):
                self._calls[event.index] = (call, [])
            case BlockStarted(block=Text(text=text)) if text:
                return self._line(text=text)
            case BlockStarted(block=Thinking(text=text)) if text:
                return self._line(thinking=text)
            case TextDelta() if event.text:
                return self._line(text=event.text)
            case ThinkingDelta() if event.text:
                return self._line(thinking=event.text)
            case ToolInputDelta():
                self._calls[event.index][1].append(event.json)
            case BlockStopped() if event.index in self._calls:
                return self._call(*self._calls.pop(event.index))
            case Stopped():
                end = _end(event.reason, event.usage, self._clock)
                return encode_json(self._codec.line(self._model) | end) + b"\n"
            case Failed():
                error = WireError(event.message, status=event.status, kind=event.kind)
                return self._codec.encode_stream_error(error)
        return b""

    def _call(self, call: ToolUse, parts: list[str]) -> bytes:
        arguments = parse_arguments("".join(parts)) if parts else call.input
        number, self._sent = self._sent, self._sent + 1
        return self._line(calls=[_encode_call(number, ToolUse(call.id, call.name, arguments))])

    def _line(self, text: str = "", thinking: str = "", calls: Sequence[Json] = ()) -> bytes:
        self._clock.answering()
        return encode_json(self._codec.line(self._model, text, thinking, calls)) + b"\n"


class _Clock:
    """When a request came, and when its answer began."""

    def __init__(self) -> None:
        self._began = time.monotonic_ns()
        self._first = 0

    def answering(self) -> None:
        """Content is there."""
        self._first = self._first or time.monotonic_ns()

    def durations(self) -> Json:
        """The nanoseconds of the last line. Loading is not told apart from reading the prompt."""
        now = time.monotonic_ns()
        first = self._first or self._began
        return {
            "total_duration": now - self._began,
            "load_duration": 0,
            "prompt_eval_duration": first - self._began,
            # Clients divide by it.
            "eval_duration": max(1, now - first),
        }


def _end(reason: StopReason, usage: Usage, clock: _Clock) -> Json:
    """What the last line adds; it is "stop" after tool calls too."""
    return {
        "done": True,
        "done_reason": "length" if reason == "max_tokens" else "stop",
        "prompt_eval_count": usage.input_tokens,
        "eval_count": usage.output_tokens,
        **clock.durations(),
    }


def _encode_call(number: int, call: ToolUse) -> Json:
    return {"id": call.id, "function": {"index": number, "name": call.name, "arguments": call.input}}


def _now() -> str:
    """RFC 3339, in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
