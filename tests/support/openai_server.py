"""An upstream that speaks OpenAI Chat on a free port, scripted reply by reply, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Script = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def completion(text: str = "Hello there", model: str = "m", **message: Any) -> dict[str, Any]:
    """A whole `chat.completion`."""
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": "chatcmpl-9",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **message},
                "finish_reason": finish,
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    }


def chunk(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """One stream event."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {
        "id": "chatcmpl-9",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
    }
    return b"data: " + json.dumps({**body, **more}, separators=(",", ":")).encode() + b"\n\n"


@dataclass
class OpenAIServer:
    """The server; set `script` to change what it answers, read `bodies` and `headers` for what it got."""

    url: str = ""
    words: list[str] = field(default_factory=lambda: ["Hello", " there"])
    script: Script | None = None
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client went away in the middle of a stream."""
    gate: asyncio.Event | None = None
    """When set, a stream waits for it after its first word."""

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The decoded bodies."""
        return [json.loads(body) for body in self.bodies]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        raw = await request.read()
        self.bodies.append(raw)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        body = json.loads(raw)
        if self.script is not None:
            return await self.script(request, body)
        if not body.get("stream"):
            return web.json_response(completion("".join(self.words)))
        return await self._stream(request, body)

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = await begin(request)
        try:
            await response.write(chunk({"role": "assistant", "content": ""}))
            for number, word in enumerate(self.words):
                await response.write(chunk({"content": word}))
                if number == 0 and self.gate is not None:
                    await self.gate.wait()
            await response.write(chunk({}, "stop"))
            if (body.get("stream_options") or {}).get("include_usage"):
                await response.write(chunk(None, usage=completion()["usage"]))
            await response.write(b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise
        return response


async def begin(request: web.Request, content_type: str = "text/event-stream") -> web.StreamResponse:
    """A stream's head."""
    response = web.StreamResponse(headers={"content-type": content_type})
    await response.prepare(request)
    return response


@asynccontextmanager
async def openai_server() -> AsyncIterator[OpenAIServer]:
    """Serves on a free port."""
    server = OpenAIServer()
    app = web.Application(client_max_size=256 * 1024**2)
    app.router.add_post("/v1/chat/completions", server.handle)
    app.router.add_get("/v1/models", _models)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


async def _models(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})
