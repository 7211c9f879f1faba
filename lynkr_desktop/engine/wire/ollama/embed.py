"""Embeddings in Ollama's protocol, on both sides: POST /api/embed, and the older POST /api/embeddings."""

from __future__ import annotations

import time

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import EmbeddingRequest, Embeddings, Json, Usage
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import NOT_JSON, Fields, decode_object, encode_json


class OllamaEmbedClient:
    """The client codec of POST /api/embed, for one request: its reply tells how long that took."""

    name = "ollama_embed"

    def __init__(self) -> None:
        self._began = time.monotonic_ns()

    def decode_request(self, body: bytes) -> EmbeddingRequest:
        """Raises `InvalidRequest` with the path of what is wrong."""
        fields = Fields(decode_object(body))
        return EmbeddingRequest(
            model=fields.need_string("model"),
            inputs=fields.strings("input"),
            dimensions=fields.integer("dimensions", low=0) or None,
            extra=_extra(fields),
        )

    def encode_reply(self, made: Embeddings, request: EmbeddingRequest) -> bytes:
        """One vector per text."""
        return encode_json(
            {
                "model": made.model,
                "embeddings": made.vectors,
                "total_duration": time.monotonic_ns() - self._began,
                "load_duration": 0,
                "prompt_eval_count": made.usage.input_tokens,
            }
        )


class OllamaEmbeddingsClient:
    """The client codec of POST /api/embeddings: one text, one vector."""

    name = "ollama_embeddings"

    def decode_request(self, body: bytes) -> EmbeddingRequest:
        """Raises `InvalidRequest` with the path of what is wrong."""
        fields = Fields(decode_object(body))
        prompt = fields.string("prompt")
        return EmbeddingRequest(
            model=fields.need_string("model"), inputs=(prompt,) if prompt else (), extra=_extra(fields)
        )

    def encode_reply(self, made: Embeddings, request: EmbeddingRequest) -> bytes:
        """The vector; none for no text."""
        return encode_json({"embedding": made.vectors[0] if made.vectors else ()})


def _extra(fields: Fields) -> Json:
    fields.object("options")
    fields.boolean("truncate")
    found = {name: fields.get(name) for name in ("options", "truncate", "keep_alive")}
    return {name: value for name, value in found.items() if value is not None} | fields.rest()


class _Embedded(Struct):
    model: str = ""
    embeddings: list[tuple[float, ...]] = []
    prompt_eval_count: int = 0


def decode_embeddings(body: bytes) -> Embeddings:
    """A provider's answer of /api/embed. Raises `WireError` when it is none."""
    try:
        made = msgspec.json.decode(body, type=_Embedded)
    except NOT_JSON as error:
        raise WireError("Ollama answered with something that is no embedding.") from error
    usage = Usage(input_tokens=max(0, made.prompt_eval_count), estimated=made.prompt_eval_count <= 0)
    return Embeddings(made.model, tuple(made.embeddings), usage)
