"""How far `lynkr route calibrate` can be trusted, on simulated logs whose best thresholds are known.

    PYTHONPATH=. python benchmarks/calibration.py [--logs 40]

Each scenario draws many logs. A task has a score; how likely a tier is too weak for it rises around the true
thresholds (a normal distribution function of width 0.04). Too weak a tier fails in 70 of 100 cases, others in
5. Beside it stands the plain way: raw failure rates without weights, and the best candidate without asking
whether it is better by chance. Reported over all thresholds: how often each way moved one for the better and
for the worse by true loss, what part of the avoidable loss it avoided, and how often the interval held the
best value.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Sequence
from typing import NamedTuple

from lynkr_desktop.engine.routing.calibration import calibrate
from lynkr_desktop.engine.routing.experiment import draw
from lynkr_desktop.engine.routing.replay import REACH, STEP, Task
from lynkr_desktop.protocol.tiers import TIERS

WIDTH = 0.04
WEIGHT = 3.0
NOW = (0.35, 0.65, 0.85)
LIMITS = tuple(zip(TIERS, (*NOW, 1.0), strict=True))
TOO_WEAK, ENOUGH = 0.7, 0.05


class Scenario(NamedTuple):
    """One kind of log. `shift` moves the best thresholds away from those in force."""

    name: str
    shift: tuple[float, float, float]
    tasks: int = 3_000
    share: float = 0.2
    known: float = 0.6
    per_session: int = 3
    moods: float = 0.0
    """How much the rates of failure differ between sessions."""
    skewed: bool = False
    """The share that was drawn falls with the score, from the whole to a tenth."""


SCENARIOS = (
    Scenario("thresholds are right", (0, 0, 0)),
    Scenario("right, sessions of 10 that differ", (0, 0, 0), per_session=10, moods=0.3),
    Scenario("right, uneven experiment", (0, 0, 0), skewed=True),
    Scenario("right, no experiment", (0, 0, 0), share=0.0),
    Scenario("off by 0.05, 3,000 tasks", (-0.05, 0.05, -0.05)),
    Scenario("off by 0.05, 10,000 tasks", (-0.05, 0.05, -0.05), tasks=10_000),
    Scenario("off by 0.05, 10,000, uneven", (-0.05, 0.05, -0.05), tasks=10_000, skewed=True),
    Scenario("off by 0.05, 10,000, no experiment", (-0.05, 0.05, -0.05), tasks=10_000, share=0.0),
    Scenario("off by 0.08, 10,000 tasks", (0.08, -0.08, 0.08), tasks=10_000),
)


def hardness(scenario: Scenario) -> list[float]:
    """Where tasks begin to need the next tier, so that the best thresholds are NOW + shift."""
    # The weaker tier's failures cost what its savings are worth a little before half of them fail.
    offset = WIDTH * 0.33
    return [value + shift + offset for value, shift in zip(NOW, scenario.shift, strict=True)]


def rate(score: float, rank: int, starts: Sequence[float]) -> float:
    """How often a tier fails at a score."""
    if rank == 3:
        return ENOUGH
    too_weak = 0.5 * (1 + math.erf((score - starts[rank]) / WIDTH / math.sqrt(2)))
    return ENOUGH + (TOO_WEAK - ENOUGH) * too_weak


def loss(score: float, rank: int, starts: Sequence[float]) -> float:
    """What a tier costs at a score: failures by their weight, and one for each tier that is too strong."""
    return WEIGHT * rate(score, rank, starts) + sum(1 - rate(score, lower, starts) for lower in range(rank))


def best_of(cut: int, starts: Sequence[float]) -> float:
    """The best place of a threshold: from there on the stronger tier loses less."""
    scores = (place / 1000 for place in range(1000))
    return next(score for score in scores if loss(score, cut, starts) > loss(score, cut + 1, starts))


def log_of(scenario: Scenario, seed: int, starts: Sequence[float]) -> list[Task]:
    """One simulated log."""
    rng = random.Random(seed)
    mood, log = 0.0, []
    for number in range(scenario.tasks):
        if number % scenario.per_session == 0:
            mood = rng.uniform(-scenario.moods, scenario.moods)
        score, session = rng.random(), f"{seed}-{number // scenario.per_session}"
        share = scenario.share * (1 - 0.9 * score if scenario.skewed else 1)
        drawn = draw(score, LIMITS, share, 0.1, session)
        failed = rng.random() < rate(score, drawn.tier.rank, starts) + mood
        known = rng.random() < scenario.known
        outcome = failed if known else None
        log.append(Task(score, drawn.tier, drawn.propensity, outcome, False, session, None))
    return log


def plain(log: Sequence[Task]) -> list[float]:
    """The best candidates by raw rates, whatever chance may have to do with it."""
    found = []
    for cut, now in enumerate(NOW):

        def gain(steps: int, cut: int = cut, now: float = now) -> float:
            low, high = sorted((now, now + steps * STEP))
            between = [task for task in log if low < task.score <= high]
            failed: list[list[bool]] = [[], []]
            for task in between:
                if task.failed is not None and task.tier.rank in (cut, cut + 1):
                    failed[task.tier.rank - cut].append(task.failed)
            if not failed[0] or not failed[1]:
                return 0.0
            weak, strong = (sum(part) / len(part) for part in failed)
            change = len(between) * (WEIGHT * (weak - strong) - (1 - weak))
            return -change if steps > 0 else change

        steps = max(range(-REACH, REACH + 1), key=gain)
        found.append(round(now + steps * STEP, 2))
    return found


class Tally:
    """What one way of choosing did over all logs of a scenario."""

    def __init__(self) -> None:
        self.better = self.worse = self.cuts = 0
        self.avoided = self.avoidable = 0.0

    def add(self, cut: int, place: float, starts: Sequence[float]) -> None:
        """Judges a threshold by the true loss, in lost points per 1,000 tasks."""
        before, after, least = (
            _lost(cut, value, starts) for value in (NOW[cut], place, best_of(cut, starts))
        )
        self.cuts += 1
        self.better += after < before - 1e-9
        self.worse += after > before + 1e-9
        self.avoided += before - after
        self.avoidable += before - least

    def shown(self) -> str:
        """Thresholds that moved for the better and for the worse, and the part of the loss avoided."""
        part = f"{self.avoided / self.avoidable:6.0%}" if self.avoidable > 0.5 * self.cuts else "     -"
        return f"{self.better / self.cuts:4.0%} | {self.worse / self.cuts:4.0%} | {part}"


def _lost(cut: int, place: float, starts: Sequence[float]) -> float:
    """Lost points per 1,000 tasks around a threshold at `place`."""
    grid = [NOW[cut] - 0.15 + step / 1000 for step in range(301)]
    return sum(loss(score, cut if score <= place else cut + 1, starts) for score in grid)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--logs", type=int, default=40, help="per scenario")
    logs: int = parser.parse_args().logs
    print("| log | better | worse | avoided | plain: better | worse | avoided | interval holds the best |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for scenario in SCENARIOS:
        starts = hardness(scenario)
        best = [best_of(cut, starts) for cut in range(3)]
        ours, raw = Tally(), Tally()
        held = told = 0
        for seed in range(logs):
            log = log_of(scenario, seed, starts)
            report = calibrate(log, LIMITS, weight=WEIGHT)
            for number, (cut, by_raw) in enumerate(zip(report.cuts, plain(log), strict=True)):
                ours.add(number, cut.proposed, starts)
                raw.add(number, by_raw, starts)
                if cut.low is not None or cut.high is not None:
                    told += 1
                    low, high = cut.low or 0.0, cut.high or 1.0
                    held += low - STEP / 2 <= best[number] <= high + STEP / 2
        interval = f"{held / told:.0%} of {told}" if told else "-"
        print(f"| {scenario.name} | {ours.shown()} | {raw.shown()} | {interval} |", flush=True)
    scenario = SCENARIOS[0]._replace(tasks=100_000)
    log = log_of(scenario, 0, hardness(scenario))
    began = time.perf_counter()
    calibrate(log, LIMITS)
    print(f"\n100,000 tasks take {time.perf_counter() - began:.1f} s.")


if __name__ == "__main__":
    main()
