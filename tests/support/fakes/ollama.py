"""Ollama's native chat and generate with the faults of transport of every other fake.

`tests.support.ollama_server` is the faithful server, with windows, loading and pulls; this one has its checks
and its wire format, and plays scripts as its siblings do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from aiohttp import web

from tests.support.fakes.base import (
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    Asked,
    Json,
    ScriptedServer,
    Wire,
    calls,
    texts,
    thoughts,
)
from tests.support.ollama_checks import Refused, check_chat, check_common, check_images
from tests.support.ollama_models import FakeModel
from tests.support.script import Reply

SEES_AND_THINKS = FakeModel("m", capabilities=("completion", "tools", "vision", "thinking"))


class OllamaFake(ScriptedServer):
    """A server with the given models; by default one, `m`, that can do everything."""

    def __init__(self, *models: FakeModel) -> None:
        super().__init__()
        self.models = {model.name: model for model in models or (SEES_AND_THINKS,)}

    def routes(self) -> list[web.RouteDef]:
        """The paths that a provider uses."""
        return [
            web.post("/api/chat", self.handle),
            web.post("/api/generate", self.handle),
            web.get("/api/tags", self._tags),
            web.get("/api/ps", self._ps),
            web.post("/api/show", self._show),
            web.get("/api/version", self._version),
        ]

    def wire(self, asked: Asked) -> Wire:
        """Lines of the path."""
        return LinesWire(asked)

    def check(self, asked: Asked) -> tuple[int, str] | None:
        """What Go's decoder and the model's abilities refuse."""
        try:
            if asked.path == "/api/chat":
                check_chat(asked.json)
            else:
                check_images(asked.json.get("images"))
                check_common(asked.json)
        except Refused as refused:
            return refused.status, str(refused)
        return None

    async def _tags(self, _request: web.Request) -> web.Response:
        listed = [
            {"name": model.name, "model": model.name, "digest": model.digest, "size": model.size}
            for model in self.models.values()
        ]
        return web.json_response({"models": listed})

    async def _ps(self, _request: web.Request) -> web.Response:
        return web.json_response({"models": []})

    async def _show(self, request: web.Request) -> web.Response:
        name = (await request.json())["model"]
        model = self.models.get(name) or self.models.get(f"{name}:latest")
        if model is None:
            return web.json_response({"error": f"model '{name}' not found"}, status=404)
        info = {
            "general.architecture": model.architecture,
            f"{model.architecture}.context_length": model.context_length,
        }
        return web.json_response({"model_info": info, "capabilities": list(model.capabilities or ())})

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": "0.12.6"})


class LinesWire(Wire):
    """Newline-delimited JSON."""

    stream_type = "application/x-ndjson"

    @property
    def streams(self) -> bool:
        """Unless the body says no."""
        return self.asked.json.get("stream") is not False

    def start(self) -> bytes:
        """Nothing: the first line is the first piece."""
        return b""

    def say(self, piece: str) -> bytes:
        """A piece of content."""
        return self._line({"content": piece})

    def think(self, piece: str) -> bytes:
        """A piece of reasoning, unless the request wants none."""
        return b"" if self.asked.json.get("think") is False else self._line({"thinking": piece})

    def call(self, name: str, arguments: Json) -> Iterator[bytes]:
        """A whole call without an id."""
        yield self._line({"tool_calls": [{"function": {"name": name, "arguments": arguments}}]})

    def end(self, reason: str, *, counts: bool) -> bytes:
        """The line with `done`; its reason is `stop` after tool calls too."""
        return self._line({}, **_last(reason, counts))

    def error_event(self, message: str) -> bytes:
        """An error where a line, or the answer, is expected."""
        return json.dumps({"error": message}).encode() + b"\n"

    def whole(self, reply: Reply) -> bytes:
        """Everything in one object."""
        message: Json = {"content": texts(reply)}
        if thoughts(reply) and self.asked.json.get("think") is not False:
            message["thinking"] = thoughts(reply)
        if made := calls(reply):
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": call.arguments}} for call in made
            ]
        return self._line(message, **_last(reply.done_reason, reply.counts))

    def failure(self, status: int, message: str) -> bytes:
        """`{"error": "..."}`."""
        return json.dumps({"error": message}).encode()

    def _line(self, message: Json, **rest: object) -> bytes:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        head: Json = {"model": self.asked.json.get("model", "m"), "created_at": now}
        if self.asked.path == "/api/chat":
            head["message"] = {"role": "assistant", "content": "", **message}
        else:
            head |= {"response": message.pop("content", ""), **message}
        body = {**head, "done": False, **rest}
        return json.dumps(body, ensure_ascii=False).encode() + b"\n"


def _last(reason: str, counts: bool) -> Json:
    counted = {"prompt_eval_count": PROMPT_TOKENS, "eval_count": OUTPUT_TOKENS} if counts else {}
    durations = {"total_duration": 9, "load_duration": 1, "prompt_eval_duration": 4, "eval_duration": 4}
    return {"done": True, "done_reason": reason, **durations, **counted}
