"""How far a turn leans on what was said before it, and whether it says that what was done is wrong.

`benchmarks/routing/train.py` makes the weights (leaning.bin) from labelled turns. Two heads over the
features that the score reads too: `leans` for turns that say nothing of the work by themselves ("the second
one, but without the cache"), `failed` for complaints ("same two tests are red").
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.routing.features import Features, features
from lynkr_desktop.engine.routing.model import Head, Line, chance, dense_of

FILE = "leaning.bin"

_SHORT, _LONG = 20, 40
"""Words up to which a turn may lean fully, and from which on it says itself what it wants."""

read_features = lru_cache(maxsize=512)(features)
"""The features of a text. A conversation repeats its texts with every turn."""


class Leaning(Struct, frozen=True):
    """What a turn is among others.

    Attributes:
        leans: from 0, it says all of the work itself, to 1, it means nothing without what was said before.
        failed: how likely it says that what was done does not work, 0 to 1.
    """

    leans: float
    failed: float


class LeaningWeights(Struct, frozen=True):
    """What leaning.bin holds, as MessagePack; both heads give log-odds."""

    leans: Head
    failed: Head


class LeaningModel:
    """Weights, ready for use. Never changes."""

    def __init__(self, weights: LeaningWeights) -> None:
        self._leans, self._failed = Line(weights.leans), Line(weights.failed)

    def read(self, found: Features) -> Leaning:
        """Applies the model; deterministic, some hundredths of a millisecond."""
        dense = dense_of(found)
        room = min(1.0, max(0.0, (_LONG - found.count) / (_LONG - _SHORT)))
        return Leaning(
            room * chance(self._leans.at(dense, found.grams)), chance(self._failed.at(dense, found.grams))
        )


@lru_cache(maxsize=512)
def leaning(text: str) -> Leaning:
    """What a turn is, by the model that comes with the package."""
    return _shipped().read(read_features(text))


@cache
def _shipped() -> LeaningModel:
    raw = (files(__package__ or "") / FILE).read_bytes()
    return LeaningModel(msgspec.msgpack.decode(raw, type=LeaningWeights))
