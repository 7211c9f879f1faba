"""The experiment: a share of the requests near a threshold takes the tier on its other side.

Without it the log never tells how the other tier would have done, and thresholds cannot be judged. It is off
unless a person configures a share. A pure function: the same key gets the same arm, so a session keeps its
tier and its prompt caches stay warm.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec import Struct

from lynkr_desktop.protocol.routing import ExperimentArm
from lynkr_desktop.protocol.tiers import Tier

_PERSON = b"lynkr-tier-ab"


class Draw(Struct, frozen=True):
    """The tier to take, the probability with which it is taken at this score, and the arm."""

    tier: Tier
    propensity: float = 1.0
    arm: ExperimentArm = ""


def draw(score: float, limits: Sequence[tuple[Tier, float]], share: float, margin: float, key: str) -> Draw:
    """Takes the tier of a score, or its neighbour for a share of the borderline ones.

    Call it only where the score decides: not for pinned tiers, side requests, or turns of a task that has its
    tier already.

    Args:
        score: in 0..1.
        limits: the tiers that take requests, in rising order, each with its `max_complexity`.
        share: of the borderline requests that take the neighbour; 0 for none.
        margin: how far from a threshold a score is borderline.
        key: what must keep its arm: the session, or the request where there is none.
    """
    place = next((place for place, (_, limit) in enumerate(limits) if score <= limit), len(limits) - 1)
    tier = limits[place][0]
    # The neighbours, each with its distance; the limit of the last tier is no threshold.
    near = [(score - limits[place - 1][1], place - 1)] if place else []
    near += [(limits[place][1] - score, place + 1)] if place + 1 < len(limits) else []
    distance, other = min(near, default=(1.0, place))
    if share <= 0 or distance > margin:
        return Draw(tier)
    if _uniform(key) >= share:
        return Draw(tier, 1.0 - share, "control")
    return Draw(limits[other][0], share, "up" if other > place else "down")


def _uniform(key: str) -> float:
    """A number in [0, 1) by the key, spread evenly over keys."""
    digest = blake2b(key.encode("utf-8", "replace"), digest_size=8, person=_PERSON).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
