"""The asks of a conversation: the turns in which a person speaks, and a name for each."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec import Struct

from lynkr_desktop.engine.routing.clean import clean, clean_text
from lynkr_desktop.engine.wire.canonical import Block, Request, Text


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
            found.append(Spoken(position, text, _first_said(message.content)))
    return found


def _first_said(content: Sequence[Block]) -> str:
    for part in content:
        if isinstance(part, Text) and part.text.strip() and clean(part.text):
            return part.text
    return ""


def names_of(place: Origin, spoken: Sequence[Spoken]) -> list[bytes]:
    """A name for each ask that says all that a person said up to it, in which session and project."""
    said = blake2b(
        f"{place.scope}\0{place.session}\0{place.local_only}".encode("utf-8", "replace"), digest_size=16
    )
    names: list[bytes] = []
    for turn in spoken:
        text = turn.text.encode("utf-8", "replace")
        # With its length, or two turns could say what another two say.
        said.update(b"%d\0" % len(text))
        said.update(text)
        names.append(said.digest())
    return names
