"""The client protocols: each path with its codec, and the list of models."""

from __future__ import annotations

from collections.abc import Awaitable

from aiohttp import web

from lynkr_desktop.engine.embedding import EmbeddingFlow
from lynkr_desktop.engine.endpoints.control import AddRoute, Handler
from lynkr_desktop.engine.engine import Engine
from lynkr_desktop.engine.exchange import estimate_tokens
from lynkr_desktop.engine.flow import Flow
from lynkr_desktop.engine.guards import read_body
from lynkr_desktop.engine.providers.base import Call
from lynkr_desktop.engine.routing.router import AUTO, Asking
from lynkr_desktop.engine.security.caller import MODELS
from lynkr_desktop.engine.wire.anthropic import AnthropicClient
from lynkr_desktop.engine.wire.codec import ClientCodec
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.ollama import OllamaChatClient
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatClient
from lynkr_desktop.engine.wire.openai_embeddings import OpenAIEmbeddingsClient
from lynkr_desktop.engine.wire.openai_responses import ResponsesClient

CODECS: dict[str, ClientCodec] = {
    "/v1/messages": AnthropicClient(),
    "/v1/chat/completions": OpenAIChatClient(),
    "/v1/responses": ResponsesClient(),
}


def codec_for(path: str) -> ClientCodec:
    """The codec whose error shape a path's clients expect."""
    if path.startswith("/v1/messages"):
        return CODECS["/v1/messages"]
    if path.startswith("/api/"):
        return OllamaChatClient()
    if path.startswith("/v1/responses"):
        return CODECS["/v1/responses"]
    return CODECS["/v1/chat/completions"]


def add_routes(add: AddRoute, engine: Engine) -> None:
    """Adds the paths of every client protocol."""
    flow = Flow(engine)
    for path, codec in CODECS.items():
        add("POST", path, _protocol(engine, flow, codec))
    add("POST", "/v1/embeddings", _embeddings(engine))
    add("POST", "/v1/messages/count_tokens", _count_tokens(engine))
    add("*", "/v1/responses/{rest:.+}", _stored_responses(engine))
    for method in ("GET", "HEAD"):
        add(method, "/v1/models", _models(engine))
        add(method, "/v1/models/{model:.+}", _models(engine))


def _protocol(engine: Engine, flow: Flow, codec: ClientCodec) -> Handler:
    def handle(request: web.Request) -> Awaitable[web.StreamResponse]:
        if not engine.snapshot.config.proxy.serves(codec.name):
            message = f"{codec.name} is switched off. Add it to proxy.api_compat."
            raise WireError(message, status=404, kind="not_found")
        return flow.handle(request, codec)

    return handle


def _embeddings(engine: Engine) -> Handler:
    flow = EmbeddingFlow(engine)

    async def handle(request: web.Request) -> web.StreamResponse:
        """POST /v1/embeddings."""
        return await flow.handle(request, OpenAIEmbeddingsClient(), CODECS["/v1/chat/completions"])

    return handle


def _count_tokens(engine: Engine) -> Handler:
    codec = AnthropicClient()

    async def handle(request: web.Request) -> web.StreamResponse:
        """POST /v1/messages/count_tokens: as the provider counts that would answer, else an estimate."""
        snapshot = engine.snapshot
        caller = snapshot.guard.check(request)
        snapshot.guard.permit(caller, MODELS)
        body = await read_body(request, snapshot.config.proxy.max_body)
        asked = codec.decode_count(body)
        decision = await snapshot.decide(Asking(asked, request.headers, tiers=caller.tiers))
        counted: int | None = None
        if decision.targets:
            target = decision.targets[0]
            call = Call(
                asked,
                target.model,
                codec.name,
                body,
                request.headers,
                snapshot.guard.own_credential(request),
                request.query_string,
            )
            with engine.egress.for_request(decision.profile.local_only):
                counted = await snapshot.providers[target.provider].count_tokens(call)
        answer = codec.encode_count(estimate_tokens(body) if counted is None else counted)
        return web.Response(body=answer, content_type="application/json")

    return handle


def _stored_responses(engine: Engine) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        """All that OpenAI offers on responses that it has stored."""
        engine.snapshot.guard.check(request)
        raise WireError(
            "Responses are not stored here, so there is none to fetch, continue or delete. Send the whole "
            "conversation as `input` to POST /v1/responses.",
            status=404,
            kind="not_found",
        )

    return handle


def _models(engine: Engine) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        """GET /v1/models and /v1/models/{id}: what is really there now, and `auto-route`.

        The entries carry the fields of both OpenAI's and Anthropic's lists.
        """
        engine.snapshot.guard.check(request)
        listed = [AUTO, *(f"{provider}/{model.id}" for provider, model in await engine.list_models())]
        entries = [
            {
                "id": name,
                "object": "model",
                "created": int(engine.started),
                "owned_by": name.partition("/")[0] if "/" in name else "lynkr",
                "type": "model",
                "display_name": name,
                "created_at": "1970-01-01T00:00:00Z",
            }
            for name in listed
        ]
        wanted = request.match_info.get("model")
        if wanted is None:
            body = {
                "object": "list",
                "data": entries,
                "has_more": False,
                "first_id": listed[0],
                "last_id": listed[-1],
            }
            return web.Response(body=encode_json(body), content_type="application/json")
        for entry in entries:
            if entry["id"] == wanted:
                return web.Response(body=encode_json(entry), content_type="application/json")
        raise WireError(f"There is no model {wanted[:100]!r} here.", status=404, kind="not_found")

    return handle
