"""What a source of passages is: it chooses, for each ask, what should stand before it."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence

from msgspec import Struct

from lynkr_desktop.engine.passages.asks import Origin, Spoken
from lynkr_desktop.engine.wire.canonical import Request


class Passage(Struct, frozen=True):
    """What is put before an ask, and the ids of what it is made of. Empty where nothing fits."""

    text: str = ""
    ids: tuple[str, ...] = ()


EMPTY = Passage()


class Ask(Struct, frozen=True, kw_only=True):
    """The newest thing that a person asks, for which something is to be chosen.

    Attributes:
        request: as the client sent it.
        place: where it stands.
        turn: the ask.
        said: passages that stand in the prompt already: before earlier asks, or of other sources before
            this one.
    """

    request: Request
    place: Origin
    turn: Spoken
    said: tuple[str, ...] = ()


class Source(abc.ABC):
    """One source. It is asked once for each ask, in the turn in which the ask is the newest.

    What it chose then is put there in each later turn, byte for byte, so that a provider's prompt cache goes
    on serving; an ask that went out without a passage stays without. A source need remember nothing for that.

    Attributes:
        name: one word; requests do without the source by the header `x-lynkr-NAME: off`.
    """

    name: str

    @property
    @abc.abstractmethod
    def enabled(self) -> bool:
        """Whether it takes part."""

    @property
    @abc.abstractmethod
    def budget(self) -> int:
        """Tokens that a passage may have; 0 while none is to be put in. Longer ones are left out."""

    @abc.abstractmethod
    async def choose(self, ask: Ask) -> Passage:
        """The passage for an ask, marked by `marked`. The request waits for it, so it must be quick."""


def marked(name: str, lines: Sequence[str]) -> str:
    """A passage within the tags of its source: by them models and the engine know that no person wrote it."""
    return "\n".join((f"<lynkr-{name}>", *lines, f"</lynkr-{name}>"))


def header_of(name: str) -> str:
    """The header of a source: `off` in a request, the number of asks with a passage in a reply."""
    return f"x-lynkr-{name}"


def wanted(headers: Mapping[str, str], name: str) -> bool:
    """Whether a request takes part in a source: neither given its passages nor learned from where not."""
    return headers.get(header_of(name), "").strip().lower() not in ("off", "false", "0")
