"""A client of Anthropic Messages, as strict as its documentation."""

from __future__ import annotations

import json
from typing import Any

from tests.support.clients.base import (
    Answer,
    Ask,
    Client,
    Json,
    Part,
    Picture,
    Problem,
    Result,
    Stop,
    Thought,
    ToolCall,
    Used,
    arguments_of,
    need,
    sse_events,
)

_STOP: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "max_tokens": "limit",
    "tool_use": "tools",
    "refusal": "refusal",
}
_ERROR = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_DELTA = {
    "text_delta": ("text", "text"),
    "input_json_delta": ("tool_use", "partial_json"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
}
_KIND = {"text": "text", "thinking": "thinking", "redacted_thinking": "thinking", "tool_use": "call"}


class AnthropicMessages(Client):
    """POST /v1/messages."""

    name = "anthropic_messages"
    path = "/v1/messages"
    can = frozenset(
        {
            "tools",
            "choice",
            "parallel",
            "image",
            "thinking",
            "format",
            "stop",
            "stop_sequence",
            "result_image",
        }
    )

    def body(self, ask: Ask) -> Json:
        """The body of a request."""
        body: Json = {
            "model": ask.model,
            "max_tokens": ask.limit or 200,
            "messages": [
                {"role": turn.role, "content": [_part(part) for part in turn.parts]} for turn in ask.turns
            ],
        }
        if ask.system:
            many = len(ask.system) > 1
            body["system"] = (
                [{"type": "text", "text": text} for text in ask.system] if many else ask.system[0]
            )
        if ask.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
                for tool in ask.tools
            ]
        if ask.choice or ask.parallel is not None:
            kinds = {"": "auto", "auto": "auto", "none": "none", "required": "any"}
            choice: Json = {"type": kinds.get(ask.choice, "tool")}
            if choice["type"] == "tool":
                choice["name"] = ask.choice
            if ask.parallel is not None:
                choice["disable_parallel_tool_use"] = not ask.parallel
            body["tool_choice"] = choice
        if ask.thinking:
            on = {"type": "enabled", "budget_tokens": {"low": 1024, "medium": 8192}.get(ask.thinking, 32768)}
            body["thinking"] = {"type": "disabled"} if ask.thinking == "off" else on
        if ask.stop:
            body["stop_sequences"] = list(ask.stop)
        if ask.schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if ask.stream:
            body["stream"] = True
        return {**body, **ask.more}

    def whole(self, body: Json, ask: Ask) -> Answer:
        """A `message`."""
        need(body.get("type") == "message" and body.get("role") == "assistant", "a message", body)
        _check_head(body)
        answer = Answer(model=body["model"], events=[body])
        for block in body["content"]:
            _take_block(answer, block)
        answer.stop = _stop(body, answer)
        answer.stop_sequence = body["stop_sequence"]
        answer.usage = _usage(body["usage"])
        return answer

    def streamed(self, raw: bytes, ask: Ask) -> Answer:
        """Events in their one order."""
        reader = _Reader()
        for name, data in sse_events(raw):
            event = json.loads(data)
            need(event.get("type") == name, "the event's name is its type", (name, data))
            reader.take(event)
        return reader.end()

    def problem(self, status: int, body: Json) -> Problem:
        """`{"type": "error", ...}`."""
        need(body.get("type") == "error" and body.get("request_id"), "an error with its request", body)
        return _problem(status, body)


def _part(part: Part) -> Json:
    match part:
        case str():
            return {"type": "text", "text": part}
        case Picture():
            source = {"type": "base64", "media_type": part.media_type, "data": part.data}
            return {"type": "image", "source": source}
        case Used():
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
        case Thought():
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        case Result():
            content = [_part(inner) for inner in part.parts]
            body = {"type": "tool_result", "tool_use_id": part.id, "content": content}
            return {**body, "is_error": True} if part.error else body


def _check_head(message: Json) -> None:
    need(str(message.get("id", "")).startswith("msg_"), "the id begins with msg_", message)
    need(message.get("model"), "a message names its model", message)


def _usage(usage: Json) -> tuple[int, int]:
    counts: list[Any] = [usage.get("input_tokens"), usage.get("output_tokens")]
    counts += [usage.get("cache_creation_input_tokens") or 0, usage.get("cache_read_input_tokens") or 0]
    need(all(isinstance(count, int) and count >= 0 for count in counts), "usage counts tokens", usage)
    return counts[0] + counts[2] + counts[3], counts[1]


def _take_block(answer: Answer, block: Json, pieces: int = 0) -> None:
    kind = block.get("type")
    need(kind in _KIND, "a known block", block)
    answer.order.append(_KIND[str(kind)])
    match kind:
        case "text":
            answer.text += block["text"]
        case "thinking":
            answer.thoughts += block["thinking"]
            answer.signature += block["signature"]
        case "tool_use":
            need(block["id"] and block["name"], "a call has an id and a name", block)
            need(isinstance(block["input"], dict), "a call's input is an object", block)
            need(block["id"] not in [call.id for call in answer.calls], "ids are unique", block)
            answer.calls.append(ToolCall(block["id"], block["name"], block["input"], pieces))


