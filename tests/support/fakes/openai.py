"""OpenAI Chat Completions, as api.openai.com streams it, and Responses beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.support.fakes.base import (
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    Asked,
    Json,
    ScriptedServer,
    Wire,
    calls,
    pieces,
    texts,
    thoughts,
)
from tests.support.fakes.openai_responses import ResponsesWire, check_input
from tests.support.script import Reply

USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": PROMPT_TOKENS + OUTPUT_TOKENS,
}


class OpenAIFake(ScriptedServer):
    """A provider behind {url}/v1.

    Attributes:
        responses: whether it has /v1/responses; a server without answers 404 as servers of FastAPI do.
    """

    responses = True

    def routes(self) -> list[web.RouteDef]:
        """The paths under /v1."""
        return [
            web.post("/v1/chat/completions", self.handle),
            web.post("/v1/responses", self._responses),
            web.post("/v1/embeddings", self._embeddings),
            web.get("/v1/models", _models),
        ]

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        """Vectors of the length of each text, in an order of the server's own."""
        body = await request.json()
        inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not inputs:
            return web.json_response({"error": {"message": "'input' must not be empty."}}, status=400)
        data = [
            {"object": "embedding", "index": index, "embedding": [float(len(text)), 0.5]}
            for index, text in enumerate(inputs)
        ]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return web.json_response(
            {"object": "list", "data": data[::-1], "model": body["model"], "usage": usage}
        )

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        if not self.responses:
            return web.json_response({"detail": "Not Found"}, status=404)
        return await self.handle(request)

    def wire(self, asked: Asked) -> Wire:
        """The protocol of the path."""
        return ResponsesWire(asked) if asked.path.endswith("/responses") else ChatWire(asked)

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """Tool answers must follow the calls that they answer, as the real server insists."""
        if asked.path.endswith("/responses"):
            return check_input(asked.json)
        open_calls: set[str] = set()
        for message in asked.json.get("messages", []):
            if message["role"] == "tool":
                if message.get("tool_call_id") not in open_calls:
                    return (
                        400,
                        "messages with role 'tool' must answer a preceding message with 'tool_calls'.",
                    )
            else:
                open_calls = {call["id"] for call in message.get("tool_calls") or ()}
        return None


class ChatWire(Wire):
    """Chunks and completions."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        body = asked.json
        self._model = body.get("model", "m")
        self._usage_wanted = bool((body.get("stream_options") or {}).get("include_usage"))
        self._calls = 0

    @property
    def streams(self) -> bool:
        """As the body says."""
        return bool(self.asked.json.get("stream"))

    def start(self) -> bytes:
        """The role."""
        return self._chunk({"role": "assistant", "content": ""})

    def say(self, piece: str) -> bytes:
        """Content."""
        return self._chunk({"content": piece})

    def think(self, piece: str) -> bytes:
        """As DeepSeek, vLLM and llama.cpp have it."""
        return self._chunk({"reasoning_content": piece})

    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """Identity first, then the arguments in pieces."""
        index, self._calls = self._calls, self._calls + 1
        head = {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        yield self._chunk({"tool_calls": [{"index": index, **head}]})
        for piece in pieces(arguments):
            yield self._chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})

    def end(self, reason: str, *, counts: bool) -> bytes:
        """Finish reason, usage where it was asked for, [DONE]."""
        out = self._chunk({}, "tool_calls" if self._calls else reason)
        if self._usage_wanted and counts:
            out += self._event({**self._head("chat.completion.chunk"), "choices": [], "usage": USAGE})
        return out + b"data: [DONE]\n\n"

    def error_event(self, message: str) -> bytes:
        """An error where a chunk, or a completion, is expected."""
        body = {"error": {"message": message, "type": "server_error", "param": None, "code": None}}
        return self._event(body) if self.streams else json.dumps(body).encode()

    def whole(self, reply: Reply) -> bytes:
        """A `chat.completion`."""
        made = calls(reply)
        message: Json = {"role": "assistant", "content": texts(reply) or None, "refusal": None}
        if thoughts(reply):
            message["reasoning_content"] = thoughts(reply)
        if made:
            message["tool_calls"] = [
                {
                    "id": f"call_{number}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
                }
                for number, call in enumerate(made)
            ]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": "tool_calls" if made else reply.done_reason,
        }
        usage = {"usage": USAGE} if reply.counts else {}
        return json.dumps(
            {**self._head("chat.completion"), "choices": [choice], **usage}, ensure_ascii=False
        ).encode()

    def failure(self, status: int, message: str) -> bytes:
        """`{"error": {...}}`."""
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        return json.dumps({"error": error}).encode()

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> Json:
        return {"id": "chatcmpl-9", "object": kind, "created": 1700000000, "model": self._model}

    def _event(self, body: Any) -> bytes:
        return b"data: " + json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


async def _models(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})
