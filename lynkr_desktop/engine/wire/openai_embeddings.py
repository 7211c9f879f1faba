"""OpenAI's embeddings on both sides: POST /v1/embeddings."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import EmbeddingRequest, Embeddings, Json, Usage
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import Fields, decode_object, encode_json


class OpenAIEmbeddingsClient:
    """The client codec of POST /v1/embeddings, for one request: it keeps how the vectors shall be written."""

    name = "openai_embeddings"

    def __init__(self) -> None:
        self._as_base64 = False

    def decode_request(self, body: bytes) -> EmbeddingRequest:
        """Raises `InvalidRequest` with the path of what is wrong."""
        fields = Fields(decode_object(body))
        model = fields.need_string("model")
        encoding = fields.string("encoding_format", "float")
        if encoding not in ("float", "base64"):
            raise fields.wrong("encoding_format", '"float" or "base64"')
        self._as_base64 = encoding == "base64"
        inputs, tokens = _decode_input(fields)
        return EmbeddingRequest(
            model=model,
            inputs=inputs,
            tokens=tokens,
            dimensions=fields.integer("dimensions", low=1),
            extra=fields.rest(),
        )

    def encode_reply(self, made: Embeddings, request: EmbeddingRequest) -> bytes:
        """A list of `embedding` objects."""
        tokens = made.usage.input_tokens
        return encode_json(
            {
                "object": "list",
                "data": [
                    {
                        "object": "embedding",
                        "index": index,
                        "embedding": _base64(vector) if self._as_base64 else vector,
                    }
                    for index, vector in enumerate(made.vectors)
                ],
                "model": made.model,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            }
        )


def _decode_input(fields: Fields) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Texts, or token numbers: one list of them, or a list of such lists."""
    value = fields.need("input")
    wrong = fields.wrong("input", "a text, or a list of texts or of token numbers, and not empty")
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise wrong
    if all(isinstance(item, str) and item for item in value):
        return tuple(value), ()
    lists = [value] if _are_tokens(value) else value
    if not all(isinstance(item, list) and item and _are_tokens(item) for item in lists):
        raise wrong
    return (), tuple(tuple(item) for item in lists)


def _are_tokens(value: Sequence[object]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in value)


def _base64(vector: tuple[float, ...]) -> str:
    """Little-endian 32-bit floats, as the openai package reads them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


# ---------------------------------------------------------------- upstream


_OLLAMAS = frozenset({"options", "truncate", "keep_alive"})
"""Fields of Ollama's clients that would be refused here."""


def encode_embeddings(request: EmbeddingRequest, model: str) -> bytes:
    """The body of POST {base_url}/embeddings for `model`."""
    body: Json = {name: value for name, value in request.extra.items() if name not in _OLLAMAS}
    body |= {"model": model, "input": request.tokens or request.inputs, "encoding_format": "float"}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return encode_json(body)


class _Embedding(Struct):
    embedding: tuple[float, ...] | str
    index: int | None = None


class _Used(Struct):
    prompt_tokens: int = 0


class _List(Struct):
    data: list[_Embedding]
    model: str = ""
    usage: _Used | None = None


def decode_embeddings(body: bytes) -> Embeddings:
    """A provider's answer. Raises `WireError` when it is none."""
    try:
        made = msgspec.json.decode(body, type=_List)
        entries = sorted(enumerate(made.data), key=lambda entry: _place(*entry))
        vectors = tuple(_vector(entry.embedding) for _, entry in entries)
    except (ValueError, RecursionError, struct.error) as error:
        raise WireError("The upstream answered with something that is no embedding.") from error
    tokens = made.usage.prompt_tokens if made.usage is not None else 0
    return Embeddings(made.model, vectors, Usage(input_tokens=max(0, tokens), estimated=tokens <= 0))


def _place(position: int, entry: _Embedding) -> int:
    return position if entry.index is None else entry.index


def _vector(value: tuple[float, ...] | str) -> tuple[float, ...]:
    """Some servers write base64 although floats were asked for."""
    if isinstance(value, tuple):
        return value
    raw = base64.b64decode(value, validate=True)
    return struct.unpack(f"<{len(raw) // 4}f", raw)
