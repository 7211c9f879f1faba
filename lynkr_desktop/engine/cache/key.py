"""What a request is told apart by: everything that its answer depends on, hashed.

The client's own body is hashed field by field as it was sent, so that nothing is overlooked that goes on to a
provider untouched. The same words with other blanks between them are another request; that costs a miss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal, cast, get_args

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.routing.decision import Decision
from lynkr_desktop.engine.wire.canonical import Document, Image, Request, ToolResult
from lynkr_desktop.engine.wire.errors import InvalidRequest

_VERSION = b"lynkr response 2"

HEADER = "x-lynkr-cache"
Directive = Literal["", "refresh", "no-store", "bypass"]

_NO_MATTER = frozenset(
    ("stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key")
)
"""Fields that say how the answer is carried or who asks, not what the answer is."""

_OWN_HEADERS = ("anthropic-", "openai-")
"""Headers that go on to a provider and may change what it answers."""

LARGEST_BODY = 8 * 1024**2
LARGEST_MEDIA = 1024**2
"""Bytes of a request, and of the images and documents in it, that are looked up."""


class Asked(Struct, frozen=True, kw_only=True):
    """What a request asks, beside the workspace that it is about.

    Attributes:
        fields: digest of its body; see `fields_digest`.
        dialect: its protocol.
        decision: where it may go.
        upstreams: of each provider in the decision where it is, so that a changed address is another model.
        stages: the stages that its prompt goes through.
        headers: the client's.
        query: of its URL.
        credential: its own for the provider; another account may have other rights.
    """

    fields: bytes
    dialect: str
    decision: Decision
    upstreams: tuple[str, ...]
    stages: tuple[str, ...]
    headers: Mapping[str, str]
    query: str
    credential: tuple[str, str] | None


def directive_of(headers: Mapping[str, str]) -> Directive:
    """What a client wants of the cache: `refresh` asks anew and stores, `no-store` stores nothing, `bypass`
    does neither look up nor store.

    Raises:
        InvalidRequest: it is none of them.
    """
    given = headers.get(HEADER)
    if given is None:
        return ""
    written = given.strip().lower()
    if written not in get_args(Directive):
        raise InvalidRequest(
            f"{HEADER} cannot be {written[:40]!r}. It may be refresh, no-store or bypass, or be left out."
        )
    return cast(Directive, written)


def unfit(request: Request, size: int, max_temperature: float) -> str:
    """Why a request is neither looked up nor its reply stored; empty where it may be.

    Args:
        request: the request.
        size: of its body, in bytes.
        max_temperature: a higher one wants another answer each time.
    """
    if request.temperature is not None and request.temperature > max_temperature:
        return f"its temperature is {request.temperature:g}"
    if size > LARGEST_BODY:
        return "it is too large"
    if request.inexpressible:
        return f"its answer may hold more than is stored: {request.inexpressible[0]}"
    held = 0
    for part in _media(request):
        if part.url:
            return "it names a file by URL, which may have changed"
        held += len(part.data)
    return "its images are too large" if held > LARGEST_MEDIA else ""


def request_key(asked: Asked, state: bytes) -> bytes:
    """The key of a request.

    Args:
        asked: the request.
        state: digest of the workspace that it is about.
    """
    add = _Adding(_VERSION)
    decision = asked.decision
    add(asked.dialect.encode())
    add(decision.profile.name.encode(), b"local" if decision.profile.local_only else b"")
    add((decision.tier or "").encode(), *_encoded(target.name for target in decision.targets))
    add(*_encoded(asked.upstreams))
    add(*_encoded(asked.stages))
    add(asked.query.encode())
    add(*_encoded(asked.credential or ()))
    lowered = ((name.lower(), value) for name, value in asked.headers.items())
    add(*_encoded(f"{name}: {value}" for name, value in sorted(lowered) if name.startswith(_OWN_HEADERS)))
    add(asked.fields)
    add(state)
    return add.digest()


def fields_digest(body: bytes) -> bytes:
    """Digest of a body, as the client sent it: JSON. What does not change the answer is left out."""
    add = _Adding(_VERSION)
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name in sorted(fields):
        if name not in _NO_MATTER:
            add(name.encode("utf-8", "surrogatepass"), memoryview(fields[name]))
    return add.digest()


class _Adding:
    """SHA-256 of lists of parts, each with its length, so that no two lists are the same bytes."""

    def __init__(self, begin: bytes) -> None:
        self._digest = hashlib.sha256(begin)

    def __call__(self, *parts: bytes | memoryview) -> None:
        self._digest.update(len(parts).to_bytes(4, "big"))
        for part in parts:
            self._digest.update(len(part).to_bytes(8, "big"))
            self._digest.update(part)

    def digest(self) -> bytes:
        return self._digest.digest()


def _encoded(texts: Iterable[str]) -> list[bytes]:
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def _media(request: Request) -> Iterable[Image | Document]:
    for message in request.messages:
        for block in message.content:
            for part in block.content if isinstance(block, ToolResult) else (block,):
                if isinstance(part, Image | Document):
                    yield part