def _stop(holder: Json, answer: Answer) -> Stop:
    reason = holder["stop_reason"]
    need(reason in _STOP, "a known stop reason", holder)
    # An answer that met its limit says so, also within a call.
    called = bool(answer.calls) and reason not in ("max_tokens", "refusal")
    need((reason == "tool_use") == called, "tool_use exactly when a tool is called", holder)
    sequence = holder["stop_sequence"]
    need(
        sequence is None or reason == "stop_sequence",
        "the stop sequence goes with its reason",
        holder,
    )
    return _STOP[reason]


def _problem(status: int, body: Json) -> Problem:
    error = body.get("error") or {}
    need(isinstance(error.get("message"), str), "an error has a message", body)
    if status:
        need(
            error.get("type") == _ERROR.get(status, _fallback(status)),
            "the type fits the status",
            (status, body),
        )
    need(str(error.get("type", "")).endswith(("_error", "too_large")), "a known type", body)
    return Problem(status, error["type"], error["message"])


def _fallback(status: int) -> str:
    return "invalid_request_error" if 400 <= status < 500 else "api_error"


class _Reader:
    """The state of one stream."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._started = False
        self._open: Json | None = None
        self._parts: list[str] = []
        self._next = 0
        self._delta: Json | None = None
        self._over = False

    def take(self, event: Json) -> None:
        self.answer.events.append(event)
        kind = event["type"]
        need(not self._over, "nothing follows the end", event)
        if kind == "error":
            self._over = True
            self.answer.problem = _problem(0, event)
            return
        need(self._started or kind == "message_start", "message_start comes first", event)
        match kind:
            case "ping":
                return
            case "message_start":
                self._start(event)
            case "content_block_start":
                self._block(event)
            case "content_block_delta":
                self._piece(event)
            case "content_block_stop":
                self._close(event)
            case "message_delta":
                need(self._open is None, "message_delta comes after the blocks", event)
                need(self._delta is None, "message_delta comes once", event)
                self._delta = event
            case "message_stop":
                need(self._delta is not None, "message_stop comes after message_delta", event)
                self._over = True
            case _:
                need(False, "a known event", event)

    def _start(self, event: Json) -> None:
        need(not self._started, "message_start comes once", event)
        self._started = True
        message = event["message"]
        _check_head(message)
        empty: Json = {
            "type": "message",
            "role": "assistant",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        need({key: message.get(key, "") for key in empty} == empty, "the message begins empty", message)
        self.answer.usage = _usage(message["usage"])
        self.answer.model = message["model"]

    def _block(self, event: Json) -> None:
        need(self._open is None and self._delta is None, "blocks do not overlap", event)
        need(event["index"] == self._next, "indexes rise from 0", event)
        block = event["content_block"]
        self._open, self._parts = block, []
        bare: dict[str, dict[str, Any]] = {
            "text": {"text": ""},
            "thinking": {"thinking": "", "signature": ""},
            "tool_use": {"input": {}},
            "redacted_thinking": {},
        }
        kind = block.get("type")
        need(kind in bare, "a known block", event)
        need({**block, **bare[kind]} == block, "a block begins empty", event)

    def _piece(self, event: Json) -> None:
        block, delta = self._open, event["delta"]
        need(block is not None and event["index"] == self._next, "a delta belongs to the open block", event)
        assert block is not None
        need(delta["type"] in _DELTA, "a known delta", event)
        kind, name = _DELTA[delta["type"]]
        need(block["type"] == kind, "a delta fits its block", (block, event))
        if delta["type"] == "input_json_delta":
            self._parts.append(delta["partial_json"])
            return
        need(delta[name], "no delta is empty", event)
        block[name] += delta[name]

    def _close(self, event: Json) -> None:
        block = self._open
        need(block is not None and event["index"] == self._next, "a stop belongs to the open block", event)
        assert block is not None
        self._open = None
        self._next += 1
        if block["type"] == "tool_use":
            block["input"] = arguments_of("".join(self._parts))
        _take_block(self.answer, block, len(self._parts))

    def end(self) -> Answer:
        need(self._over, "a stream ends with message_stop or error", self.answer.events[-3:])
        if self.answer.problem is None:
            assert self._delta is not None
            self.answer.stop = _stop(self._delta["delta"], self.answer)
            self.answer.stop_sequence = self._delta["delta"]["stop_sequence"]
            begun, usage = self.answer.usage, _usage({"input_tokens": 0, **self._delta["usage"]})
            assert begun is not None
            self.answer.usage = (usage[0] or begun[0], usage[1])
        return self.answer
