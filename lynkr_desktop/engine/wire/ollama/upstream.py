"""The provider codec of /api/chat: replies, streams and errors in."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.blocks import Blocks
from lynkr_desktop.engine.wire.canonical import (
    Event,
    Failed,
    Request,
    Started,
    Stopped,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Usage,
    parse_arguments,
)
from lynkr_desktop.engine.wire.errors import WireError, kind_of
from lynkr_desktop.engine.wire.fields import NOT_JSON, decode_or_none
from lynkr_desktop.engine.wire.framing import LineSplitter
from lynkr_desktop.engine.wire.ids import fresh_id
from lynkr_desktop.engine.wire.ollama.outgoing import ChatBody, dropped_fields, think_of


class OllamaUpstream:
    """The provider codec of POST {base_url}/api/chat."""

    name = "ollama"

    def encode_request(self, request: Request, model: str) -> bytes:
        """The body for `model`, with everything that depends on the server left to its defaults."""
        return ChatBody(request, model).encode(think=think_of(request.reasoning), stream=request.stream)

    def dropped(self, request: Request) -> tuple[str, ...]:
        """What Ollama has no word for."""
        return dropped_fields(request)

    def decode_reply(self, body: bytes) -> list[Event]:
        """A reply that is not streamed, as events. Raises `WireError` when it is none."""
        decoder = OllamaStreamDecoder()
        events = [event for _, events in decoder.feed(body + b"\n") for event in events] + decoder.finish()
        if len(events) == 1 and isinstance(events[0], Failed):
            raise WireError(events[0].message, status=events[0].status, kind=events[0].kind)
        return events

    def stream_decoder(self) -> OllamaStreamDecoder:
        """A fresh decoder for one reply."""
        return OllamaStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> WireError:
        """The error of a bad status, with Ollama's own message where it has one."""
        value = decode_or_none(body)
        message = value.get("error") if isinstance(value, dict) else None
        if not isinstance(message, str) or not message:
            message = f"no reason given (HTTP {status})"
        return WireError(message, status=status, kind=kind_of(status))


class _Function(Struct):
    name: str | None = None
    arguments: Any = None


class _ToolCall(Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(Struct):
    """A line of /api/chat; one of /api/generate has its content at the top."""

    model: str | None = None
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None
    done: bool = False
    done_reason: str | None = None
    error: Any = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None


_LINE = msgspec.json.Decoder(_Line)


class OllamaStreamDecoder:
    """Lines of /api/chat or /api/generate to canonical events.

    Args:
        prompt_estimate: tokens to report for the prompt where Ollama reports none, as older versions do for
            a prompt that was wholly cached.
    """

    def __init__(self, *, prompt_estimate: int = 0) -> None:
        self._splitter = LineSplitter()
        self._prompt_estimate = prompt_estimate
        self._started = False
        self._blocks = Blocks()
        self._call_ids: set[str] = set()
        self._answered = False
        self.ended = False
        self.prompt_tokens: int | None = None
        """Tokens of the prompt that Ollama read, once it has said so."""

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """Takes the next bytes; gives (raw, events) per complete line."""
        return [(line + b"\n", self._decode(line)) for line in self._splitter.feed(chunk)]

    def finish(self) -> list[Event]:
        """Tells that the stream has ended; one that ended without `done` has failed."""
        events = [event for line in self._splitter.finish() for event in self._decode(line)]
        if not self.ended:
            events += self._fail("Ollama's answer broke off before its end.")
        return events

    def _decode(self, raw: bytes) -> list[Event]:
        if self.ended:
            return []
        try:
            line = _LINE.decode(raw)
        except NOT_JSON:
            return self._fail("Ollama sent a line that is no part of a chat.")
        if line.error is not None:
            message = (
                line.error if isinstance(line.error, str) and line.error else "Ollama reported an error."
            )
            return self._fail(message, _status_of(message))
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started(fresh_id("msg_"), line.model or ""))
        events += self._content(line.message or _Message(line.response, line.thinking, line.tool_calls))
        if line.done:
            events += self._end(line)
        return events

    def _content(self, message: _Message) -> list[Event]:
        events: list[Event] = []
        if message.thinking:
            events += self._blocks.into(Thinking)
            events.append(ThinkingDelta(self._blocks.index, message.thinking))
        if message.content:
            events += self._blocks.into(Text)
            events.append(TextDelta(self._blocks.index, message.content))
            self._answered = True
        for call in message.tool_calls or ():
            events += self._tool_call(call)
        return events

    def _tool_call(self, call: _ToolCall) -> list[Event]:
        function = call.function or _Function()
        arguments = function.arguments
        if isinstance(arguments, str):
            arguments = parse_arguments(arguments)
        elif not isinstance(arguments, dict):
            arguments = {} if arguments is None else {"raw": arguments}
        call_id = call.id
        if not call_id or call_id in self._call_ids:
            call_id = fresh_id("call_")
        self._call_ids.add(call_id)
        return self._blocks.call(call_id, function.name or "", arguments)

    def _end(self, line: _Line) -> list[Event]:
        events = self._blocks.close()
        self.prompt_tokens = line.prompt_eval_count
        reason: StopReason = "max_tokens" if line.done_reason == "length" else "end_turn"
        if self._call_ids:
            reason = "tool_use"
        elif not self._answered and reason == "end_turn":
            what = "only its reasoning and no answer" if self._blocks.count else "an empty answer"
            return events + self._fail(f"The model returned {what}.")
        self.ended = True
        counted = line.prompt_eval_count is not None and line.prompt_eval_count > 0
        usage = Usage(
            input_tokens=line.prompt_eval_count or 0 if counted else self._prompt_estimate,
            output_tokens=max(0, line.eval_count or 0),
            estimated=not counted,
        )
        return [*events, Stopped(reason, usage)]

    def _fail(self, message: str, status: int = 502) -> list[Event]:
        self.ended = True
        return [Failed(message, status, kind_of(status))]


def _status_of(message: str) -> int:
    """The status that an error within HTTP 200 would have had."""
    text = message.lower()
    if "not found" in text:
        return 404
    if "does not support" in text or "exceeds the context length" in text:
        return 400
    if "server busy" in text or "more system memory" in text:
        return 503
    return 502
