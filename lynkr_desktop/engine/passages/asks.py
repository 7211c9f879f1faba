"""The asks of a conversation: the turns in which a person speaks, and a name for each."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec import Struct

from lynkr_desktop.engine.routing.clean import clean, clean_text
from lynkr_desktop.engine.wire.canonical import Request, Text


class Origin(Struct, frozen=True, kw_only=True):
    """Where something was said.

    Attributes:
        scope: the project; `client:NAME` where the client names no folder, so that nothing crosses over.
        session: the client's own name for the conversation.
        request: the request's id.
        at: when it was said, in Unix seconds.
        local_only: it was said under a profile that keeps all on this machine.
    """

    scope: str
    session: str = ""
    request: str = ""
    at: float = 0.0
    local_only: bool = False


class Spoken(Struct, frozen=True):
    """A turn in which a person speaks.

    Attributes:
        position: of the turn.
        text: what is said, without what a harness put around it.
        raw: the first block that holds some of it, as it is.
    """

    position: int
    text: str
    raw: str


class Asked(Struct, frozen=True):
    """The asks of a request, for all who want to know of them.

    Attributes:
        place: where it stands.
        turns: the asks, in their order.
        names: one for each; see `names_of`.
    """

    place: Origin
    turns: Sequence[Spoken]
    names: Sequence[bytes]


def asks(request: Request) -> list[Spoken]:
    """The turns in which a person speaks, in their order."""
    found: list[Spoken] = []
    for position, message in enumerate(request.messages):
        if message.role == "user" and (text := clean_text(message)):
            parts = (part.text for part in message.content if isinstance(part, Text))
            raw = next((part for part in parts if part.strip() and clean(part)), "")
            found.append(Spoken(position, text, raw))
    return found


def names_of(place: Origin, spoken: Sequence[Spoken]) -> list[bytes]:
    """A name for each ask that says all that a person said up to it, in which session and project."""
    name = _digest(b"", "\0".join((place.scope, place.session, str(place.local_only))))
    return [name := _digest(name, turn.text) for turn in spoken]


def _digest(before: bytes, text: str) -> bytes:
    return blake2b(before + text.encode("utf-8", "replace"), digest_size=16).digest()
