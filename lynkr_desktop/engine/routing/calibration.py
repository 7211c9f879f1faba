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
from random import Random
from statistics import fmean, stdev

from lynkr_desktop.engine.config.schema import RoutingOptions
from lynkr_desktop.engine.routing.replay import REPLICATES, Candidate, Cut, Log, Task, cuts_of
from lynkr_desktop.protocol.routing import CalibrationReport, CutProposal, Estimate, TierMove
from lynkr_desktop.protocol.tiers import TIERS, Tier

MINIMUM = 100
"""Tasks with a known outcome near a threshold, below which nothing is said about it."""

MINIMUM_SESSIONS = 20
"""Conversations that they come from."""

WEIGHT = 3.0
"""How many times worse too weak a tier is than too strong a one."""

_CONFIDENCE = 0.95


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
    cuts = cuts_of(limits)
    log = Log(cuts)
    for task in tasks:
        if not log.add(task):
            skipped += 1
    log.replicate(Random(seed))
    certain = _quantile_of_greatest(
        [
            [-loss for loss in candidate.losses(weight)]
            for cut in cuts
            for candidate in cut.candidates
            if not _needed(cut)
        ]
    )
    chosen: list[tuple[Cut, Candidate]] = []
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


def parse_weight(text: str) -> float:
    """Reads how many times worse too weak a tier is; raises `ValueError` for what is no sensible number."""
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0.01 <= weight <= 1000:
        raise ValueError("a number from 0.01 to 1000 is needed")
    return weight


# ---------------------------------------------------------------- judging


def _needed(cut: Cut) -> int:
    """How many more outcomes are needed near a threshold, 0 where there are enough."""
    return max(0, MINIMUM - cut.known, MINIMUM_SESSIONS - len(cut.sessions))


def _best(cut: Cut, weight: float, certain: float) -> Candidate | None:
    """The best of the candidates that are better than the threshold as it stands beyond doubt."""
    if _needed(cut):
        return None
    better = (one for one in cut.candidates if one.loss(weight) + certain * stdev(one.losses(weight)) < 0)
    return min(better, key=lambda candidate: candidate.loss(weight), default=None)


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


def _interval(cut: Cut, weight: float) -> tuple[float | None, float | None]:
    """The places that the log cannot tell from the best one; None on a side where it shows no worse one."""
    places = {0: (0.0, [0.0] * REPLICATES)} | {
        one.steps: (one.loss(weight), one.losses(weight)) for one in cut.candidates
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


def _proposal(cut: Cut, best: Candidate | None, weight: float) -> CutProposal:
    needed = _needed(cut)
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


def _why(cut: Cut, best: Candidate | None, needed: int) -> str:
    near = f"near {cut.value:g}"
    if needed:
        tasks = "task" if needed == 1 else "tasks"
        other = "" if cut.known < MINIMUM else " of other conversations"
        return f"{needed} more {tasks}{other} with a known outcome {near} must be seen"
    if best is None:
        if not cut.candidates:
            return f"too few tasks {near} took the other tier or were marked; see routing.experiment.share"
        if all(candidate.steps < 0 for candidate in cut.candidates):
            return f"no lower one is surely better; if {cut.low} can do more, routing.experiment.share shows"
        return "no other value is better beyond doubt"
    if best.evidence == "marks":
        return f"people marked enough of the tasks above it as too high for {cut.low}"
    worse, better = (cut.high, cut.low) if best.steps > 0 else (cut.low, cut.high)
    if best.steps > 0:
        return f"{better} did the tasks between almost as well as {worse}"
    return f"{worse} failed at the tasks between more often than {better}"
