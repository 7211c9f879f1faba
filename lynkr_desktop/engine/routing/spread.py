"""Which endpoint of a provider is asked first, and which next where that one fails."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Protocol

import msgspec

from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.wire.canonical import Request

_LONGEST = 64 * 1024
"""Bytes of a conversation's first ask that tell it from others; it may hold images."""


class Load(Protocol):
    """What is known of an endpoint's lane."""

    in_flight: int

    def expected_wait(self, model: str = "") -> float:
        """Seconds that another request would wait."""


class Loads(Protocol):
    """The lanes."""

    def __getitem__(self, name: str) -> Load:
        """The lane of an endpoint."""


class Spread:
    """Orders endpoints. It lives as long as the engine, for it knows whose turn it is.

    Args:
        lanes: how busy each is.
    """

    def __init__(self, lanes: Loads) -> None:
        self._lanes = lanes
        self._served: dict[str, float] = {}

    def order(
        self, endpoints: Sequence[Provider], model: str, conversation: str = "", *, take: bool = True
    ) -> list[Provider]:
        """The endpoints of one provider, best first.

        Those that would take a request at once come first. Of them, a conversation has its own, where the
        provider's prompt cache knows it; what belongs to none goes where the fewest requests are by weight.

        Args:
            endpoints: of one provider.
            model: that is asked.
            conversation: names the conversation; empty for none.
            take: whether the first one is asked then.
        """
        if len(endpoints) == 1:
            return list(endpoints)
        lanes = {each.lane: self._lanes[each.lane] for each in endpoints}
        if conversation:
            ranks = {each.lane: (0.0, -_rendezvous(conversation, each)) for each in endpoints}
        else:
            least = min(self._served.get(each.lane, 0.0) for each in endpoints)
            ranks = {
                each.lane: (
                    lanes[each.lane].in_flight / each.weight,
                    self._served.get(each.lane, least),
                )
                for each in endpoints
            }
        ordered = sorted(
            endpoints, key=lambda each: (lanes[each.lane].expected_wait(model), *ranks[each.lane])
        )
        if take and not conversation:
            first = ordered[0]
            self._served[first.lane] = ranks[first.lane][1] + 1 / first.weight
        return ordered


def _rendezvous(conversation: str, endpoint: Provider) -> float:
    """Rendezvous hashing by weight: where an endpoint comes or goes, only its own conversations move."""
    digest = hashlib.blake2b(f"{endpoint.lane}\0{conversation}".encode(), digest_size=8).digest()
    share = (int.from_bytes(digest, "big") + 0.5) / 2**64
    return -endpoint.weight / math.log(share)


def conversation_of(request: Request, session: str) -> str:
    """A short name of a request's conversation: of the client's session, else of its first ask."""
    hasher = hashlib.blake2b(digest_size=16)
    if session:
        hasher.update(session.encode("utf-8", "surrogatepass"))
    else:
        first = next((message for message in request.messages if message.role == "user"), None)
        if first is None:
            return ""
        hasher.update(msgspec.json.encode(first)[:_LONGEST])
    return hasher.hexdigest()
