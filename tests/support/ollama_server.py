"""A faithful server of Ollama's native protocol, for tests: Ollama itself cannot be installed everywhere.

Field names, framing, statuses and messages follow Ollama's API; so do its habits that break clients:
prompts beyond `num_ctx` are cut without a word, `done_reason` is "stop" after tool calls, calls have no ids,
errors in mid-stream come as a line within HTTP 200. What it says is scripted (`script`), or a real
model answers behind it through an OpenAI-compatible URL. In a test:

    async with OllamaServer() as ollama:
        ollama.replies.append(text("Hello", " there"))
        ...  # talk to ollama.url
        assert ollama.chats[0].body["options"]["num_ctx"] == 4096

As a process: `python -m tests.support.ollama_server --port 0` prints one JSON line with its URL; what it was
asked stands at /_requests.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.ollama_checks import (
    FOREVER,
    Refused,
    check_chat,
    check_common,
    check_images,
    count_tokens,
    fit,
    parse_keep_alive,
    prompt_tokens,
)
from tests.support.ollama_models import FakeModel, Loaded, Received
from tests.support.ollama_reply import ChatShape, GenerateShape, ReplyWriter, Shape, Timings, relay_model
from tests.support.script import Die, ErrorLine, Hold, Reply, parse_replies, text

Json = dict[str, Any]


class OllamaServer:
    """The server. Attributes may be changed while it runs.

    Args:
        models: what is installed; by default one model with tools.
        library: what `pull` can fetch.
        upstream: base URL of an OpenAI-compatible server (ending in /v1) that answers instead of the script.
        upstream_key: the key that it wants.
        default_num_ctx: the window where neither request nor model says otherwise.
        honours_truncate: newer servers refuse, instead of cutting, where the request says `truncate: false`.
        call_ids: newer servers give tool calls an id.
    """

    def __init__(
        self,
        *models: FakeModel,
        library: tuple[FakeModel, ...] = (),
        upstream: str = "",
        upstream_key: str = "",
        default_num_ctx: int = 4096,
        honours_truncate: bool = False,
        call_ids: bool = False,
        version: str = "0.12.6",
    ) -> None:
        self.models = {model.name: model for model in models or (FakeModel("llama3.2"),)}
        self.library = {model.name: model for model in library}
        self.upstream = upstream
        self.upstream_key = upstream_key
        self.default_num_ctx = default_num_ctx
        self.honours_truncate = honours_truncate
        self.call_ids = call_ids
        self.version = version
        self.replies: deque[Reply] = deque()
        self.pull_faults: deque[Die | ErrorLine | Hold] = deque()
        """What befalls the next pulls half-way, one each; what had arrived by then is kept."""
        self.kept: dict[str, int] = {}
        self.answer: Callable[[Json], Reply] = _standing_reply
        self.received: list[Received] = []
        self.asked = asyncio.Event()
        self.loaded: dict[str, Loaded] = {}
        self.loads: list[tuple[str, int]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    # ------------------------------------------------------------ life

    async def __aenter__(self) -> OllamaServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listens; `url` says where."""
        # Ollama stops generating when the client goes away, so handlers are cancelled here too.
        self._runner = web.AppRunner(self._application(), handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Ends the server and whatever it still says."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def forget(self) -> None:
        """Forgets what it was asked and what it was told to say; models and loads stay."""
        self.replies.clear()
        self.received.clear()
        self.asked.clear()
        self.answer = _standing_reply

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/", _running)
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_post("/api/show", self._show)
        app.router.add_post("/api/chat", self._chat)
        app.router.add_post("/api/generate", self._generate)
        app.router.add_post("/api/embed", self._embed)
        app.router.add_post("/api/pull", self._pull)
        app.router.add_delete("/api/delete", self._delete)
        app.router.add_get("/_requests", self._requests)
        return app

    @property
    def chats(self) -> list[Received]:
        """The /api/chat requests so far."""
        return [received for received in self.received if received.path == "/api/chat"]

    def count(self, path: str) -> int:
        """How often a path was asked."""
        return sum(received.path == path for received in self.received)

    def find(self, name: str) -> FakeModel | None:
        """An installed model by its name; the tag may be left off, the case does not matter."""
        wanted = (name if ":" in name.rpartition("/")[2] else f"{name}:latest").casefold()
        return next((model for known, model in self.models.items() if known.casefold() == wanted), None)

    # ------------------------------------------------------------ facts

    async def _version(self, request: web.Request) -> web.Response:
        await self._record(request)
        return web.json_response({"version": self.version})

    async def _tags(self, request: web.Request) -> web.Response:
        await self._record(request)
        models = sorted(self.models.values(), key=lambda model: -model.modified)
        return web.json_response({"models": [_listed(model) for model in models]})

    async def _ps(self, request: web.Request) -> web.Response:
        await self._record(request)
        now = time.time()
        self.loaded = {name: loaded for name, loaded in self.loaded.items() if loaded.expires > now}
        return web.json_response(
            {
                "models": [
                    {
                        "name": name,
                        "model": name,
                        "size": self.models[name].size,
                        "digest": self.models[name].digest,
                        "details": self.models[name].details,
                        "expires_at": (datetime.now(UTC) + timedelta(seconds=300)).isoformat(),
                        "size_vram": 0,
                        "context_length": loaded.num_ctx,
                    }
                    for name, loaded in self.loaded.items()
                    if name in self.models
                ]
            }
        )

    async def _show(self, request: web.Request) -> web.Response:
        received = await self._record(request)
        body = received.body if isinstance(received.body, dict) else {}
        name = body.get("model") or body.get("name") or ""
        if not name:
            return _error(400, "model is required")
        model = self.find(name)
        if model is None:
            return _error(404, f"model '{name}' not found")
        shown: Json = {
            "modelfile": f'# Modelfile generated by "ollama show"\nFROM {model.name}\n',
            "template": "{{ .Prompt }}",
            "details": model.details,
            "model_info": {
                "general.architecture": model.architecture,
                "general.parameter_count": 3_212_749_888,
                f"{model.architecture}.context_length": model.context_length,
                f"{model.architecture}.embedding_length": 3072,
            },
            "modified_at": _timestamp(model.modified),
        }
        if model.num_ctx:
            shown["parameters"] = f"num_ctx                        {model.num_ctx}"
        if model.capabilities is not None:
            shown["capabilities"] = list(model.capabilities)
        return web.json_response(shown)

    async def _requests(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "method": received.method,
                    "path": received.path,
                    "body": received.body if isinstance(received.body, dict) else None,
                    "prompt_tokens": received.prompt_tokens,
                    "evaluated": received.evaluated,
                    "outcome": received.outcome,
                }
                for received in self.received
            ]
        )

    # ------------------------------------------------------------ inference

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        received = await self._record(request)
        try:
            body = _object(received.body)
            check_chat(body)
            model = self._model_for(body)
            if len(body.get("messages") or []) == 0:
                return await self._load_only(model, body, ChatShape(body["model"], self.call_ids))
            self._check_capabilities(model, body)
            messages = body["messages"]
            received.prompt_tokens = prompt_tokens(messages, body.get("tools"), model.bytes_per_token)
            num_ctx, load_ns = await self._load(model, body)
            kept, received.evaluated = self._fit(messages, body, model, num_ctx)
        except Refused as refused:
            received.end("error")
            return _error(refused.status, str(refused))
        shape = ChatShape(body["model"], self.call_ids)
        return await self._reply(
            request, received, {**body, "messages": kept}, model, shape, num_ctx, load_ns
        )

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        received = await self._record(request)
        try:
            body = _object(received.body)
            check_images(body.get("images"))
            check_common(body)
            model = self._model_for(body)
            shape = GenerateShape(body["model"])
            if not body.get("prompt"):
                return await self._load_only(model, body, shape)
            if not model.can("completion"):
                raise Refused(f'"{body["model"]}" does not support generate')
            turns = [{"role": "system", "content": body["system"]}] if body.get("system") else []
            turns.append({"role": "user", "content": body["prompt"], "images": body.get("images") or []})
            received.prompt_tokens = prompt_tokens(turns, None, model.bytes_per_token)
            num_ctx, load_ns = await self._load(model, body)
            kept, received.evaluated = self._fit(turns, body, model, num_ctx)
        except Refused as refused:
            received.end("error")
            return _error(refused.status, str(refused))
        return await self._reply(
            request, received, {**body, "messages": kept}, model, shape, num_ctx, load_ns
        )

    async def _embed(self, request: web.Request) -> web.Response:
        received = await self._record(request)
        try:
            body = _object(received.body)
            model = self._model_for(body)
            if not model.can("embedding"):
                raise Refused(f'"{body["model"]}" does not support embeddings')
            inputs = body.get("input")
            texts = [inputs] if isinstance(inputs, str) else inputs
            if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
                raise Refused("invalid input type")
            _, load_ns = await self._load(model, body)
        except Refused as refused:
            received.end("error")
            return _error(refused.status, str(refused))
        received.end("done")
        return web.json_response(
            {
                "model": body["model"],
                "embeddings": [_embedding(item, body.get("dimensions") or 16) for item in texts],
                "total_duration": load_ns + 1_000_000,
                "load_duration": load_ns,
                "prompt_eval_count": sum(map(count_tokens, texts)),
            }
        )

    def _model_for(self, body: Json) -> FakeModel:
        name = body.get("model")
        if not name:
            raise Refused("model is required")
        model = self.find(name)
        if model is None:
            raise Refused(f"model '{name}' not found", 404)
        return model

    def _check_capabilities(self, model: FakeModel, body: Json) -> None:
        name, think = body["model"], body.get("think")
        if not model.can("completion"):
            raise Refused(f'"{name}" does not support chat')
        if body.get("tools") and not model.can("tools"):
            raise Refused(f"registry.ollama.ai/library/{model.name} does not support tools")
        if think and not model.can("thinking"):
            raise Refused(f'"{name}" does not support thinking')
        if isinstance(think, str) and not model.think_levels:
            raise Refused(f'think value "{think}" is not supported for this model')
        if not model.can("vision") and any(message.get("images") for message in body["messages"]):
            raise Refused("this model is missing data required for image input", 500)

    async def _load(self, model: FakeModel, body: Json) -> tuple[int, int]:
        """Loads the model with the window of the request; another window means another load.
        Gives the window in tokens and the time it took in ns."""
        asked = (body.get("options") or {}).get("num_ctx") or model.num_ctx or self.default_num_ctx
        num_ctx = min(int(asked), model.context_length)
        before = self.loaded.get(model.name)
        started = time.monotonic_ns()
        if before is None or before.num_ctx != num_ctx:
            self.loads.append((model.name, num_ctx))
            await asyncio.sleep(model.load_seconds)
        keep = parse_keep_alive(body.get("keep_alive"))
        self.loaded[model.name] = Loaded(num_ctx, FOREVER if keep >= FOREVER else time.time() + keep)
        return num_ctx, time.monotonic_ns() - started

    async def _load_only(self, model: FakeModel, body: Json, shape: Shape) -> web.Response:
        if "keep_alive" in body and parse_keep_alive(body["keep_alive"]) == 0:
            self.loaded.pop(model.name, None)
            return web.json_response(shape.line(done=True, done_reason="unload"))
        await self._load(model, body)
        return web.json_response(shape.line(done=True, done_reason="load"))

    def _fit(
        self, messages: list[Json], body: Json, model: FakeModel, num_ctx: int
    ) -> tuple[list[Json], int]:
        tools = body.get("tools")
        if self.honours_truncate and body.get("truncate") is False:
            whole = prompt_tokens(messages, tools, model.bytes_per_token)
            if whole > num_ctx:
                raise Refused("the input length exceeds the context length")
        return fit(messages, tools, num_ctx, model.bytes_per_token)

    async def _reply(
        self,
        request: web.Request,
        received: Received,
        body: Json,
        model: FakeModel,
        shape: Shape,
        num_ctx: int,
        load_ns: int,
    ) -> web.StreamResponse:
        timings = Timings(load_ns=load_ns, prompt_tokens=received.evaluated)
        writer = ReplyWriter(request, body, shape, timings, num_ctx, thinks=model.can("thinking"))
        try:
            if self.upstream:
                response = await relay_model(writer, self.upstream, self.upstream_key, body)
            else:
                response = await writer.play(self.replies.popleft() if self.replies else self.answer(body))
        except asyncio.CancelledError:
            received.end("gone")
            raise
        except ConnectionError:
            received.end("gone")
            raise
        received.end(writer.outcome)
        return response

    # ------------------------------------------------------------ library

    async def _pull(self, request: web.Request) -> web.StreamResponse:
        received = await self._record(request)
        body = received.body if isinstance(received.body, dict) else {}
        name = body.get("model") or body.get("name") or ""
        if not name:
            return _error(400, "invalid model name")
        tagged = name if ":" in name else f"{name}:latest"
        model = self.library.get(tagged) or self.models.get(tagged)
        if body.get("stream") is False:
            if model is None:
                return _error(500, "pull model manifest: file does not exist")
            self.models[tagged] = model
            return web.json_response({"status": "success"})
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)

        async def say(**line: Any) -> None:
            await response.write(json.dumps(line).encode() + b"\n")

        await say(status="pulling manifest")
        if model is None:
            await say(error="pull model manifest: file does not exist")
            return response
        digest = f"sha256:{model.digest}"
        progress: Json = {"status": f"pulling {model.digest[:12]}", "digest": digest, "total": model.size}
        await say(**progress)
        first = self.kept.pop(tagged, 0) * 4 // max(1, model.size)
        for part in range(first + 1, 5):
            await say(**progress, completed=model.size * part // 4)
            if part == 2 and self.pull_faults:
                self.kept[tagged] = model.size // 2
                match self.pull_faults.popleft():
                    case ErrorLine(message=message):
                        await say(error=message)
                        return response
                    case Hold(until=until):
                        await until.wait()
                    case Die():
                        assert request.transport is not None
                        request.transport.abort()
                        return response
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            await say(status=status)
        self.models[tagged] = model
        received.end("done")
        return response

    async def _delete(self, request: web.Request) -> web.Response:
        received = await self._record(request)
        body = received.body if isinstance(received.body, dict) else {}
        name = body.get("model") or body.get("name") or ""
        model = self.find(name)
        if model is None:
            return _error(404, f"model '{name}' not found")
        del self.models[model.name]
        self.loaded.pop(model.name, None)
        return web.Response()

    async def _record(self, request: web.Request) -> Received:
        raw = await request.read()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        received = Received(request.method, request.path, dict(request.headers), body)
        self.received.append(received)
        if received.path == "/api/chat":
            self.asked.set()
        return received


def _standing_reply(_: Json) -> Reply:
    return text("This", " is", " a", " reply.")


def _object(body: Any) -> Json:
    if body is None:
        raise Refused("missing request body")
    if not isinstance(body, dict):
        raise Refused("invalid character looking for beginning of value")
    return body


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def _running(_: web.Request) -> web.Response:
    return web.Response(text="Ollama is running")


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _listed(model: FakeModel) -> Json:
    remote = {"remote_model": model.name, "remote_host": "https://ollama.com:443"} if model.remote else {}
    return {
        "name": model.name,
        "model": model.name,
        **remote,
        "modified_at": _timestamp(model.modified),
        "size": model.size,
        "digest": model.digest,
        "details": model.details,
    }


def _embedding(value: str, dimensions: int) -> list[float]:
    digest = hashlib.shake_256(value.encode()).digest(dimensions)
    raw = [byte / 255 - 0.5 for byte in digest]
    norm = sum(number * number for number in raw) ** 0.5 or 1.0
    return [number / norm for number in raw]


# ---------------------------------------------------------------- as a process


async def _serve(arguments: argparse.Namespace) -> None:
    server = OllamaServer(*map(FakeModel.parse, arguments.model), upstream=arguments.upstream)
    server.replies.extend(arguments.replies)
    if arguments.say:
        server.answer = lambda _: text(*arguments.say, delay=arguments.delay)
    await server.start(arguments.port, arguments.host)
    print(json.dumps({"url": server.url}), flush=True)
    await asyncio.Event().wait()


def _read_replies(path: str) -> list[Reply]:
    return parse_replies(json.loads(Path(path).read_text(encoding="utf-8")))


def main() -> None:
    """Runs the server until it is interrupted."""
    parser = argparse.ArgumentParser(description="A server of Ollama's protocol, for tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--model", action="append", default=[], help=FakeModel.parse.__doc__)
    parser.add_argument("--upstream", default="", help="OpenAI-compatible URL of a real model")
    parser.add_argument(
        "--replies", type=_read_replies, default=[], help="JSON file of scripted replies, each used once"
    )
    parser.add_argument("--say", action="append", default=[], help="a piece of the standing reply")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each piece")
    try:
        asyncio.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
