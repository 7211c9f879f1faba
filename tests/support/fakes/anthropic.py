"""Anthropic Messages, as api.anthropic.com answers: strict about bodies, keys and versions."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.support.fakes.anthropic_rules import Refused, check_messages_body
from tests.support.fakes.base import (
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    Asked,
    Json,
    ScriptedServer,
    Wire,
    pieces,
)
from tests.support.script import Call, Reply, Say, Think

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
CACHE_READ = 3
CACHE_WRITE = 2
USAGE = {
    "input_tokens": PROMPT_TOKENS - CACHE_READ - CACHE_WRITE,
    "cache_creation_input_tokens": CACHE_WRITE,
    "cache_read_input_tokens": CACHE_READ,
}
LIMITS = {
    "request-id": "req_fake",
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2030-01-01T00:00:00Z",
}


def sign(thought: str) -> str:
    """The signature of a thought; the fake refuses thoughts that come back with another."""
    return "sig-" + hashlib.sha256(thought.encode()).hexdigest()[:32]


class AnthropicFake(ScriptedServer):
    """The API behind {url}/v1.

    Attributes:
        keys: what `x-api-key` or a bearer token must be; empty takes any.
        models: what GET /v1/models lists.
        counted: what count_tokens answers.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__(*replies)
        self.keys: set[str] = set()
        self.models = ["claude-opus-4-5", "claude-haiku-4-5"]
        self.counted = 1234
        self.listed = 0

    def routes(self) -> list[web.RouteDef]:
        """Messages, the count of a prompt's tokens, and the models."""
        return [
            web.post("/v1/messages", self.handle),
            web.post("/v1/messages/count_tokens", self._count),
            web.get("/v1/models", self._list),
        ]

    def wire(self, asked: Asked) -> Wire:
        """Messages."""
        return MessagesWire(asked)

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """What the real API refuses."""
        refused = check_headers(asked.headers, self.keys)
        if refused is not None:
            return refused
        try:
            check_messages_body(asked.json, betas=asked.headers.get("anthropic-beta", ""))
        except Refused as error:
            return error.status, error.message
        return None

    async def _count(self, request: web.Request) -> web.StreamResponse:
        asked = await self._ask(request)
        refused = check_headers(asked.headers, self.keys)
        body = asked.json
        if refused is None and not isinstance(body.get("messages"), list):
            refused = 400, "messages: Field required"
        if refused is None and "max_tokens" in body:
            refused = 400, "max_tokens: Extra inputs are not permitted"
        if refused is not None:
            return web.json_response(error_body(*refused), status=refused[0])
        return web.json_response({"input_tokens": self.counted})

    async def _ask(self, request: web.Request) -> Asked:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.path, dict(request.query), headers, await request.read())
        self.asked.append(asked)
        self.arrived.set()
        asked.ended.set()
        return asked

    async def _list(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        refused = check_headers(headers, self.keys)
        if refused is not None:
            return web.json_response(error_body(*refused), status=refused[0])
        self.listed += 1
        entries = [
            {
                "type": "model",
                "id": name,
                "display_name": name,
                "created_at": "2025-11-01T00:00:00Z",
                "max_input_tokens": 200000,
                "max_tokens": 64000,
            }
            for name in self.models
        ]
        first, last = (self.models[0], self.models[-1]) if self.models else (None, None)
        return web.json_response({"data": entries, "has_more": False, "first_id": first, "last_id": last})


def check_headers(headers: dict[str, str], keys: set[str]) -> tuple[int, str] | None:
    """The version and the key."""
    if not headers.get("anthropic-version"):
        return 400, "anthropic-version: header is required"
    key = headers.get("x-api-key", "")
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if bearer and scheme.lower() == "bearer":
        if bearer.startswith("sk-ant-oat") and "oauth-2025-04-20" not in headers.get("anthropic-beta", ""):
            return 401, "OAuth authentication is currently not supported."
        if bearer.startswith("sk-ant-api"):
            return 401, "Invalid bearer token"
        key = key or bearer
    elif key.startswith("sk-ant-oat"):
        return 401, "invalid x-api-key"
    if not key:
        return 401, "x-api-key header is required"
    if keys and key not in keys:
        return 401, "invalid x-api-key"
    return None


class MessagesWire(Wire):
    """Events and whole messages; blocks open and close as the kind of what is said changes."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        body = asked.json
        self._body = body
        self._model = body.get("model") or asked.path.rpartition("/")[2].partition(":")[0]
        thinking = body.get("thinking") or {}
        self._thinks = isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")
        self._next = 0
        self._open: str | None = None
        self._thought = ""
        self._called = 0

    @property
    def streams(self) -> bool:
        """As the body says."""
        return bool(self._body.get("stream"))

    def start(self) -> bytes:
        """message_start and a ping."""
        message = {**self._head(), "content": [], "stop_reason": None, "stop_sequence": None}
        message["usage"] = {**USAGE, "output_tokens": 1}
        return self._event("message_start", {"message": message}) + self._event("ping", {})

    def say(self, piece: str) -> bytes:
        """Text."""
        out = self._into("text", {"type": "text", "text": ""})
        return out + self._delta({"type": "text_delta", "text": piece})

    def think(self, piece: str) -> bytes:
        """Thinking; its signature follows when the block closes."""
        if not self._thinks:
            return b""
        out = self._into("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        self._thought += piece
        return out + self._delta({"type": "thinking_delta", "thinking": piece})

    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """A tool_use block; the first delta is empty, as the real one is."""
        yield self._close()
        block = {"type": "tool_use", "id": self._call_id(), "name": name, "input": {}}
        yield self._into("tool_use", block)
        yield self._delta({"type": "input_json_delta", "partial_json": ""})
        if arguments:
            for piece in pieces(arguments):
                yield self._delta({"type": "input_json_delta", "partial_json": piece})
        yield self._close()

    def end(self, reason: str, *, counts: bool) -> bytes:
        """message_delta and message_stop."""
        out = self._close()
        delta = {"stop_reason": self._stop_reason(reason), "stop_sequence": None}
        usage = {"output_tokens": OUTPUT_TOKENS} if counts else {}
        out += self._event("message_delta", {"delta": delta, "usage": usage})
        return out + self._event("message_stop", {})

    def error_event(self, message: str) -> bytes:
        """An `error` event, or an error as the body of a 200."""
        body = error_body(500, message)
        if not self.streams:
            return json.dumps(body).encode()
        return b"event: error\ndata: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"

    def whole(self, reply: Reply) -> bytes:
        """A `message`."""
        content: list[Json] = []
        for step in reply.steps:
            last = content[-1] if content else {}
            match step:
                case Say() if last.get("type") == "text":
                    last["text"] += step.text
                case Say():
                    content.append({"type": "text", "text": step.text})
                case Think() if self._thinks:
                    thought = {"type": "thinking", "thinking": step.text, "signature": sign(step.text)}
                    if last.get("type") == "thinking":
                        last["thinking"] += step.text
                        last["signature"] = sign(last["thinking"])
                    else:
                        content.append(thought)
                case Call():
                    call = {"type": "tool_use", "id": self._call_id(), "name": step.name}
                    content.append({**call, "input": step.arguments})
        usage = {"usage": {**USAGE, "output_tokens": OUTPUT_TOKENS}} if reply.counts else {}
        message = {
            **self._head(),
            "content": content,
            "stop_reason": self._stop_reason(reply.done_reason),
            "stop_sequence": None,
            **usage,
        }
        return json.dumps(message, ensure_ascii=False).encode()

    def failure(self, status: int, message: str) -> bytes:
        """`{"type": "error", ...}`."""
        return json.dumps(error_body(status, message)).encode()

    def _head(self) -> Json:
        # Claude Code takes messages with the same id for one.
        head = {"id": f"msg_01{uuid.uuid4().hex[:22]}", "type": "message", "role": "assistant"}
        return {**head, "model": self._model}

    def _stop_reason(self, reason: str) -> str:
        known = {"stop": "tool_use" if self._called else "end_turn", "length": "max_tokens"}
        return known.get(reason, reason)

    def _call_id(self) -> str:
        """Ids never come twice in a conversation: they count on from the calls that it holds."""
        self._called += 1
        before = sum(
            isinstance(block, dict) and block.get("type") == "tool_use"
            for message in self._body.get("messages", [])
            for block in (message["content"] if isinstance(message.get("content"), list) else [])
        )
        return f"toolu_{before + self._called:02d}"

    def _into(self, kind: str, block: Json) -> bytes:
        if self._open == kind:
            return b""
        out = self._close()
        self._open = kind
        return out + self._event("content_block_start", {"index": self._next, "content_block": block})

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        out = b""
        if self._open == "thinking":
            out = self._delta({"type": "signature_delta", "signature": sign(self._thought)})
            self._thought = ""
        out += self._event("content_block_stop", {"index": self._next})
        self._open = None
        self._next += 1
        return out

    def _delta(self, delta: Json) -> bytes:
        return self._event("content_block_delta", {"index": self._next, "delta": delta})

    def _event(self, kind: str, fields: Json) -> bytes:
        data = json.dumps({"type": kind, **fields}, separators=(",", ":"), ensure_ascii=False).encode()
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def error_body(status: int, message: str) -> dict[str, Any]:
    """An error as the API words it."""
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
