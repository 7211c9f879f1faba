"""Calibration on logs of known truth: it finds the true thresholds, and claims no more than it knows."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.routing.calibration import MINIMUM, calibrate
from lynkr_desktop.engine.routing.experiment import draw
from lynkr_desktop.engine.routing.replay import Task
from lynkr_desktop.protocol.routing import CalibrationReport, TierMove
from lynkr_desktop.protocol.tiers import TIERS, Tier

Cuts = tuple[float, float, float]
NOW: Cuts = (0.35, 0.65, 0.85)
PRICE = dict(zip(TIERS, (0.0, 0.01, 0.05, 0.2), strict=True))


def limits(cuts: Sequence[float]) -> tuple[tuple[Tier, float], ...]:
    return tuple(zip(TIERS, (*cuts, 1.0), strict=True))


def tier_of(score: float, cuts: Sequence[float]) -> Tier:
    return next(tier for tier, limit in limits(cuts) if score <= limit)


def simulated(
    tasks: int,
    truth: Cuts,
    *,
    now: Cuts = NOW,
    share: float = 0.2,
    margin: float = 0.1,
    seed: int = 0,
    noise: float = 0.0,
    marked: float = 0.0,
    known: float = 0.7,
) -> list[Task]:
    """A log of tasks that fail in 70 of 100 cases at too weak a tier, and in 5 at others; three a session."""
    rng = random.Random(seed)
    log = []
    for number in range(tasks):
        score, session = rng.random(), f"{seed}-{number // 3}"
        drawn = draw(score, limits(now), share, margin, session)
        needed = tier_of(min(1.0, max(0.0, score + rng.gauss(0, noise))), truth)
        failed = rng.random() < (0.7 if drawn.tier.rank < needed.rank else 0.05)
        over = drawn.tier.rank > needed.rank and rng.random() < marked
        failed_known = (failed and not over) if over or rng.random() < known else None
        log.append(Task(score, drawn.tier, drawn.propensity, failed_known, over, session, PRICE[drawn.tier]))
    return log


def proposed(report: CalibrationReport) -> Cuts:
    first, second, third = (cut.proposed for cut in report.cuts)
    return first, second, third


@pytest.mark.parametrize("truth", [(0.30, 0.70, 0.85), (0.42, 0.65, 0.80), (0.35, 0.58, 0.90)])
def test_the_true_thresholds_are_found(truth: Cuts) -> None:
    report = calibrate(simulated(20_000, truth), limits(NOW))
    assert proposed(report) == pytest.approx(truth, abs=0.011)
    for cut, true in zip(report.cuts, truth, strict=True):
        assert cut.low is not None
        assert cut.high is not None
        assert cut.low - 0.001 <= true <= cut.high + 0.001
    assert report.patch == {
        f"routing.tiers.{cut.tier}.max_complexity": cut.proposed
        for cut in report.cuts
        if cut.proposed != cut.current
    }


def test_thresholds_that_are_far_away_are_reached_in_steps() -> None:
    truth, now = (0.18, 0.5, 0.92), NOW
    for step in range(4):
        now = proposed(calibrate(simulated(12_000, truth, now=now, seed=step), limits(now)))
    assert now == pytest.approx(truth, abs=0.011)


def test_true_thresholds_are_left_alone() -> None:
    for seed in range(6):
        report = calibrate(simulated(4_000, NOW, share=0.3, seed=seed), limits(NOW))
        assert proposed(report) == NOW
        assert report.patch == {}
        assert (report.moves, report.under, report.over, report.cost) == ((), None, None, None)


def test_the_replay_says_what_would_change_and_its_interval_covers_it() -> None:
    truth: Cuts = (0.30, 0.65, 0.85)
    covered = 0
    for seed in range(10):
        log = simulated(4_000, truth, share=0.3, seed=100 + seed)
        report = calibrate(log, limits(NOW), seed=seed)
        cut = report.cuts[0]
        assert report.under is not None
        between = sum(cut.proposed < task.score <= 0.35 for task in log)
        assert report.moves[0] == TierMove(source=Tier.SIMPLE, target=Tier.MEDIUM, tasks=between)
        # In truth 65 of 100 more tasks fail at the weaker tier between 0.30 and 0.35, and none below.
        change = -0.65 * (0.35 - max(0.30, cut.proposed))
        covered += len(report.moves) > 1 or report.under.low <= change <= report.under.high
        assert report.under.low <= report.under.value <= report.under.high < 0
        assert report.cost is not None
        assert report.cost == pytest.approx(0.01 * between, abs=0.3)
    assert covered >= 8, "of ten intervals of 95 percent"


def test_the_interval_of_a_threshold_covers_the_best_one() -> None:
    covered = total = 0
    for seed in range(8):
        report = calibrate(simulated(3_000, (0.33, 0.66, 0.85), share=0.3, seed=seed), limits(NOW))
        for cut, true in zip(report.cuts, (0.33, 0.66, 0.85), strict=True):
            if cut.low is not None and cut.high is not None:
                total += 1
                covered += cut.low - 0.001 <= true <= cut.high + 0.001
    assert total >= 20
    assert covered >= 0.9 * total


def test_too_little_data_proposes_nothing_and_says_how_much_is_missing() -> None:
    few = simulated(300, (0.25, 0.65, 0.85), share=0.5)
    report = calibrate(few, limits(NOW))
    assert report.patch == {}
    for cut in report.cuts:
        assert 0 < cut.needed < MINIMUM
        assert cut.needed == MINIMUM - cut.outcomes
        assert str(cut.needed) in cut.why
        assert (cut.low, cut.high) == (None, None)
    empty = calibrate([], limits(NOW))
    assert [cut.needed for cut in empty.cuts] == [MINIMUM] * 3
    assert (empty.tasks, empty.known, empty.patch) == (0, 0, {})


def test_many_tasks_of_few_conversations_are_not_enough() -> None:
    log = [
        task._replace(key=f"session {number % 5}")
        for number, task in enumerate(simulated(5_000, (0.3, 0.7, 0.85)))
    ]
    report = calibrate(log, limits(NOW))
    assert report.patch == {}
    assert [cut.needed for cut in report.cuts] == [15, 15, 15]


def test_tasks_without_an_outcome_count_for_nothing() -> None:
    report = calibrate(simulated(5_000, (0.25, 0.7, 0.85), known=0.0), limits(NOW))
    assert (report.tasks, report.known, report.patch) == (5_000, 0, {})


def skewed(tasks: int, seed: int, easy: float, hard: float) -> list[Task]:
    """The experiment asked seldom where tasks are hard, and often where they are easy.

    Half are hard. The weaker tier fails at nine of ten of these, and at one of ten of the others; the
    stronger one at one of twenty. `easy` and `hard` are their scores, above 0.35.
    """
    rng = random.Random(seed)
    log = []
    for number in range(tasks):
        is_hard = rng.random() < 0.5
        share = 0.05 if is_hard else 0.5
        low = rng.random() < share
        failed = rng.random() < ((0.9 if is_hard else 0.1) if low else 0.05)
        tier, propensity = (Tier.SIMPLE, share) if low else (Tier.MEDIUM, 1 - share)
        score = hard if is_hard else easy
        log.append(Task(score, tier, propensity, failed, False, f"{seed}-{number}", None))
    return log


def test_weights_take_the_bias_out_of_a_skewed_experiment() -> None:
    log = skewed(20_000, 1, easy=0.37, hard=0.39)
    failed = [task.failed for task in log if task.tier is Tier.SIMPLE]
    assert sum(map(bool, failed)) / len(failed) < 0.2, "as it looks without weights; in truth it is 0.5"
    # To give the hard ones to the weaker tier too is wrong: 85 of 100 more would fail there, and 10 of 100
    # are served as well. Without weights they look almost as easy as the others.
    assert 0.37 <= calibrate(log, limits(NOW)).cuts[0].proposed < 0.39
    changes = []
    for seed in range(12):
        log = skewed(2_000, seed, easy=0.362, hard=0.368)
        report = calibrate(log, limits(NOW), weight=0.1)
        assert report.under is not None
        changes.append(report.under.value)
    # Half of all tasks fail at the weaker tier, 5 of 100 at the stronger one.
    assert sum(changes) / len(changes) == pytest.approx(0.5 - 0.05, abs=0.025)
    blind = calibrate([task._replace(propensity=0.5) for task in log], limits(NOW), weight=0.1)
    assert blind.under is not None
    assert blind.under.value < 0.2


def test_without_an_experiment_only_what_is_known_is_proposed() -> None:
    """Failures below a threshold speak for lowering it; only a person's marks speak for raising it."""
    log = simulated(10_000, (0.30, 0.72, 0.85), share=0.0)
    report = calibrate(log, limits(NOW))
    assert report.cuts[0].proposed == pytest.approx(0.30, abs=0.011)
    assert report.cuts[1].proposed == 0.65
    assert report.cuts[1].compared == 0
    assert report.cuts[1].high is None
    marked = simulated(10_000, (0.35, 0.72, 0.85), share=0.0, marked=0.95)
    report = calibrate(marked, limits(NOW))
    assert report.cuts[1].proposed == pytest.approx(0.72, abs=0.011)
    assert "marked" in report.cuts[1].why
    assert report.cuts[0].proposed == 0.35


