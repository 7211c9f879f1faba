"""OpenAI Responses, as api.openai.com streams them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from tests.support.fakes.base import OUTPUT_TOKENS, PROMPT_TOKENS, Asked, Json, Wire, pieces
from tests.support.script import Call, Reply, Say, Think

USAGE = {
    "input_tokens": PROMPT_TOKENS,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": OUTPUT_TOKENS,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": PROMPT_TOKENS + OUTPUT_TOKENS,
}


_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def check_input(body: Json) -> tuple[int, str] | None:
    """Calls and their outputs belong together, as the real server insists."""
    if not isinstance(body.get("input"), list):
        return None
    calls = [item for item in body["input"] if _is_call(item)]
    outputs = [item for item in body["input"] if item.get("type") in _OUTPUTS]
    known = {call["call_id"] for call in calls}
    answered = {output["call_id"] for output in outputs}
    for output in outputs:
        if output["call_id"] not in known:
            return 400, f"No tool call found for function call output with call_id {output['call_id']}."
    for call in calls:
        if call["call_id"] not in answered:
            return 400, f"No tool output found for function call {call['call_id']}."
    return None


def _is_call(item: Json) -> bool:
    return item.get("type") in ("function_call", "custom_tool_call")


def offered(body: Json) -> Iterator[Json]:
    """Every tool of a request: also those in namespaces, and those that an item of the input adds."""
    items = body.get("input")
    said = items if isinstance(items, list) else []
    added = [item["tools"] for item in said if item.get("type") == "additional_tools"]
    for tool in chain(body.get("tools") or (), *added):
        if tool.get("type") == "namespace":
            yield from tool["tools"]
        else:
            yield tool


class ResponsesWire(Wire):
    """Typed events and whole responses.

    A tool that was offered as freeform is called as such: its text is the argument `input`.
    """

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        body = asked.json
        self._number = 0
        self._output: list[Json] = []
        self._item: Json | None = None
        self._freeform = {
            tool["name"] for tool in offered(body) if tool.get("type") == "custom" and "name" in tool
        }
        self._base: Json = {
            "id": "resp_68af4030592c81938ec0a5fbab4a3e9f",
            "object": "response",
            "created_at": 1700000000,
            "status": "in_progress",
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "max_tool_calls": None,
            "model": body.get("model", "m"),
            "output": [],
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "prompt_cache_key": None,
            "reasoning": {"effort": "medium", "summary": None},
            "safety_identifier": None,
            "service_tier": "default",
            "store": body.get("store", True),
            "temperature": 1.0,
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": body.get("tools", []),
            "top_logprobs": 0,
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": None,
            "user": None,
            "metadata": {},
        }

    @property
    def streams(self) -> bool:
        """As the body says."""
        return bool(self.asked.json.get("stream"))

    def start(self) -> bytes:
        """The response, twice."""
        return self._event("response.created", response=self._base) + self._event(
            "response.in_progress", response=self._base
        )

    def say(self, piece: str) -> bytes:
        """A delta of the message, which opens with the first."""
        out = b""
        if self._item is None or self._item["type"] != "message":
            out = self._close() + self._open(
                {"id": self._id("msg"), "type": "message", "status": "in_progress", "content": []}
                | {"role": "assistant"}
            )
            out += self._inner("response.content_part.added", content_index=0, part=_text(""))
            assert self._item is not None
            self._item["content"] = [_text("")]
        self._item["content"][0]["text"] += piece
        return out + self._inner(
            "response.output_text.delta", content_index=0, delta=piece, logprobs=[], obfuscation="kQ2zT"
        )

    def think(self, piece: str) -> bytes:
        """A delta of the summary of a reasoning item."""
        out = b""
        if self._item is None or self._item["type"] != "reasoning":
            out = self._close() + self._open({"id": self._id("rs"), "type": "reasoning", "summary": []})
            out += self._inner("response.reasoning_summary_part.added", summary_index=0, part=_summary(""))
            assert self._item is not None
            self._item["summary"] = [_summary("")]
        self._item["summary"][0]["text"] += piece
        return out + self._inner(
            "response.reasoning_summary_text.delta", summary_index=0, delta=piece, obfuscation="x"
        )

    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """An item of its own; its arguments in pieces."""
        yield self._close() + self._open(self._call_item(name, "in_progress", ""))
        assert self._item is not None
        field, stem = self._argument_field(self._item)
        text = arguments["input"] if field == "input" else json.dumps(arguments)
        for piece in [text] if field == "input" else pieces(arguments):
            self._item[field] += piece
            yield self._inner(f"{stem}.delta", delta=piece, obfuscation="9aB")
        yield self._inner(f"{stem}.done", **{field: text})

    def end(self, reason: str, *, counts: bool) -> bytes:
        """The whole response again, complete or not."""
        out = self._close("incomplete" if reason == "length" else "completed")
        response = self._finished(reason, counts=counts)
        return out + self._event(f"response.{response['status']}", response=response)

    def error_event(self, message: str) -> bytes:
        """`error`, then `response.failed`; or a response that failed."""
        error = {"code": "server_error", "message": message}
        failed = {**self._base, "status": "failed", "error": error}
        if not self.streams:
            return json.dumps(failed).encode()
        return self._event("error", error={"type": "server_error", "param": None, **error}) + self._event(
            "response.failed", response=failed
        )

    def whole(self, reply: Reply) -> bytes:
        """A `response`."""
        self.start()
        for step in reply.steps:
            match step:
                case Say():
                    self.say(step.text)
                case Think():
                    self.think(step.text)
                case Call():
                    list(self.call(step.name, step.arguments))
        self._close("incomplete" if reply.done_reason == "length" else "completed")
        return json.dumps(self._finished(reply.done_reason, counts=reply.counts), ensure_ascii=False).encode()

    def failure(self, status: int, message: str) -> bytes:
        """`{"error": {...}}`."""
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        return json.dumps({"error": error}).encode()

    def _finished(self, reason: str, *, counts: bool) -> Json:
        why = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reason)
        return {
            **self._base,
            "status": "incomplete" if why else "completed",
            "incomplete_details": {"reason": why} if why else None,
            "output": self._output,
            "usage": USAGE if counts else None,
        }

    def _call_item(self, name: str, status: str, text: str) -> Json:
        number = sum(1 for item in self._output if _is_call(item))
        if name in self._freeform:
            item: Json = {"id": self._id("ctc"), "type": "custom_tool_call", "input": text}
        else:
            item = {"id": self._id("fc"), "type": "function_call", "arguments": text}
        return {**item, "status": status, "call_id": f"call_{number}", "name": name}

    def _argument_field(self, item: Json) -> tuple[str, str]:
        if item["type"] == "custom_tool_call":
            return "input", "response.custom_tool_call_input"
        return "arguments", "response.function_call_arguments"

    def _open(self, item: Json) -> bytes:
        self._item = dict(item)
        return self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _close(self, status: str = "completed") -> bytes:
        item, out = self._item, b""
        if item is None:
            return b""
        if item["type"] == "message":
            text = item["content"][0]["text"]
            out = self._inner("response.output_text.done", content_index=0, text=text, logprobs=[])
            out += self._inner("response.content_part.done", content_index=0, part=_text(text))
        elif item["type"] == "reasoning":
            text = item["summary"][0]["text"]
            out = self._inner("response.reasoning_summary_text.done", summary_index=0, text=text)
            out += self._inner("response.reasoning_summary_part.done", summary_index=0, part=_summary(text))
        if "status" in item:
            item["status"] = status
        out += self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        self._item = None
        return out

    def _inner(self, kind: str, **fields: Any) -> bytes:
        assert self._item is not None
        return self._event(kind, item_id=self._item["id"], output_index=len(self._output), **fields)

    def _id(self, prefix: str) -> str:
        return f"{prefix}_68af40{len(self._output):02d}5b8c8193"

    def _event(self, kind: str, **fields: Any) -> bytes:
        body = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        data = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        return f"event: {kind}\ndata: {data}\n\n".encode()


def _text(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _summary(text: str) -> Json:
    return {"type": "summary_text", "text": text}
