"""A log of tasks under other thresholds: what each place that a threshold could have would have changed.

Tasks are summed by bins of scores and buckets of conversations, so that judging a place is a few
subtractions, and a replicate of the log for the bootstrap a few hundred weighted sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import mul
from random import Random
from statistics import fmean
from time import sleep
from typing import Literal, NamedTuple
from zlib import crc32

from lynkr_desktop.protocol.tiers import Tier

STEP = 0.01
"""Between two candidates."""

REACH = 10
"""Candidates on each side of a threshold: it moves by 0.1 at most, then new outcomes must come in."""

MINIMUM_ARM = 30
"""Tasks of each tier between the old threshold and the new one."""

REPLICATES = 400
_LEAST_PROPENSITY = 1e-3
_BUCKETS = 128

# What is summed per bin of scores: tasks; per tier their weights, and the weights of those that failed; and
# of the stronger one the weights of those that a person marked as too high.
_ALL, _LOW, _LOW_FAILED, _HIGH, _HIGH_FAILED, _HIGH_OVER = range(6)
_SUMS = 6

Evidence = Literal["both", "marks", "above"]
"""Both tiers were tried; only marks speak for the weaker one; the stronger one is judged by scores above."""


class Task(NamedTuple):
    """A task of the log whose tier was chosen by the score, or drawn by the experiment.

    `failed` is None while the outcome is not known, `over` says that a person found the tier too strong,
    `key` names the conversation, `cost` is that of all its requests, None where a price is unknown.
    """

    score: float
    tier: Tier
    propensity: float
    failed: bool | None
    over: bool
    key: str
    cost: float | None


class Rates(NamedTuple):
    """By how much moving a threshold changes the share of tasks that took too weak, or too strong a tier."""

    under: float
    over: float


@dataclass(slots=True)
class Candidate:
    """A place `steps` away from a threshold, with what the log says of moving it there.

    `high` are the bins that tell of the stronger tier; `pseudo` the weight of one task at each tier.
    """

    steps: int
    evidence: Evidence
    bins: range
    high: range
    pseudo: tuple[float, float]
    rates: Rates = field(default_factory=lambda: Rates(0.0, 0.0))
    replicates: list[Rates] = field(default_factory=list)

    def loss(self, weight: float) -> float:
        """What moving the threshold here costs per task; below 0 it is worth it."""
        return weight * self.rates.under + self.rates.over

    def losses(self, weight: float) -> list[float]:
        """The same for each replicate."""
        return [weight * rates.under + rates.over for rates in self.replicates]


@dataclass(slots=True)
class Cut:
    """One threshold: `value` parts `low` from `high`; it may move `down` and `up` by so many steps."""

    low: Tier
    high: Tier
    value: float
    down: int
    up: int
    first: int = 0
    known: int = 0
    compared: int = 0
    sessions: set[int] = field(default_factory=set)
    counts: dict[int, list[int]] = field(default_factory=dict)
    """Known outcomes by bin, at the weaker and at the stronger tier."""
    candidates: list[Candidate] = field(default_factory=list)

    def bin(self, score: float) -> int:
        """The bin of a score, counted from the lowest; `down` is the first above the threshold."""
        return math.ceil((score - self.value) / STEP - 1e-9) + self.down - 1

    @property
    def width(self) -> int:
        """Bins that are summed."""
        return self.down + self.up

    def bins(self, steps: int) -> range:
        """The bins between the threshold and the place so many steps away, counted from the lowest."""
        return range(self.down, self.down + steps) if steps > 0 else range(self.down + steps, self.down)

    def place(self, steps: int) -> float:
        """The threshold, moved by so many steps."""
        return round(self.value + steps * STEP, 4)


def cuts_of(limits: Sequence[tuple[Tier, float]]) -> list[Cut]:
    """The thresholds. Each may go half the way to the next, so that they rise whatever is proposed."""
    cuts: list[Cut] = []
    first = 0
    for place in range(len(limits) - 1):
        (low, value), (high, above) = limits[place], limits[place + 1]
        below = limits[place - 1][1] if place else 0.0
        down, up = (
            max(0, min(REACH, math.ceil(gap / 2 / STEP - 1e-9) - 1)) for gap in (value - below, above - value)
        )
        cuts.append(Cut(low, high, value, down, up, first))
        first += _SUMS * cuts[-1].width
    return cuts


# ---------------------------------------------------------------- the log, summed up


class Log:
    """Sums of the log by bucket of conversations, so that a replicate is a few hundred weighted sums."""

    def __init__(self, cuts: Sequence[Cut]) -> None:
        self._cuts = cuts
        self._width = sum(_SUMS * cut.width for cut in cuts) + 1
        self._buckets: dict[int, list[float]] = {}
        self._costs: dict[tuple[int, Tier], list[float]] = {}
        self._sums: list[float] = []
        self.tasks = self.known = 0
        self.spent = 0.0

    def add(self, task: Task) -> bool:
        """Takes a task; False for one with impossible figures."""
        score, tier, propensity, failed, over, key, cost = task
        if not (0 <= score <= 1 and _LEAST_PROPENSITY <= propensity <= 1):
            return False
        self.tasks += 1
        if not self.tasks % 256:
            sleep(0)
        self.known += failed is not None
        self.spent += cost or 0.0
        session = crc32(key.encode("utf-8", "replace"))
        sums = self._buckets.get(session % _BUCKETS)
        if sums is None:
            sums = self._buckets[session % _BUCKETS] = [0.0] * self._width
        sums[-1] += 1
        for number, cut in enumerate(self._cuts):
            place, width = cut.bin(score), cut.width
            if not 0 <= place < width:
                continue
            column = cut.first + place
            sums[column + _ALL * width] += 1
            if tier is not cut.low and tier is not cut.high:
                continue
            if cost is not None:
                self._costs.setdefault((number, tier), []).append(cost)
            if failed is None:
                continue
            high = tier is cut.high
            weight = 1 / propensity
            sums[column + (_HIGH if high else _LOW) * width] += weight
            if failed:
                sums[column + (_HIGH_FAILED if high else _LOW_FAILED) * width] += weight
            elif over and high:
                sums[column + _HIGH_OVER * width] += weight
            cut.known += 1
            cut.compared += high is (place < cut.down)
            cut.sessions.add(session)
            cut.counts.setdefault(place, [0, 0])[high] += 1
        return True

    def replicate(self, random: Random) -> None:
        """Judges every candidate by the log, and again by each of many logs drawn from it."""
        if not self._buckets:
            return
        columns = [column if any(column) else None for column in zip(*self._buckets.values(), strict=True)]
        self._sums = [0.0 if column is None else math.fsum(column) for column in columns]
        for cut in self._cuts:
            sums = self.sums(cut)
            _find_candidates(cut, sums)
            for candidate in cut.candidates:
                candidate.rates = _rates(candidate, sums)
        if not any(cut.candidates for cut in self._cuts):
            return
        buckets = range(len(self._buckets))
        for _ in range(REPLICATES):
            drawn = [0] * len(buckets)
            for bucket in random.choices(buckets, k=len(buckets)):
                drawn[bucket] += 1
            row = [0.0 if column is None else sum(map(mul, column, drawn)) for column in columns]
            sleep(0)  # lets the thread go on that answers requests, sooner than the interpreter would
            for cut in self._cuts:
                if cut.candidates:
                    sums = _Sums(cut, row)
                    for candidate in cut.candidates:
                        candidate.replicates.append(_rates(candidate, sums))

    def sums(self, cut: Cut) -> _Sums:
        """The whole log about a threshold."""
        return _Sums(cut, self._sums)

    def moved(self, cut: Cut, candidate: Candidate) -> int:
        """Tasks between the threshold and the candidate."""
        return round(self.sums(cut).within(candidate.bins, _ALL))

    def cost_of(self, chosen: Sequence[tuple[Cut, Candidate]]) -> float | None:
        """How the cost of the log changes, by the mean costs of both tiers near each threshold."""
        change = 0.0
        for cut, candidate in chosen:
            number = self._cuts.index(cut)
            low, high = (self._costs.get((number, tier), []) for tier in (cut.low, cut.high))
            if len(low) < MINIMUM_ARM or len(high) < MINIMUM_ARM:
                return None
            dearer = fmean(high) - fmean(low)
            change += self.moved(cut, candidate) * (-dearer if candidate.steps > 0 else dearer)
        return change if chosen else None


class _Sums:
    """Sums of a log, or of a replicate, about one threshold."""

    def __init__(self, cut: Cut, row: Sequence[float]) -> None:
        self.tasks = max(1.0, row[-1])
        starts = [cut.first + which * cut.width for which in range(_SUMS)]
        self._cumulated = [list(accumulate(row[start : start + cut.width], initial=0.0)) for start in starts]

    def within(self, bins: range, which: int) -> float:
        """The sum over some bins."""
        line = self._cumulated[which]
        return line[bins.stop] - line[bins.start]


# ---------------------------------------------------------------- candidates


def _find_candidates(cut: Cut, sums: _Sums) -> None:
    """The places about which the log says something."""
    for steps in (*range(-cut.down, 0), *range(1, cut.up + 1)):
        bins = above = cut.bins(steps)
        low, high = (_known(cut, bins, tier) for tier in (0, 1))
        evidence: Evidence = "both"
        if steps > 0 and low < MINIMUM_ARM and sums.within(bins, _HIGH_OVER):
            evidence, low = "marks", MINIMUM_ARM
        elif steps < 0 and high < MINIMUM_ARM:
            evidence, above = "above", cut.bins(min(-steps, cut.up))
            high = _known(cut, above, 1)
        if min(low, high) >= MINIMUM_ARM:
            # Rates are taken over one task more at each tier, which half failed: a few dozen tasks do not
            # make a rate 0 or 1.
            pseudo = sums.within(bins, _LOW) / low, sums.within(above, _HIGH) / high
            cut.candidates.append(Candidate(steps, evidence, bins, above, pseudo))


def _known(cut: Cut, bins: range, tier: int) -> int:
    return sum(cut.counts.get(place, (0, 0))[tier] for place in bins)


def _rates(candidate: Candidate, sums: _Sums) -> Rates:
    """What moving the threshold changes, as parts of all tasks."""
    bins, above = candidate.bins, candidate.high
    of_low, of_high = candidate.pseudo
    high = _mean(sums.within(above, _HIGH_FAILED), sums.within(above, _HIGH), of_high)
    if candidate.evidence == "marks":
        low = 1.0 - _mean(sums.within(bins, _HIGH_OVER), sums.within(bins, _HIGH), of_high)
    else:
        low = _mean(sums.within(bins, _LOW_FAILED), sums.within(bins, _LOW), of_low)
    share = sums.within(bins, _ALL) / sums.tasks
    sign = 1.0 if candidate.steps > 0 else -1.0
    return Rates(under=sign * share * (low - high), over=-sign * share * (1.0 - low))


def _mean(part: float, whole: float, pseudo: float) -> float:
    return (part + pseudo / 2) / (whole + pseudo) if whole + pseudo else 0.5
