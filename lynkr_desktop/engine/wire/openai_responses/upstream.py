"""Responses as providers speak it: requests out, replies, streams and errors in."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Json,
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
from lynkr_desktop.engine.wire.fields import NOT_JSON, encode_json, token_count
from lynkr_desktop.engine.wire.framing import ServerSentEvent, SseSplitter
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatUpstream
from lynkr_desktop.engine.wire.openai_responses.outgoing import dropped_fields, encode_request
from lynkr_desktop.engine.wire.openai_responses.stream import Emitter, failure_events
from lynkr_desktop.engine.wire.openai_responses.tools import KIND_OF_CALL, LOCAL_KINDS, function_name

_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "server_is_overloaded": 529,
    "slow_down": 529,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "model_not_found": 404,
}


class ResponsesUpstream:
    """The provider codec of POST {base_url}/responses."""

    name = "openai_responses"

    def encode_request(self, request: Request, model: str) -> bytes:
        """The body for `model`. Raises `Unsupported`."""
        return encode_request(request, model)

    def dropped(self, request: Request) -> tuple[str, ...]:
        """What Responses has no word for."""
        return dropped_fields(request)

    def decode_reply(self, body: bytes) -> list[Event]:
        """A `response` as events. Raises `WireError` when it is none."""
        decoder = ResponsesStreamDecoder()
        try:
            response = _WHOLE.decode(body)
        except NOT_JSON as error:
            raise WireError("The upstream's answer is not a response.") from error
        return decoder.whole(response)

    def stream_decoder(self) -> ResponsesStreamDecoder:
        """A fresh decoder for one reply."""
        return ResponsesStreamDecoder()

    def decode_error(self, status: int, body: bytes) -> WireError:
        """The error of a bad status, in the shape of all of OpenAI's paths."""
        return OpenAIChatUpstream().decode_error(status, body)


class _Response(Struct):
    """A `response` object, whole or within an event."""

    id: str = ""
    model: str = ""
    status: str = ""
    output: list[dict[str, Any]] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    incomplete_details: dict[str, Any] | None = None


_NO_RESPONSE = Raw(b"null")


class _Event(Struct):
    type: str = ""
    sequence_number: int | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    delta: Any = None
    item: dict[str, Any] | None = None
    response: Raw = _NO_RESPONSE
    message: Any = None
    code: Any = None
    error: Any = None


_WHOLE = msgspec.json.Decoder(_Response)
_RESPONSE = msgspec.json.Decoder(_Response | None)
_EVENT = msgspec.json.Decoder(_Event)

_DELTAS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_summary_text.delta": "thinking",
    "response.reasoning_text.delta": "thinking",
    "response.function_call_arguments.delta": "call",
    "response.custom_tool_call_input.delta": "custom",
}


class _Open(Struct):
    """A block while it arrives."""

    index: int
    part: tuple[int, int]
    """Output index, and the index of the part where an item has several blocks."""
    kind: str
    section: int = 0
    told: bool = False


