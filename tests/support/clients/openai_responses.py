"""A client of OpenAI Responses, as strict as its documentation."""

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
from tests.support.clients.openai_chat import problem_of

_ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}


class OpenAIResponses(Client):
    """POST /v1/responses."""

    name = "openai_responses"
    path = "/v1/responses"
    can = frozenset({"tools", "choice", "parallel", "image", "thinking", "format", "result_image"})

    def body(self, ask: Ask) -> Json:
        """The body of a request."""
        body: Json = {
            "model": ask.model,
            "input": [item for turn in ask.turns for item in _items(turn)],
            "store": False,
        }
        if ask.system:
            body["instructions"] = ask.system[0]
            developer = [{"type": "input_text", "text": text} for text in ask.system[1:]]
            if developer:
                body["input"].insert(0, {"type": "message", "role": "developer", "content": developer})
        if ask.limit is not None:
            body["max_output_tokens"] = ask.limit
        if ask.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.schema,
                    "strict": False,
                }
                for tool in ask.tools
            ]
        if ask.choice:
            plain = ask.choice in ("auto", "none", "required")
            body["tool_choice"] = ask.choice if plain else {"type": "function", "name": ask.choice}
        if ask.parallel is not None:
            body["parallel_tool_calls"] = ask.parallel
        if ask.thinking:
            body["reasoning"] = {"effort": "none" if ask.thinking == "off" else ask.thinking}
        if ask.schema is not None:
            wanted = {"type": "json_schema", "name": "answer", "schema": ask.schema, "strict": True}
            body["text"] = {"format": wanted}
        if ask.temperature is not None:
            body["temperature"] = ask.temperature
        if ask.stream:
            body["stream"] = True
        return {**body, **ask.more}

    def whole(self, body: Json, ask: Ask) -> Answer:
        """A `response`."""
        _check_head(body)
        answer = Answer(model=body["model"], events=[body])
        for item in body["output"]:
            _take_item(answer, item, 0)
        _end(answer, body)
        return answer

    def streamed(self, raw: bytes, ask: Ask) -> Answer:
        """Typed events, numbered, each delta closed by its done."""
        reader = _Reader()
        for name, data in sse_events(raw):
            event = json.loads(data)
            need(event.get("type") == name, "the event's name is its type", (name, data))
            reader.take(event)
        return reader.end()

    def problem(self, status: int, body: Json) -> Problem:
        """`{"error": {...}}`."""
        return problem_of(status, body)


def _items(turn: Turn) -> list[Json]:
    items: list[Json] = []
    said = "output_text" if turn.role == "assistant" else "input_text"
    for part in turn.parts:
        match part:
            case Result():
                output: Any = [_part(inner, "input_text") for inner in part.parts]
                if len(output) == 1 and output[0]["type"] == "input_text":
                    output = output[0]["text"]
                items.append({"type": "function_call_output", "call_id": part.id, "output": output})
            case Used():
                items.append(
                    {
                        "type": "function_call",
                        "call_id": part.id,
                        "name": part.name,
                        "arguments": json.dumps(part.arguments),
                    }
                )
            case Thought():
                summary = [{"type": "summary_text", "text": part.text}]
                items.append({"type": "reasoning", "id": f"rs_{len(items)}", "summary": summary})
            case _:
                content = _part(part, said)
                if items and items[-1]["type"] == "message":
                    items[-1]["content"].append(content)
                else:
                    items.append({"type": "message", "role": turn.role, "content": [content]})
    return items


def _part(part: Part, said: str) -> Json:
    match part:
        case str():
            return {"type": said, "text": part}
        case Picture():
            return {"type": "input_image", "image_url": f"data:{part.media_type};base64,{part.data}"}
    raise TypeError(f"no part of a message: {part!r}")


def _check_head(response: Json) -> None:
    need(response.get("object") == "response", "a response", response)
    need(
        str(response.get("id", "")).startswith("resp_") and response.get("model"),
        "its id and model",
        response,
    )
    need(isinstance(response.get("created_at"), int | float), "its time", response)
    need(isinstance(response.get("output"), list), "its output", response)


def _take_item(answer: Answer, item: Json, pieces: int) -> None:
    need(item.get("id"), "an item has an id", item)
    match item["type"]:
        case "message":
            need(item["role"] == "assistant" and item["content"], "a message says something", item)
            for part in item["content"]:
                need(part["type"] in ("output_text", "refusal"), "a part of a message", item)
                answer.text += part.get("text", "") + part.get("refusal", "")
                if part["type"] == "output_text":
                    need(isinstance(part.get("annotations"), list), "text has its annotations", part)
            answer.order.append("text")
        case "reasoning":
            texts = [part["text"] for part in item["summary"]]
            texts += [part["text"] for part in item.get("content") or ()]
            answer.thoughts += "".join(texts)
            answer.order.append("thinking")
        case "function_call":
            need(item["call_id"] and item["name"], "a call has an id and a name", item)
            need(item["call_id"] not in [call.id for call in answer.calls], "ids are unique", item)
            call = ToolCall(item["call_id"], item["name"], arguments_of(item["arguments"]), pieces)
            answer.calls.append(call)
            answer.order.append("call")
        case _:
            need(False, "a known item", item)


