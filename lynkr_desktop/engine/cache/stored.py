"""A reply as it is stored, and how its parts become bytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import Event, Usage
from lynkr_desktop.protocol.tiers import Tier

_LONGEST = 64 * 1024**2
"""Bytes of the events of one reply."""


class Facts(Struct, frozen=True, array_like=True):
    """What is told of a stored reply beside its events.

    Attributes:
        provider, model, tier: what answered.
        told_model: the model that the provider said it is.
        usage: what the answer took, with its cost.
        title: the first line of what was asked, without secrets.
    """

    provider: str
    model: str
    tier: Tier | None
    told_model: str
    usage: Usage
    title: str


class Stored(Struct, frozen=True, kw_only=True):
    """A reply that was given, and what it hangs on."""

    key: bytes
    created: float
    root: str
    head: str
    files: tuple[str, ...]
    facts: Facts
    events: list[Event]


class Listed(Struct, frozen=True, array_like=True):
    """A stored reply without what it says. Times are Unix seconds, sizes bytes."""

    key: bytes
    created: float
    used: float
    hits: int
    size: int
    root: str
    head: str
    facts: Facts


_EVENTS: msgspec.msgpack.Decoder[list[Event]] = msgspec.msgpack.Decoder(list[Event])
FACTS: msgspec.msgpack.Decoder[Facts] = msgspec.msgpack.Decoder(Facts)
FILES: msgspec.msgpack.Decoder[tuple[str, ...]] = msgspec.msgpack.Decoder(tuple[str, ...])
UNREADABLE = (msgspec.DecodeError, zlib.error, TypeError, ValueError)
"""What a damaged row brings about."""


def packed(events: Sequence[Event]) -> bytes:
    """Events as bytes; quickly compressed, for their names repeat."""
    return zlib.compress(msgspec.msgpack.encode(events), 1)


def unpacked(data: bytes) -> list[Event]:
    """The events of `packed`. A damaged file cannot make this take all memory. Raises one of `UNREADABLE`."""
    engine = zlib.decompressobj()
    plain = engine.decompress(data, _LONGEST)
    if not engine.eof:
        raise ValueError("the reply is cut or too long")
    return _EVENTS.decode(plain)
