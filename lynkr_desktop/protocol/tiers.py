"""The four tiers, in rising order of capability."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """A class of models that can answer requests up to some complexity."""

    SIMPLE = "simple"
    MEDIUM = "medium"
    COMPLEX = "complex"
    REASONING = "reasoning"

    @property
    def rank(self) -> int:
        """0 for SIMPLE up to 3 for REASONING."""
        return TIERS.index(self)


TIERS: tuple[Tier, ...] = (Tier.SIMPLE, Tier.MEDIUM, Tier.COMPLEX, Tier.REASONING)