def test_what_counts_as_worse_moves_the_proposal() -> None:
    """The weaker tier fails more and more often between 0.25 and 0.45."""
    rng = random.Random(5)
    log = []
    for number in range(30_000):
        score = rng.uniform(0.25, 0.45)
        drawn = draw(score, limits(NOW), 0.5, 0.1, str(number))
        rate = (score - 0.25) / 0.2 if drawn.tier is Tier.SIMPLE else 0.0
        log.append(Task(score, drawn.tier, drawn.propensity, rng.random() < rate, False, str(number), 0.0))
    # The best place is where weight * rate = 1 - rate.
    for weight, best in ((1.0, 0.35), (3.0, 0.30), (9.0, 0.27)):
        assert calibrate(log, limits(NOW), weight=weight).cuts[0].proposed == pytest.approx(best, abs=0.021)


def test_impossible_figures_are_counted_and_left_out() -> None:
    good = simulated(3_000, (0.30, 0.65, 0.85), share=0.3)
    bad = [
        good[0]._replace(score=float("nan")),
        good[0]._replace(score=1.5),
        good[0]._replace(score=-0.1),
        good[0]._replace(propensity=0.0),
        good[0]._replace(propensity=2.0),
        good[0]._replace(propensity=float("nan")),
    ]
    report = calibrate([*bad, *good], limits(NOW), skipped=2)
    assert report.skipped == 8
    assert report.cuts == calibrate(good, limits(NOW)).cuts


