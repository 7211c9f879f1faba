"""Routers that know next to nothing, for the same table: one tier for all, and the length alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from benchmarks.routing.cases import Case, rank_range
from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.engine.routing.features import features

COST = ((0, 1, 3, 6), (3, 0, 1, 4), (8, 3, 0, 2), (14, 8, 3, 0))
"""RUBRIC.md: rows are the acceptable tier nearest to the choice, columns the choice."""


def cost_of(case: Case, rank: int) -> int:
    """What a choice costs; nothing where it is acceptable."""
    low, high = rank_range(case)
    return COST[min(high, max(low, rank))][rank]


def length_of(ask: Ask) -> int:
    """The words of what was asked, pastes left out."""
    return features(ask.text).count


def fit_lengths(cases: Sequence[Case], lengths: Sequence[int]) -> tuple[int, int, int]:
    """The three lengths at which a router by length alone changes its tier, with the least mean cost."""
    grid = sorted(set(lengths))
    if len(grid) > 40:
        ordered = sorted(lengths)
        grid = sorted({ordered[len(ordered) * step // 40] for step in range(40)})
    # costs[rank][k]: what it costs to give `rank` to all lines whose length is at most grid[k].
    costs = [[0] * len(grid) for _ in range(4)]
    beyond = [0] * 4
    for case, length in zip(cases, lengths, strict=True):
        for rank in range(4):
            spent = cost_of(case, rank)
            beyond[rank] += spent
            for place, limit in enumerate(grid):
                if length <= limit:
                    costs[rank][place] += spent
    best = min(
        combinations(range(len(grid)), 3),
        key=lambda cut: (
            costs[0][cut[0]]
            + (costs[1][cut[1]] - costs[1][cut[0]])
            + (costs[2][cut[2]] - costs[2][cut[1]])
            + (beyond[3] - costs[3][cut[2]])
        ),
    )
    return grid[best[0]], grid[best[1]], grid[best[2]]


def by_length(length: int, limits: tuple[int, int, int]) -> int:
    """The rank of the tier for a length."""
    return sum(length > limit for limit in limits)
