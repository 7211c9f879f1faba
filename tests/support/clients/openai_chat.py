"""A client of OpenAI Chat Completions, as strict as its documentation."""

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
    Turn,
    Used,
    arguments_of,
    need,
    sse_events,
)

_STOP: dict[str, Stop] = {
    "stop": "end",
    "length": "limit",
    "tool_calls": "tools",
    "content_filter": "refusal",
}
ERROR = {401: "authentication_error", 403: "permission_error", 408: "server_error", 429: "rate_limit_error"}


class OpenAIChat(Client):
    """POST /v1/chat/completions."""

    name = "openai_chat"
    path = "/v1/chat/completions"
    can = frozenset({"tools", "choice", "parallel", "image", "thinking", "format", "stop"})

    def body(self, ask: Ask) -> Json:
        """The body of a request."""
        messages: list[Json] = []
        if ask.system:
            parts = [{"type": "text", "text": text} for text in ask.system]
            messages.append({"role": "system", "content": parts if len(parts) > 1 else ask.system[0]})
        for turn in ask.turns:
            messages += _messages(turn)
        body: Json = {"model": ask.model, "messages": messages}
        if ask.limit is not None:
            body["max_tokens"] = ask.limit
        if ask.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.schema,
                    },
                }
                for tool in ask.tools
            ]
        if ask.choice:
            named = {"type": "function", "function": {"name": ask.choice}}
            body["tool_choice"] = ask.choice if ask.choice in ("auto", "none", "required") else named
        if ask.parallel is not None:
            body["parallel_tool_calls"] = ask.parallel
        if ask.thinking:
            body["reasoning_effort"] = "none" if ask.thinking == "off" else ask.thinking
        if ask.stop:
            body["stop"] = list(ask.stop)
        if ask.schema is not None:
            schema = {"name": "answer", "schema": ask.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if ask.stream:
            body["stream"] = True
            if ask.usage:
                body["stream_options"] = {"include_usage": True}
        return {**body, **ask.more}

    def whole(self, body: Json, ask: Ask) -> Answer:
        """A `chat.completion`."""
        need(body.get("object") == "chat.completion", "a completion", body)
        need(body.get("id") and body.get("model") and isinstance(body.get("created"), int), "its head", body)
        [choice] = body["choices"]
        message = choice["message"]
        need(choice["index"] == 0 and message["role"] == "assistant", "one answer of the model", body)
        need("content" in message, "content is there, if only as null", message)
        answer = Answer(model=body["model"], events=[body])
        if thoughts := message.get("reasoning_content"):
            answer.thoughts = thoughts
            answer.order.append("thinking")
        if message["content"]:
            answer.text = message["content"]
            answer.order.append("text")
        for call in message.get("tool_calls") or ():
            need(call["type"] == "function", "a function is called", call)
            function = call["function"]
            need(isinstance(function["arguments"], str), "arguments are text", call)
            _add_call(answer, call["id"], function["name"], function["arguments"], 0)
        answer.stop = _stop(choice["finish_reason"], answer)
        answer.usage = _usage(body["usage"])
        return answer

    def streamed(self, raw: bytes, ask: Ask) -> Answer:
        """Chunks, then [DONE]."""
        reader = _Reader(ask.usage)
        for name, data in sse_events(raw):
            need(not name, "chunks have no event name", name)
            reader.take(data)
        return reader.end()

    def problem(self, status: int, body: Json) -> Problem:
        """`{"error": {...}}`."""
        return problem_of(status, body)


def problem_of(status: int, body: Json) -> Problem:
    """An error as every OpenAI protocol has it."""
    error = body.get("error")
    need(
        isinstance(error, dict) and {"message", "type", "param", "code"} <= set(error),
        "an error's shape",
        body,
    )
    assert isinstance(error, dict)
    if status:
        kind = ERROR.get(status, "invalid_request_error" if 400 <= status < 500 else "server_error")
        need(error["type"] == kind, "the type fits the status", (status, body))
    return Problem(status, error["type"], error["message"])


def _messages(turn: Turn) -> list[Json]:
    """A turn's messages: tool answers stand alone, images of theirs follow in a message of the user."""
    messages: list[Json] = []
    parts: list[Json] = []
    calls: list[Json] = []
    thoughts = ""
    for part in turn.parts:
        match part:
            case Result():
                if parts:
                    messages.append({"role": turn.role, "content": parts})
                    parts = []
                texts = [inner for inner in part.parts if isinstance(inner, str)]
                result = {"role": "tool", "tool_call_id": part.id, "content": "\n".join(texts)}
                messages.append({**result, "name": part.name} if part.name else result)
                parts += [_part(inner) for inner in part.parts if isinstance(inner, Picture)]
            case Used():
                function = {"name": part.name, "arguments": json.dumps(part.arguments)}
                calls.append({"id": part.id, "type": "function", "function": function})
            case Thought():
                thoughts += part.text
            case _:
                parts.append(_part(part))
    if turn.role == "assistant":
        texts = [part["text"] for part in parts]
        message: Json = {"role": "assistant", "content": "".join(texts) or None}
        if calls:
            message["tool_calls"] = calls
        if thoughts:
            message["reasoning_content"] = thoughts
        return [message]
    if parts:
        only = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts
        messages.append({"role": "user", "content": only})
    return messages


def _part(part: Part) -> Json:
    match part:
        case str():
            return {"type": "text", "text": part}
        case Picture():
            return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}}
    raise TypeError(f"no part of a message: {part!r}")


