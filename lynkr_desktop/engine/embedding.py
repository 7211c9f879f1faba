"""The way of a request for embeddings: the steps of `flow`, with a choice of models of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec
from aiohttp import web

from lynkr_desktop.engine.exchange import Exchange, estimate_tokens, response_headers
from lynkr_desktop.engine.flow import Host, answered
from lynkr_desktop.engine.guards import read_body
from lynkr_desktop.engine.routing.decision import Decision, Target
from lynkr_desktop.engine.routing.selection import Choice
from lynkr_desktop.engine.security.caller import MODELS, NOBODY
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.snapshot import Snapshot
from lynkr_desktop.engine.wire.canonical import EmbeddingRequest, Embeddings, Request, Usage
from lynkr_desktop.engine.wire.codec import ClientCodec
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from lynkr_desktop.protocol.tiers import Tier

log = logging.getLogger(__name__)

MAX_INPUTS = 2048


class EmbeddingCodec(Protocol):
    """One client protocol for embeddings."""

    name: str

    def decode_request(self, body: bytes) -> EmbeddingRequest:
        """Raises `InvalidRequest` with the path of what is wrong."""

    def encode_reply(self, made: Embeddings, request: EmbeddingRequest) -> bytes:
        """The vectors, in the order of the texts."""


class EmbeddingFlow:
    """Takes requests for embeddings through the steps that every request takes."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def handle(
        self, http: web.Request, codec: EmbeddingCodec, errors: ClientCodec
    ) -> web.StreamResponse:
        """Answers one request; `errors` gives errors the shape that the path's clients expect."""
        exchange = Exchange(codec=errors, headers=http.headers, task=http.task, protocol=codec.name)
        return await answered(self._host, exchange, self._steps(http, exchange, codec))

    async def _steps(
        self, http: web.Request, exchange: Exchange, codec: EmbeddingCodec
    ) -> web.StreamResponse:
        snapshot = self._host.snapshot
        exchange.caller = NOBODY
        exchange.caller = snapshot.guard.check(http)
        snapshot.guard.permit(exchange.caller, MODELS)
        self._host.admit(exchange)
        exchange.body = await read_body(http, snapshot.config.proxy.max_body)
        request = codec.decode_request(exchange.body)
        if len(request.inputs) + len(request.tokens) > MAX_INPUTS:
            raise InvalidRequest(f"input may hold {MAX_INPUTS:,} texts at most.", "input")
        exchange.request = Request(model=request.model, messages=())
        exchange.decision = await _decide(request, snapshot, http.headers, exchange.caller.tiers)
        [target] = exchange.decision.targets
        exchange.target = target
        provider = snapshot.providers[target.provider]
        exchange.free = provider.free
        if self._host.budgets.enabled or exchange.caller.limited:
            await self._host.budgets.open(exchange, snapshot.config.routing.workspace)
            self._host.budgets.reserve(exchange)
        self._host.routed(exchange)
        made = Embeddings(target.model, (), Usage())
        with self._host.egress.for_request(exchange.decision.profile.local_only):
            if request.inputs or request.tokens:
                try:
                    made = await self._host.traffic.ask(
                        exchange,
                        Choice(target, provider, "unknown"),
                        lambda: provider.embed(request, target.model),
                    )
                except WireError as error:
                    # Some upstreams repeat in their errors the key that they were given.
                    error.message = redact(error.message)
                    raise
            else:
                await provider.load(target.model, request.extra.get("keep_alive"))
        exchange.usage = made.usage
        if made.usage.estimated and not made.usage.input_tokens:
            exchange.usage = msgspec.structs.replace(made.usage, input_tokens=estimate_tokens(exchange.body))
        made = msgspec.structs.replace(made, model=made.model or target.model, usage=exchange.usage)
        exchange.mark_first_token()
        exchange.cost = self._host.price(exchange, exchange.usage)
        exchange.status = 200
        body = codec.encode_reply(made, request)
        return web.Response(body=body, headers=response_headers(exchange), content_type="application/json")


async def _decide(
    request: EmbeddingRequest, snapshot: Snapshot, headers: Mapping[str, str], tiers: frozenset[Tier]
) -> Decision:
    """The model that the client named, else one of Ollama's that makes embeddings.

    Raises:
        WireError: 404 where there is none, 403 for one that costs money and stands in none of the `tiers`.
    """
    named = snapshot.router.concrete(request.model)
    named = named or await snapshot.installed(request.model, fresh=True)
    if named is not None:
        free = snapshot.providers[named.provider].free
        return snapshot.router.named(named, headers, frozenset() if free else tiers)
    for provider in snapshot.ollamas:
        if model := await provider.embedder():
            found = Target(provider.name, model, None)
            return Decision(
                None, ((found,),), f"{found.name} makes embeddings", snapshot.router.profile_for(headers)
            )
    raise WireError(
        f"There is no model {request.model[:100]!r} for embeddings, and Ollama has none that could stand in. "
        "Name one as provider/model, or run `ollama pull nomic-embed-text`.",
        status=404,
        kind="not_found",
        param="model",
    )
