"""New thresholds from the log of decisions: it is replayed under each candidate, and the best is proposed.

A threshold parts two neighbouring tiers. To move it is to send the tasks that score between the old place and
the new one to the other tier, so that is all that must be judged: how often did tasks with such scores fail
at the weaker tier, and how often at the stronger one? Each rate is a self-normalised inverse-propensity mean
(Hájek 1971) over the tasks that took the tier, which is unbiased however uneven the experiment was. A task
that failed took too weak a tier and counts `weight`; one that the weaker tier would have done as well took
too strong a one and counts 1, for each tier that is too strong.

Where the log has no task that took the other tier, it is not guessed at:
- at a weaker tier, tasks are taken to fail unless a person marked them as routed too high;
- at a stronger tier, tasks are taken to do as well as those just above the threshold, which are no easier.

Intervals come from a bootstrap over conversations, since the tasks of one are alike and share their arm of
the experiment. A change is proposed only if it is better by a band that holds for all candidates at once
(max-t), so that choosing the best of many does not make it look better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import mul
from random import Random
from statistics import fmean, stdev
from typing import Literal, NamedTuple
from zlib import crc32

from lynkr_desktop.engine.config.schema import RoutingOptions
from lynkr_desktop.protocol.routing import CalibrationReport, CutProposal, Estimate, TierMove
from lynkr_desktop.protocol.tiers import TIERS, Tier

STEP = 0.01
"""Between two candidates."""

REACH = 10
"""Candidates on each side of a threshold: it moves by 0.1 at most, then new outcomes must come in."""

MINIMUM = 100
"""Tasks with a known outcome near a threshold, below which nothing is said about it."""

MINIMUM_ARM = 30
"""Tasks of each tier between the old threshold and the new one."""

MINIMUM_SESSIONS = 20
"""Conversations that they come from."""

WEIGHT = 3.0
"""How many times worse too weak a tier is than too strong a one."""

_LEAST_PROPENSITY = 1e-3
_BUCKETS = 128
_REPLICATES = 400
_CONFIDENCE = 0.95

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


class _Rates(NamedTuple):
    """By how many tasks of all a move changes what took too weak, or too strong a tier."""

    under: float
    over: float


@dataclass(slots=True)
class _Candidate:
    """A place `steps` away from a threshold, with what the log says of moving it there.

    `high` are the bins that tell of the stronger tier; `pseudo` the weight of one task at each tier.
    """

    steps: int
    evidence: Evidence
    bins: range
    high: range
    pseudo: tuple[float, float]
    rates: _Rates = field(default_factory=lambda: _Rates(0.0, 0.0))
    replicates: list[_Rates] = field(default_factory=list)

    def losses(self, weight: float) -> list[float]:
        return [weight * rates.under + rates.over for rates in self.replicates]


@dataclass(slots=True)
class _Cut:
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
    candidates: list[_Candidate] = field(default_factory=list)

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
        return round(self.value + steps * STEP, 4)


def calibrate(
    tasks: Iterable[Task],
    limits: Sequence[tuple[Tier, float]],
    *,
    since: float = 0.0,
    until: float = 0.0,
    weight: float = WEIGHT,
    skipped: int = 0,
    seed: int = 0,
) -> CalibrationReport:
    """Judges every threshold by the log and proposes better ones. Deterministic for a seed.

    Args:
        tasks: the log; rows with impossible figures are counted as skipped.
        limits: the tiers in rising order, each with its `max_complexity`.
        since: where the log begins, for the report.
        until: where it ends.
        weight: how many times worse too weak a tier is than too strong a one, above 0.
        skipped: rows of the log that could not be read.
        seed: of the bootstrap.
    """
    cuts = _cuts(limits)
    log = _Log(cuts)
    for task in tasks:
        if not log.add(task):
            skipped += 1
    log.replicate(Random(seed))
    certain = _quantile_of_greatest(
        [
            [-loss for loss in candidate.losses(weight)]
            for cut in cuts
            for candidate in cut.candidates
            if _enough(cut) == 0
        ]
    )
    chosen: list[tuple[_Cut, _Candidate]] = []
    proposals = []
    for cut in cuts:
        best = _best(cut, weight, certain)
        if best is not None:
            chosen.append((cut, best))
        proposals.append(_proposal(cut, best, weight))
    return CalibrationReport(
        since=since,
        until=until,
        tasks=log.tasks,
        known=log.known,
        skipped=skipped,
        weight=weight,
        cuts=tuple(proposals),
        moves=tuple(
            TierMove(source=source, target=target, tasks=log.moved(cut, candidate))
            for cut, candidate in chosen
            for source, target in [(cut.high, cut.low) if candidate.steps > 0 else (cut.low, cut.high)]
        ),
        under=_estimate([(one.rates.under, [rates.under for rates in one.replicates]) for _, one in chosen]),
        over=_estimate([(one.rates.over, [rates.over for rates in one.replicates]) for _, one in chosen]),
        cost=log.cost_of(chosen),
        spent=log.spent,
        patch={f"routing.tiers.{cut.low}.max_complexity": cut.place(one.steps) for cut, one in chosen},
    )


def limits_of(options: RoutingOptions) -> list[tuple[Tier, float]]:
    """The configured tiers in rising order, each with its `max_complexity`."""
    return [(tier, options.tiers[tier].max_complexity) for tier in TIERS if tier in options.tiers]


def _cuts(limits: Sequence[tuple[Tier, float]]) -> list[_Cut]:
    """The thresholds. Each may go half the way to the next, so that they rise whatever is proposed."""
    cuts: list[_Cut] = []
    first = 0
    for place in range(len(limits) - 1):
        (low, value), (high, above) = limits[place], limits[place + 1]
        below = limits[place - 1][1] if place else 0.0
        down, up = (
            max(0, min(REACH, math.ceil(gap / 2 / STEP - 1e-9) - 1)) for gap in (value - below, above - value)
        )
        cuts.append(_Cut(low, high, value, down, up, first))
        first += _SUMS * cuts[-1].width
    return cuts


# ---------------------------------------------------------------- the log, summed up


class _Log:
    """Sums of the log by bucket of conversations, so that a replicate is a few hundred weighted sums."""

    def __init__(self, cuts: Sequence[_Cut]) -> None:
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
        for _ in range(_REPLICATES):
            drawn = [0] * len(buckets)
            for bucket in random.choices(buckets, k=len(buckets)):
                drawn[bucket] += 1
            row = [0.0 if column is None else sum(map(mul, column, drawn)) for column in columns]
            for cut in self._cuts:
                if cut.candidates:
                    sums = _Sums(cut, row)
                    for candidate in cut.candidates:
                        candidate.replicates.append(_rates(candidate, sums))

    def sums(self, cut: _Cut) -> _Sums:
        """The whole log about a threshold."""
        return _Sums(cut, self._sums)

    def moved(self, cut: _Cut, candidate: _Candidate) -> int:
        """Tasks between the threshold and the candidate."""
        return round(self.sums(cut).within(candidate.bins, _ALL))

    def cost_of(self, chosen: Sequence[tuple[_Cut, _Candidate]]) -> float | None:
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

    def __init__(self, cut: _Cut, row: Sequence[float]) -> None:
        self.tasks = max(1.0, row[-1])
        starts = [cut.first + which * cut.width for which in range(_SUMS)]
        self._cumulated = [list(accumulate(row[start : start + cut.width], initial=0.0)) for start in starts]

    def within(self, bins: range, which: int) -> float:
        """The sum over some bins."""
        line = self._cumulated[which]
        return line[bins.stop] - line[bins.start]


# ---------------------------------------------------------------- candidates


def _find_candidates(cut: _Cut, sums: _Sums) -> None:
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
            cut.candidates.append(_Candidate(steps, evidence, bins, above, pseudo))


def _known(cut: _Cut, bins: range, tier: int) -> int:
    return sum(cut.counts.get(place, (0, 0))[tier] for place in bins)


def _rates(candidate: _Candidate, sums: _Sums) -> _Rates:
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
    return _Rates(under=sign * share * (low - high), over=-sign * share * (1.0 - low))


def _mean(part: float, whole: float, pseudo: float) -> float:
    return (part + pseudo / 2) / (whole + pseudo) if whole + pseudo else 0.5


# ---------------------------------------------------------------- judging


def _enough(cut: _Cut) -> int:
    """How many more outcomes are needed near a threshold."""
    few = max(0, MINIMUM_SESSIONS - len(cut.sessions))
    return max(few, MINIMUM - cut.known)


def _loss(candidate: _Candidate, weight: float) -> float:
    return weight * candidate.rates.under + candidate.rates.over


def _best(cut: _Cut, weight: float, certain: float) -> _Candidate | None:
    """The best candidate, if it is better than the threshold as it stands beyond doubt."""
    if _enough(cut) or not cut.candidates:
        return None
    best = min(cut.candidates, key=lambda candidate: _loss(candidate, weight))
    spread = stdev(best.losses(weight))
    return best if _loss(best, weight) + certain * spread < 0 else None


def _quantile_of_greatest(series: Sequence[Sequence[float]]) -> float:
    """The 95 percent quantile of the greatest standardised deviation among series of replicates."""
    greatest: list[float] = []
    scaled = []
    for values in series:
        spread = stdev(values)
        if spread > 0:
            mean = fmean(values)
            scaled.append([(value - mean) / spread for value in values])
    greatest = sorted(map(max, zip(*scaled, strict=True)))
    return greatest[math.ceil(_CONFIDENCE * len(greatest)) - 1] if greatest else 0.0


def _interval(cut: _Cut, weight: float) -> tuple[float | None, float | None]:
    """The places that the log cannot tell from the best one; None on a side where it shows no worse one."""
    places = {0: (0.0, [0.0] * _REPLICATES)} | {
        one.steps: (_loss(one, weight), one.losses(weight)) for one in cut.candidates
    }
    best = min(places, key=lambda steps: places[steps][0])
    others = {
        steps: (loss - places[best][0], [a - b for a, b in zip(losses, places[best][1], strict=True)])
        for steps, (loss, losses) in places.items()
        if steps != best
    }
    certain = _quantile_of_greatest([losses for _, losses in others.values()])
    alike = [best]
    alike += [steps for steps, (worse, losses) in others.items() if worse <= certain * stdev(losses)]
    # Places between those and the next worse one have too few tasks of their own to be told apart.
    below = max((steps for steps in places if steps < min(alike)), default=None)
    above = min((steps for steps in places if steps > max(alike)), default=None)
    return (
        None if below is None else cut.place(below + 1),
        None if above is None else cut.place(above - 1),
    )


def _estimate(parts: Sequence[tuple[float, Sequence[float]]]) -> Estimate | None:
    """A sum of figures with the interval of their replicates' sums."""
    if not parts:
        return None
    replicates = sorted(map(sum, zip(*(values for _, values in parts), strict=True)))
    tail = (1 - _CONFIDENCE) / 2
    low, high = (replicates[round(part * (len(replicates) - 1))] for part in (tail, 1 - tail))
    return Estimate(value=sum(value for value, _ in parts), low=low, high=high)


def _proposal(cut: _Cut, best: _Candidate | None, weight: float) -> CutProposal:
    needed = _enough(cut)
    low, high = (None, None) if needed else _interval(cut, weight)
    return CutProposal(
        tier=cut.low,
        above=cut.high,
        current=cut.value,
        proposed=cut.value if best is None else cut.place(best.steps),
        low=low,
        high=high,
        outcomes=cut.known,
        needed=needed,
        compared=cut.compared,
        why=_why(cut, best, needed),
    )


def _why(cut: _Cut, best: _Candidate | None, needed: int) -> str:
    near = f"near {cut.value:g}"
    if needed:
        return f"{needed} more tasks with a known outcome {near} are needed"
    if best is None:
        if not cut.candidates:
            return f"too few tasks {near} took the other tier or were marked; see routing.experiment.share"
        return "no other value is better beyond doubt"
    if best.evidence == "marks":
        return f"people marked enough of the tasks above it as too high for {cut.low}"
    worse, better = (cut.high, cut.low) if best.steps > 0 else (cut.low, cut.high)
    if best.steps > 0:
        return f"{better} did the tasks between almost as well as {worse}"
    return f"{worse} failed at the tasks between more often than {better}"