def _add_call(answer: Answer, call_id: str, name: str, arguments: str, pieces: int) -> None:
    need(call_id and name, "a call has an id and a name", (call_id, name))
    need(call_id not in [call.id for call in answer.calls], "ids are unique", call_id)
    answer.calls.append(ToolCall(call_id, name, arguments_of(arguments), pieces))
    answer.order.append("call")


def _stop(reason: Any, answer: Answer) -> Stop:
    need(reason in _STOP, "a known finish reason", reason)
    # An answer that met its limit says so, also within a call.
    called = bool(answer.calls) and reason not in ("length", "content_filter")
    need((reason == "tool_calls") == called, "tool_calls exactly when a tool is called", reason)
    return _STOP[reason]


def _usage(usage: Json) -> tuple[int, int]:
    counts: list[Any] = [usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    need(all(isinstance(count, int) and count >= 0 for count in counts), "usage counts tokens", usage)
    need(counts[0] + counts[1] == counts[2], "the total is the sum", usage)
    return counts[0], counts[1]


class _Reader:
    """The state of one stream."""

    def __init__(self, wants_usage: bool) -> None:
        self.answer = Answer()
        self._wants_usage = wants_usage
        self._head: Json = {}
        self._calls: list[list[str]] = []
        self._pieces: list[int] = []
        self._finish: str | None = None
        self._done = False

    def take(self, data: str) -> None:
        answer = self.answer
        need(not self._done and answer.problem is None, "nothing follows the end", data)
        if data == "[DONE]":
            self._done = True
            return
        chunk = json.loads(data)
        answer.events.append(chunk)
        if "error" in chunk:
            answer.problem = problem_of(0, chunk)
            return
        need(chunk.get("object") == "chat.completion.chunk", "a chunk", chunk)
        head = {key: chunk[key] for key in ("id", "created", "model")}
        need(all(head.values()), "a chunk has id, time and model", chunk)
        first = not self._head
        self._head = self._head or head
        need(head == self._head, "all chunks have one head", (head, self._head))
        answer.model = head["model"]
        if chunk.get("usage") is not None:
            need(self._wants_usage, "usage only where it was asked for", chunk)
            need(chunk["choices"] == [], "the usage chunk has no choices", chunk)
            need(self._finish and answer.usage is None, "usage comes once, after the finish", chunk)
            answer.usage = _usage(chunk["usage"])
            return
        [choice] = chunk["choices"]
        need(self._finish is None, "nothing but usage follows the finish", chunk)
        need(choice["index"] == 0 and "finish_reason" in choice, "a choice's shape", chunk)
        delta = choice["delta"]
        need((delta.get("role") == "assistant") == first, "the role comes first, and once", chunk)
        self._take_delta(delta)
        self._finish = choice["finish_reason"]

    def _take_delta(self, delta: Json) -> None:
        answer = self.answer
        if thought := delta.get("reasoning_content"):
            answer.thoughts += thought
            self._note("thinking")
        if text := delta.get("content"):
            answer.text += text
            self._note("text")
        for call in delta.get("tool_calls") or ():
            index, function = call["index"], call.get("function") or {}
            if index == len(self._calls):
                need(call.get("id") and function.get("name"), "a call begins with id and name", call)
                need(call.get("type") == "function", "a function is called", call)
                self._calls.append([call["id"], function["name"], ""])
                self._pieces.append(0)
            else:
                need(0 <= index < len(self._calls), "every call has its own index, in order", call)
                need(not call.get("id") and not function.get("name"), "id and name come once", call)
            if arguments := function.get("arguments"):
                self._calls[index][2] += arguments
                self._pieces[index] += 1

    def _note(self, kind: str) -> None:
        if self.answer.order[-1:] != [kind]:
            self.answer.order.append(kind)

    def end(self) -> Answer:
        answer = self.answer
        need(
            self._done != (answer.problem is not None),
            "a stream ends with [DONE] or an error",
            answer.events[-2:],
        )
        if answer.problem is None:
            need(self._finish, "a finish reason comes before [DONE]", answer.events[-3:])
            for (call_id, name, arguments), pieces in zip(self._calls, self._pieces, strict=True):
                _add_call(answer, call_id, name, arguments, pieces)
            answer.stop = _stop(self._finish, answer)
            need(
                (answer.usage is not None) == self._wants_usage, "usage where it was asked for", answer.usage
            )
        return answer
