"""How new a statement is, and how well a memory fits an ask: BM25 with the figures of one project."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from lynkr_desktop.protocol.memory import MemoryRow

_K1, _B = 1.2, 0.3
"""The usual saturation; lengths count little, since all memories are short."""

_USUAL_TERMS = 12
_PREFERENCE = 0.3
"""Relevance that preferences have to every ask: they say how each is to be done."""


class Corpus(Struct, frozen=True):
    """How many memories a project has, and how many of them hold each term that was asked for."""

    size: int
    held: Mapping[str, int]

    def weight(self, term: str) -> float:
        """The inverse document frequency of a term."""
        held = min(self.held.get(term, 0), self.size)
        return math.log1p((self.size - held + 0.5) / (held + 0.5))


class Matcher:
    """Compares memories with one query by BM25.

    Args:
        query: its terms, without repetition.
        corpus: the figures of the project.
    """

    def __init__(self, query: Sequence[str], corpus: Corpus) -> None:
        self._weights = {term: corpus.weight(term) for term in query}
        self._best = sum(self._weights.values())

    def match(self, terms: Sequence[str]) -> float:
        """BM25 of a memory as a share of what one with all terms of the query would have, 0..1.

        Args:
            terms: of the memory, as they stand in it.
        """
        if not self._best:
            return 0.0
        length = _K1 * (1 - _B + _B * len(terms) / _USUAL_TERMS)
        total = 0.0
        for term, count in Counter(terms).items():
            if weight := self._weights.get(term):
                total += weight * count * (_K1 + 1) / (count + length)
        return min(1.0, total / self._best)

    def relevance(self, terms: Sequence[str], row: MemoryRow) -> float:
        """How well a memory fits an ask, 0..1: by BM25, or by how much of it a long ask says."""
        own = set(terms)
        covered = len(own & self._weights.keys()) / len(own) if own else 0.0
        found = max(self.match(terms), covered)
        return max(found, _PREFERENCE) if row.kind == "preference" else found


def surprise(novelty: float, specificity: float, *, contradicts: bool) -> float:
    """How much a statement is worth keeping, 0..1.

    What contradicts a memory is news; else it counts how unlike all memories it is, and how particular.
    """
    return 1.0 if contradicts else 0.7 * novelty + 0.3 * specificity


def recency(age: float, half_life: float) -> float:
    """1 for what was said just now, a half after each half-life."""
    return float(2.0 ** -(max(0.0, age) / half_life))