class ResponsesStreamDecoder:
    """A stream of typed events to canonical events.

    It also keeps what a client that was given the upstream's own events must find in a last one of ours.

    Attributes:
        tail: the upstream's last event, where the blank line after it was missing; with that line.
    """

    def __init__(self) -> None:
        self.tail = b""
        self._splitter = SseSplitter()
        self._started = False
        self._ended = False
        self._next = 0
        self._open: _Open | None = None
        self._called = False
        self._filled = False
        """Whether there was any item, of whatever kind."""
        self._told_items: set[int] = set()
        self._emitter = Emitter()
        self._head = b"{}"
        self._code = ""

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """Takes the next bytes; gives (raw, events) per complete server-sent event."""
        return [(event.raw, self._decode(event)) for event in self._splitter.feed(chunk)]

    def finish(self) -> list[Event]:
        """Tells that the stream has ended; only a last event of the response's own ends it well."""
        events: list[Event] = []
        for event in self._splitter.finish():
            self.tail = event.raw
            events += self._decode(event)
        if not self._ended:
            events += self._fail("The upstream's answer broke off before its end.")
        return events

    def failure(self, failed: Failed) -> bytes:
        """The events that end the upstream's own stream for a client to which it was passed on."""
        response: Json = msgspec.json.decode(self._head)
        error = WireError(failed.message, status=failed.status, kind=failed.kind)
        return failure_events(self._emitter, response, error, self._code)

    def whole(self, response: _Response) -> list[Event]:
        """The events of a response that came in one piece. Raises `WireError` for a failed one."""
        events = self._begin(response)
        if response.status in ("queued", "in_progress"):
            # Asked to work in the background, OpenAI answers before there is anything to answer.
            return [*events, Stopped("end_turn", Usage())]
        if response.output is None and response.status != "failed" and response.error is None:
            raise WireError("The upstream's answer is not a response.")
        events += self._end(response)
        last = events[-1]
        if isinstance(last, Failed):
            raise WireError(last.message, status=last.status, kind=last.kind)
        return events

    def _decode(self, event: ServerSentEvent) -> list[Event]:
        if self._ended or not event.data or event.data == b"[DONE]":
            return []
        try:
            told = _EVENT.decode(event.data)
            whole = None if told.response is _NO_RESPONSE else _RESPONSE.decode(told.response)
        except NOT_JSON:
            return self._fail("The upstream sent a piece that is not an event of a response.")
        response = whole or _Response()
        if response.id:
            self._head = bytes(told.response)
        events = self._events(told, response)
        if told.sequence_number is not None and not (events and isinstance(events[-1], Failed)):
            self._emitter.number = told.sequence_number + 1
        return events

    def _events(self, told: _Event, response: _Response) -> list[Event]:
        if (kind := _DELTAS.get(told.type)) is not None:
            return self._delta(kind, told)
        match told.type:
            case "response.output_item.added":
                return self._item_added(told.output_index, told.item or {})
            case "response.output_item.done":
                return self._item_done(told.output_index, told.item or {})
            case "response.created" | "response.in_progress" | "response.queued":
                return self._begin(response)
            case "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled":
                return self._begin(response) + self._end(response)
            case "error":
                return self._fail_with(told.error or {"message": told.message, "code": told.code})
            case "" if told.error is not None:
                return self._fail_with(told.error)
        return []

    def _begin(self, response: _Response) -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [Started(response.id, response.model)]

    def _item_added(self, output_index: int, item: Json) -> list[Event]:
        self._filled = True
        if item.get("type") not in ("function_call", "custom_tool_call"):
            return []
        return self._open_call(output_index, item)

    def _open_call(self, output_index: int, item: Json) -> list[Event]:
        self._called = True
        name = function_name(_text(item, "name"), _text(item, "namespace"))
        call = ToolUse(_text(item, "call_id") or _text(item, "id"), name, {})
        kind = "custom" if item.get("type") == "custom_tool_call" else "call"
        return self._into((output_index, 0), kind, call)

    def _delta(self, kind: str, told: _Event) -> list[Event]:
        text = told.delta
        if not isinstance(text, str) or not text:
            return []
        self._filled = True
        part = (told.output_index, told.content_index if kind == "text" else 0)
        if kind == "text":
            events = self._into(part, kind, Text(""))
        elif kind == "thinking":
            events = self._into(part, kind, Thinking(""))
        elif self._open is None or self._open.part != part:
            return []
        else:
            events = []
        return events + self._write(kind, text, max(told.summary_index, told.content_index))

    def _write(self, kind: str, text: str, section: int = 0) -> list[Event]:
        current = self._open
        assert current is not None
        first, current.told = not current.told, True
        match kind:
            case "text":
                return [TextDelta(current.index, text)]
            case "thinking":
                if section != current.section:
                    current.section = section
                    text = f"\n\n{text}"
                return [ThinkingDelta(current.index, text)]
            case "custom":
                opening = '{"input":"' if first else ""
                return [ToolInputDelta(current.index, opening + encode_json(text).decode()[1:-1])]
        return [ToolInputDelta(current.index, text)]

    def _into(self, part: tuple[int, int], kind: str, block: Text | Thinking | ToolUse) -> list[Event]:
        if self._open is not None and self._open.part == part and self._open.kind == kind:
            return []
        events = self._begin(_Response()) + self._close()
        self._open = _Open(self._next, part, kind)
        self._told_items.add(part[0])
        self._next += 1
        events.append(BlockStarted(self._open.index, block))
        return events

    def _close(self) -> list[Event]:
        current, self._open = self._open, None
        if current is None:
            return []
        events: list[Event] = []
        if current.kind == "custom":
            events.append(ToolInputDelta(current.index, '"}' if current.told else '{"input":""}'))
        return [*events, BlockStopped(current.index)]

    def _item_done(self, output_index: int, item: Json) -> list[Event]:
        """Closes an item; tells of it first where no delta did."""
        self._filled = True
        kind = _text(item, "type")
        current = self._open
        if current is not None and current.part[0] == output_index:
            if not current.told:
                text = _text(item, "input" if current.kind == "custom" else "arguments")
                return (self._write(current.kind, text) if text else []) + self._close()
            return self._close()
        if output_index in self._told_items:
            return []
        events: list[Event] = []
        if kind == "message":
            for number, part in enumerate(_parts(item, "content")):
                if text := _text(part, "text") or _text(part, "refusal"):
                    events += self._into((output_index, number), "text", Text(""))
                    events += self._write("text", text)
        elif kind == "reasoning":
            for number, part in enumerate(_parts(item, "summary") + _parts(item, "content")):
                if text := _text(part, "text"):
                    events += self._into((output_index, 0), "thinking", Thinking(""))
                    events += self._write("thinking", text, number)
        elif kind in ("function_call", "custom_tool_call"):
            events = self._open_call(output_index, item)
            if text := _text(item, "input" if kind == "custom_tool_call" else "arguments"):
                events += self._write("custom" if kind == "custom_tool_call" else "call", text)
        elif kind in KIND_OF_CALL:
            name = KIND_OF_CALL[kind]
            events = self._open_call(output_index, {**item, "name": name})
            events += self._write("call", encode_json(item.get(LOCAL_KINDS[name].holds) or {}).decode())
        return events + self._close()

    def _end(self, response: _Response) -> list[Event]:
        if response.error is not None or response.status in ("failed", "cancelled"):
            return self._fail_with(response.error or f"The response was {response.status}.")
        events: list[Event] = []
        for number, item in enumerate(response.output or ()):
            events += self._item_done(number, item)
        events += self._close()
        why = (response.incomplete_details or {}).get("reason") if response.status == "incomplete" else None
        reason: StopReason = "tool_use" if self._called else "end_turn"
        if why is not None:
            reason = "refusal" if why == "content_filter" else "max_tokens"
        elif not self._filled:
            return events + self._fail("The model returned an empty answer.")
        self._ended = True
        usage = decode_usage(response.usage) if response.usage else Usage(estimated=True)
        return [*events, Stopped(reason, usage)]

    def _fail_with(self, error: Any) -> list[Event]:
        code = error.get("code") if isinstance(error, dict) else None
        self._code = code if isinstance(code, str) else ""
        message = error.get("message") if isinstance(error, dict) else error
        if not isinstance(message, str) or not message:
            message = f"The response failed{f' with {self._code}' if self._code else ''}."
        return self._fail(message, _STATUS_OF_CODE.get(self._code, 502))

    def _fail(self, message: str, status: int = 502) -> list[Event]:
        self._ended = True
        return [Failed(message, status, kind_of(status))]


def _text(value: Json, key: str) -> str:
    text = value.get(key)
    return text if isinstance(text, str) else ""


def _parts(item: Json, key: str) -> list[Json]:
    value = item.get(key)
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def decode_usage(usage: dict[str, Any]) -> Usage:
    """Token counts from a `usage` object; fields of the wrong type count as absent."""
    details = usage.get("input_tokens_details")
    return Usage(
        input_tokens=token_count(usage, "input_tokens"),
        cached_tokens=token_count(details, "cached_tokens"),
        cache_write_tokens=token_count(details, "cache_write_tokens"),
        output_tokens=token_count(usage, "output_tokens"),
        reasoning_tokens=token_count(usage.get("output_tokens_details"), "reasoning_tokens"),
    )