def _end(answer: Answer, response: Json) -> None:
    status = response["status"]
    if status == "failed":
        error = response["error"]
        answer.problem = Problem(0, error["code"], error["message"])
        return
    need(response.get("error") is None, "a good response has no error", response)
    stop: Stop = "tools" if answer.calls else "end"
    if status == "incomplete":
        reasons: dict[str, Stop] = {"max_output_tokens": "limit", "content_filter": "refusal"}
        stop = reasons[response["incomplete_details"]["reason"]]
    else:
        need(status == "completed", "a known status", response)
    answer.stop = stop
    usage = response["usage"]
    counts: list[Any] = [usage.get(name) for name in ("input_tokens", "output_tokens", "total_tokens")]
    need(all(isinstance(count, int) and count >= 0 for count in counts), "usage counts tokens", usage)
    need(counts[0] + counts[1] == counts[2], "the total is the sum", usage)
    need("cached_tokens" in usage["input_tokens_details"], "usage tells what was cached", usage)
    need("reasoning_tokens" in usage["output_tokens_details"], "usage tells what was thought", usage)
    answer.usage = counts[0], counts[1]


class _Reader:
    """The state of one stream."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._number = 0
        self._head: Json | None = None
        self._item: Json | None = None
        self._part: Json | None = None
        self._done: list[Json] = []
        self._text = ""
        self._pieces = 0
        self._over = False

    def take(self, event: Json) -> None:
        answer, kind = self.answer, event["type"]
        failed_after_error = self._over and answer.problem is not None and kind == "response.failed"
        need(not self._over or failed_after_error, "nothing follows the end", event)
        answer.events.append(event)
        need(event.get("sequence_number") == self._number, "sequence numbers rise from 0 by one", event)
        self._number += 1
        if kind == "error":
            need(event.get("message"), "an error has a message", event)
            answer.problem = Problem(0, event.get("code") or "", event["message"])
            self._over = True
            return
        if self._number == 1:
            need(kind == "response.created", "response.created comes first", event)
        match kind:
            case "response.created" | "response.in_progress":
                response = event["response"]
                _check_head(response)
                need(response["status"] == "in_progress" and not response["output"], "it begins empty", event)
                self._head = self._head or response
                answer.model = response["model"]
            case "response.output_item.added":
                self._add_item(event)
            case "response.output_item.done":
                self._close_item(event)
            case "response.content_part.added" | "response.reasoning_summary_part.added":
                self._in_item(event)
                need(self._part is None, "parts do not overlap", event)
                self._part, self._text = event["part"], ""
                need(not event["part"].get("text"), "a part begins empty", event)
            case "response.content_part.done" | "response.reasoning_summary_part.done":
                self._in_item(event)
                need(self._part is not None, "a part is closed that was opened", event)
                need(
                    event["part"].get("text", self._text) == self._text,
                    "a part is what its deltas were",
                    event,
                )
                self._part = None
            case _:
                self._take_piece(kind, event)
        if kind in _ENDS:
            self._finish(kind, event["response"])

    def _take_piece(self, kind: str, event: Json) -> None:
        if kind in _ENDS:
            return
        stem, _, last = kind.rpartition(".")
        field = {
            "response.output_text": "text",
            "response.refusal": "refusal",
            "response.reasoning_summary_text": "text",
            "response.reasoning_text": "text",
            "response.function_call_arguments": "arguments",
        }.get(stem)
        need(field and last in ("delta", "done"), "a known event", event)
        assert field is not None
        self._in_item(event)
        if last == "delta":
            need(event["delta"], "no delta is empty", event)
            self._text += event["delta"]
            self._pieces += 1
        else:
            need(event[field] == self._text, "done is what the deltas were", (event, self._text))

    def _add_item(self, event: Json) -> None:
        need(self._item is None, "items do not overlap", event)
        need(event["output_index"] == len(self._done), "output indexes rise from 0", event)
        self._item, self._text, self._pieces = event["item"], "", 0
        need(event["item"].get("id"), "an item has an id", event)

    def _in_item(self, event: Json) -> None:
        item = self._item
        need(item is not None, "an event belongs to the open item", event)
        assert item is not None
        need(event.get("item_id") == item["id"], "by its id", event)
        need(event.get("output_index") == len(self._done), "and its index", event)

    def _close_item(self, event: Json) -> None:
        item, done = self._item, event["item"]
        need(item is not None and done["id"] == item["id"], "an item is closed that was opened", event)
        need(self._part is None, "its parts are closed before", event)
        need(event["output_index"] == len(self._done), "at its index", event)
        if done["type"] == "function_call":
            assert item is not None
            need(done["arguments"] == self._text, "the arguments are what the deltas were", event)
            need(item["call_id"] == done["call_id"], "the call's id stays", event)
        _take_item(self.answer, done, self._pieces)
        self._done.append(done)
        self._item = None

    def _finish(self, kind: str, response: Json) -> None:
        _check_head(response)
        assert self._head is not None
        need(response["id"] == self._head["id"], "one response from begin to end", response)
        need(response["status"] == _ENDS[kind], "the status fits the event", response)
        if kind != "response.failed":
            need(self._item is None, "every item is closed", response)
            need(response["output"] == self._done, "the output is what was streamed", (response, self._done))
        self._over = True
        _end(self.answer, response)

    def end(self) -> Answer:
        need(self._over, "a stream ends with completed, incomplete, failed or error", self.answer.events[-3:])
        return self.answer
