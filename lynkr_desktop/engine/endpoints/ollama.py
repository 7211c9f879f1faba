"""The paths of Ollama: chat and generate, and what its clients ask beside: models, their facts, pulls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from lynkr_desktop.engine.embedding import EmbeddingFlow
from lynkr_desktop.engine.endpoints.control import CALLER, AddRoute, Handler
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.flow import Flow
from lynkr_desktop.engine.guards import read_body
from lynkr_desktop.engine.providers.base import ModelInfo
from lynkr_desktop.engine.providers.ollama import OllamaProvider
from lynkr_desktop.engine.routing.router import AUTO
from lynkr_desktop.engine.security.caller import ADMIN, EVERYONE
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from lynkr_desktop.engine.wire.fields import Fields, decode_object, encode_json
from lynkr_desktop.engine.wire.ollama import (
    OllamaChatClient,
    OllamaEmbedClient,
    OllamaEmbeddingsClient,
    OllamaGenerateClient,
)
from lynkr_desktop.protocol.access import Role

Json = dict[str, Any]

API_VERSION = "0.12.6"
"""The version of Ollama whose protocol is spoken here; editors ask for a minimum."""

_AUTO_CONTEXT = 131_072
_MAX_BODY = 1024 * 1024
_CAPABILITIES = ("completion", "tools", "vision", "thinking")
_NOT_SERVED = ("/api/create", "/api/copy", "/api/push", "/api/blobs/{digest}")


class OllamaPaths:
    """The handlers, one per path. Models of Ollama keep its names, those of others are `provider/model`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._flow = Flow(engine)
        self._embedding = EmbeddingFlow(engine)

    def add_routes(self, add: AddRoute) -> None:
        """Adds every path."""
        for method, path, handler in (
            ("POST", "/api/chat", self.chat),
            ("POST", "/api/generate", self.generate),
            ("POST", "/api/embed", self.embed),
            ("POST", "/api/embeddings", self.embeddings),
        ):
            add(method, path, self._served(handler))
        for method in ("GET", "HEAD"):
            add(method, "/", self.running)
            add(method, "/api/version", self._guarded(self.version))
            add(method, "/api/tags", self._guarded(self.tags))
            add(method, "/api/ps", self._guarded(self.loaded))
        add("POST", "/api/show", self._guarded(self.show))
        add("POST", "/api/pull", self._guarded(self.pull, ADMIN))
        add("DELETE", "/api/delete", self._guarded(self.delete, ADMIN))
        for path in _NOT_SERVED:
            add("*", path, self._guarded(_not_served))

    def _served(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._engine.snapshot.config.proxy.serves("ollama"):
                message = "ollama is switched off. Add it to proxy.api_compat."
                raise WireError(message, status=404, kind="not_found")
            return await handler(request)

        return handle

    def _guarded(self, handler: Handler, roles: frozenset[Role] = EVERYONE) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            guard = self._engine.snapshot.guard
            caller = request[CALLER] = guard.check(request)
            guard.permit(caller, roles)
            return await handler(request)

        return self._served(handle)

    # ------------------------------------------------------------ models at work

    async def running(self, request: web.Request) -> web.StreamResponse:
        """GET and HEAD /: how clients of Ollama find out that it is there. It tells nothing else."""
        self._engine.snapshot.guard.check_source(request)
        return web.Response(text="Ollama is running")

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /api/chat."""
        return await self._flow.handle(request, OllamaChatClient())

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """POST /api/generate."""
        return await self._flow.handle(request, OllamaGenerateClient())

    async def embed(self, request: web.Request) -> web.StreamResponse:
        """POST /api/embed."""
        return await self._embedding.handle(request, OllamaEmbedClient(), OllamaChatClient())

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        """POST /api/embeddings."""
        return await self._embedding.handle(request, OllamaEmbeddingsClient(), OllamaChatClient())

    # ------------------------------------------------------------ what is there

    async def version(self, request: web.Request) -> web.StreamResponse:
        """GET /api/version."""
        return _json({"version": API_VERSION})

    async def tags(self, request: web.Request) -> web.StreamResponse:
        """GET /api/tags: every model that is there now, and `auto-route`."""
        models = [(AUTO, ModelInfo(AUTO, capabilities=frozenset(_CAPABILITIES)))]
        models += await self._models()
        return _json({"models": [_listed(name, model, self._engine.started) for name, model in models]})

    async def loaded(self, request: web.Request) -> web.StreamResponse:
        """GET /api/ps: Ollama's own list, and the built-in model that is in memory."""
        listed: list[Any] = []
        for place, provider in enumerate(self._engine.snapshot.ollamas):
            for entry in await _running(provider):
                if place:
                    entry["name"] = entry["model"] = f"{provider.name}/{entry.get('name', '')}"
                listed.append(entry)
        for name, model in await self._models():
            if model.loaded and "/" in name and name.partition("/")[0] not in self._ollama_names():
                entry = _listed(name, model, self._engine.started)
                listed.append(entry | {"expires_at": _timestamp(0), "size_vram": 0})
        return _json({"models": listed})

    async def show(self, request: web.Request) -> web.StreamResponse:
        """POST /api/show: Ollama's own answer for its models, the known facts for those of others."""
        fields = await self._body(request)
        name = fields.string("model") or fields.string("name")
        if not name:
            raise InvalidRequest("model is required", "model")
        if name.removesuffix(":latest") == AUTO:
            return _json(_shown(AUTO, await self._auto(), self._engine.started))
        if (found := await self._ollama_model(name)) is not None:
            provider, model = found
            shown = await provider.library.show(model, verbose=bool(fields.boolean("verbose")))
            return web.Response(body=shown, content_type="application/json")
        for known, info in await self._models():
            if known == name.removesuffix(":latest"):
                return _json(_shown(known, info, self._engine.started))
        target = self._engine.snapshot.router.concrete(name)
        if target is not None and self._engine.snapshot.providers[target.provider].kind != "ollama":
            # A provider may have models that it does not list; whether it has this one, a request will show.
            return _json(_shown(name, ModelInfo(target.model), self._engine.started))
        raise WireError(f"model '{name[:200]}' not found", status=404, kind="not_found", param="model")

    async def _models(self) -> list[tuple[str, ModelInfo]]:
        """Every model by the name that these clients use for it."""
        first = self._engine.snapshot.ollamas[:1]
        own = first[0].name if first else ""
        return [
            (_tagged(model.id) if provider == own else f"{provider}/{model.id}", model)
            for provider, model in await self._engine.list_models()
        ]

    async def _auto(self) -> ModelInfo:
        """`auto-route` as a model: it can do what the best of the models behind it can."""
        lengths = [model.context_length for _, model in await self._models() if model.context_length]
        length = max(lengths, default=_AUTO_CONTEXT)
        return ModelInfo(AUTO, context_length=length, capabilities=frozenset(_CAPABILITIES))

    def _ollama_names(self) -> set[str]:
        return {provider.name for provider in self._engine.snapshot.ollamas}

    async def _ollama_model(self, name: str) -> tuple[OllamaProvider, str] | None:
        """The server that has a model of this name, with its own name of it."""
        snapshot = self._engine.snapshot
        target = await snapshot.installed(name, fresh=True) or snapshot.router.concrete(name)
        if target is None:
            return None
        provider = snapshot.providers[target.provider]
        return (provider, target.model) if isinstance(provider, OllamaProvider) else None

    # ------------------------------------------------------------ pulls

    async def pull(self, request: web.Request) -> web.StreamResponse:
        """POST /api/pull: Ollama fetches the model; its progress goes back as it comes."""
        provider, model, fields = await self._manage(request)
        await self._audit(request, "model pull begun", f"{provider.name}/{model}")
        streamed = fields.boolean("stream") is not False
        self._engine.egress.check_fetch(model)
        progress = provider.library.pull(model)
        if not streamed:
            async for step in progress:
                last = step
            provider.catalog.forget()
            return _json({"status": last.status})
        response = web.StreamResponse()
        response.content_type = "application/x-ndjson"
        try:
            first = await anext(progress)
            await response.prepare(request)
            await response.write(_pull_line(first))
            async for step in progress:
                await response.write(_pull_line(step))
        except WireError as error:
            if not response.prepared:
                raise
            await response.write(encode_json({"error": error.message}) + b"\n")
        finally:
            await progress.aclose()
            provider.catalog.forget()
        await response.write_eof()
        return response

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE /api/delete."""
        provider, model, _ = await self._manage(request)
        await provider.library.delete(model)
        await self._audit(request, "model deleted", f"{provider.name}/{model}")
        provider.catalog.forget()
        return web.Response()

    async def _audit(self, request: web.Request, what: str, detail: str) -> None:
        await self._engine.audit.noted(request[CALLER].known_as, what, detail)

    async def _manage(self, request: web.Request) -> tuple[OllamaProvider, str, Fields]:
        """The server and the model that a request is about."""
        fields = await self._body(request)
        name = fields.string("model") or fields.string("name")
        if not name:
            raise InvalidRequest("model is required", "model")
        ollamas = self._engine.snapshot.ollamas
        provider, slash, model = name.partition("/")
        for ollama in ollamas:
            if slash and ollama.name == provider:
                return ollama, model, fields
        if slash and provider in self._engine.snapshot.providers:
            raise WireError(
                f"Models of {provider} are not managed here. `lynkr models` manages the built-in ones.",
                status=501,
                kind="invalid_request",
            )
        if not ollamas:
            raise WireError("There is no Ollama behind Lynkr.", status=501, kind="invalid_request")
        return ollamas[0], name, fields

    async def _body(self, request: web.Request) -> Fields:
        return Fields(decode_object(await read_body(request, _MAX_BODY)))


async def _not_served(request: web.Request) -> web.StreamResponse:
    raise WireError(
        f"{request.path[:100]} is not served by Lynkr. Ask Ollama itself for that.",
        status=501,
        kind="invalid_request",
    )


async def _running(provider: OllamaProvider) -> list[Json]:
    """What is loaded there; nothing where it does not answer."""
    try:
        return msgspec.json.decode(await provider.library.running(), type=_Running).models
    except (WireError, msgspec.DecodeError, UnicodeDecodeError):
        return []


class _Running(msgspec.Struct):
    models: list[Json] = []


# ---------------------------------------------------------------- shapes


def _json(body: Any) -> web.Response:
    return web.Response(body=encode_json(body), content_type="application/json")


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _details(model: ModelInfo) -> Json:
    family = model.family or "lynkr"
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": model.parameters,
        "quantization_level": model.quantization,
    }


def _listed(name: str, model: ModelInfo, started: float) -> Json:
    """An entry of /api/tags."""
    return {
        "name": name,
        "model": name,
        "modified_at": _timestamp(model.created or started),
        "size": model.size or 0,
        "digest": model.digest,
        "details": _details(model),
        "capabilities": sorted(model.capabilities),
    }


def _shown(name: str, model: ModelInfo, started: float) -> Json:
    """An answer of /api/show. What is not known of a model is assumed: a request will tell."""
    family = model.family or "lynkr"
    return {
        "license": "",
        "modelfile": f"# {name} is answered by Lynkr.\nFROM {name}\n",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": _details(model),
        "model_info": {
            "general.architecture": family,
            "general.basename": name,
            f"{family}.context_length": model.context_length or _AUTO_CONTEXT,
        },
        "capabilities": sorted(model.capabilities or _CAPABILITIES),
        "modified_at": _timestamp(model.created or started),
    }


def _pull_line(step: Any) -> bytes:
    line: Json = {"status": step.status}
    if step.digest:
        line |= {"digest": step.digest, "total": step.total, "completed": step.completed}
    return encode_json(line) + b"\n"