def test_it_is_deterministic_and_quick() -> None:
    log = simulated(100_000, (0.30, 0.70, 0.85))
    began = time.process_time()
    report = calibrate(log, limits(NOW))
    assert time.process_time() - began < 10
    assert report == calibrate(log, limits(NOW))


def test_other_numbers_of_tiers() -> None:
    two = ((Tier.SIMPLE, 0.5), (Tier.REASONING, 1.0))
    rng = random.Random(1)
    log = []
    for number in range(5_000):
        score = rng.random()
        drawn = draw(score, two, 0.3, 0.1, str(number))
        failed = rng.random() < (0.8 if score > 0.44 and drawn.tier is Tier.SIMPLE else 0.05)
        log.append(Task(score, drawn.tier, drawn.propensity, failed, False, str(number), None))
    report = calibrate(log, two)
    assert report.patch == {"routing.tiers.simple.max_complexity": pytest.approx(0.44, abs=0.011)}
    assert report.cost is None, "no price is known"
    assert calibrate(log, two[:1]).cuts == ()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sets(st.integers(1, 99), min_size=3, max_size=3).map(sorted),
    st.integers(0, 10**6),
    st.floats(0.1, 10),
)
def test_proposals_rise_whatever_the_log_says(places: list[int], seed: int, weight: float) -> None:
    cuts = [place / 100 for place in places]
    rng = random.Random(seed)
    rates = {tier: rng.random() for tier in TIERS}
    log = []
    for number in range(1_200):
        score = min(1.0, max(0.0, rng.choice(cuts) + rng.uniform(-0.12, 0.12)))
        drawn = draw(score, limits(cuts), 0.5, 0.2, f"{seed} {number}")
        log.append(
            Task(
                score,
                drawn.tier,
                drawn.propensity,
                rng.random() < rates[drawn.tier],
                False,
                str(number),
                None,
            )
        )
    report = calibrate(log, limits(cuts), weight=weight)
    values = [0.0, *(cut.proposed for cut in report.cuts), 1.0]
    assert all(low < high for low, high in pairwise(values))
    assert all(abs(cut.proposed - cut.current) < 0.1001 for cut in report.cuts)
    for cut in report.cuts:
        assert cut.low is None or cut.low <= cut.proposed or cut.proposed == cut.current
