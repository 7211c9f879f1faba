"""Circuit breakers, against a reference that keeps every call."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.config.resilience import CircuitBreakerOptions
from lynkr_desktop.engine.resilience.breaker import Breaker, Breakers, outcome_of
from lynkr_desktop.engine.resilience.window import BUCKETS, STEP, Window
from lynkr_desktop.engine.wire.errors import InvalidRequest, Unsupported, WireError
from lynkr_desktop.protocol.breakers import BreakerStatus

OPTIONS = CircuitBreakerOptions(min_calls=20)
SMALL = CircuitBreakerOptions(threshold=0.5, min_calls=4, window=12.0, probe_interval=5.0, slow_call=2.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def breaker(options: CircuitBreakerOptions = OPTIONS) -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(options, clock, name="openai/gpt", wall=lambda: 1_700_000_000.0), clock


def fail(tested: Breaker, times: int) -> None:
    for _ in range(times):
        assert tested.refusal() is None
        tested.done("bad", why="openai answered 503: busy")


def test_it_opens_at_the_threshold_and_not_before() -> None:
    tested, _ = breaker()
    for _ in range(3):
        tested.done("good", 0.1)
    fail(tested, 16)
    assert str(tested.state) == "closed", "19 calls are too few"
    tested.done("bad", why="openai answered 503: busy")
    assert str(tested.state) == "open", "17 of 20 are 85 %"
    assert tested.refusal() == pytest.approx(30.0)
    assert tested.status.reason == (
        "17 of 20 requests within 60 s failed. The last one: openai answered 503: busy."
    )
    assert tested.status.next_probe == 1_700_000_030.0


def test_failures_among_good_calls_leave_it_closed() -> None:
    tested, clock = breaker()
    for number in range(2000):
        clock.now += 0.01
        tested.done("bad" if number % 5 < 4 else "good", 0.1)
        assert tested.refusal() is None


def test_a_good_probe_closes_it_with_an_empty_window() -> None:
    tested, clock = breaker()
    fail(tested, 20)
    clock.now += 30.0
    assert tested.retry_in() is None
    assert str(tested.state) == "open", "looking changes nothing"
    assert tested.refusal() is None
    assert str(tested.state) == "half_open"
    assert tested.refusal() is not None, "one probe at a time"
    tested.done("good", 0.2, turn=tested.turn)
    assert (tested.state, tested.status.calls, tested.status.reason) == ("closed", 0, "")
    fail(tested, 19)
    assert str(tested.state) == "closed"


def test_a_bad_probe_opens_it_again_for_the_whole_interval() -> None:
    tested, clock = breaker()
    fail(tested, 20)
    clock.now += 45.0
    assert tested.refusal() is None
    tested.done("bad", turn=tested.turn, why="still busy")
    assert tested.refusal() == pytest.approx(30.0)
    assert tested.status.reason == "The probe failed: still busy."
    assert tested.opened == 2


def test_an_abandoned_probe_lets_the_next_call_try() -> None:
    tested, clock = breaker()
    fail(tested, 20)
    clock.now += 30.0
    assert tested.refusal() is None
    first = tested.turn
    tested.done("abandoned", turn=first)
    assert str(tested.state) == "half_open"
    assert tested.refusal() is None
    second = tested.turn
    tested.done("bad", turn=first)
    assert str(tested.state) == "half_open", "what the abandoned one still says is too late"
    tested.done("good", 0.1, turn=second)
    assert str(tested.state) == "closed"


def test_calls_of_before_do_not_speak_for_the_probe() -> None:
    tested, clock = breaker()
    assert tested.refusal() is None
    early = tested.turn
    fail(tested, 20)
    tested.done("good", 0.1, turn=early)
    assert str(tested.state) == "open"
    clock.now += 30.0
    assert tested.refusal() is None
    tested.done("good", 0.1, turn=early)
    tested.done("bad", turn=early)
    assert str(tested.state) == "half_open"


def test_a_probe_that_streams_closes_it_at_its_first_content() -> None:
    tested, clock = breaker()
    fail(tested, 20)
    clock.now += 30.0
    assert tested.refusal() is None
    turn = tested.began(0.4, tested.turn)
    assert str(tested.state) == "closed"
    assert tested.refusal() is None
    tested.done("bad", 0.4, turn=turn, why="the stream broke")
    assert (tested.state, tested.status.calls, tested.status.bad) == ("closed", 1, 1)


def test_slow_calls_open_it_unless_the_model_is_on_this_machine() -> None:
    tested, _ = breaker()
    for _ in range(20):
        tested.done("good", 61.0)
    assert str(tested.state) == "open"
    assert tested.status.reason == "20 of 20 requests within 60 s waited more than 60 s for a first token."
    patient, _ = breaker()
    patient.patient = True
    for _ in range(100):
        patient.done("good", 200.0)
    assert patient.state == "closed"


def test_clients_that_give_up_on_a_slow_model_count() -> None:
    tested, _ = breaker()
    for _ in range(19):
        tested.done("abandoned", 61.0)
        tested.done("abandoned", 5.0)
    assert (tested.state, tested.status.calls) == ("closed", 19)
    tested.done("abandoned", 61.0)
    assert str(tested.state) == "open"


def test_a_slow_probe_is_a_bad_one() -> None:
    tested, clock = breaker()
    fail(tested, 20)
    clock.now += 30.0
    assert tested.refusal() is None
    turn = tested.began(90.0, tested.turn)
    tested.done("good", 90.0, turn=turn)
    assert (tested.state, tested.reason) == ("open", "The probe's first token took 90 s.")


def test_old_failures_are_forgotten() -> None:
    tested, clock = breaker()
    fail(tested, 19)
    clock.now += 66.0
    fail(tested, 1)
    assert (tested.state, tested.status.calls) == ("closed", 1)


def test_a_jump_of_the_wall_clock_changes_nothing() -> None:
    clock = Clock()
    wall = Clock()
    tested = Breaker(SMALL, clock, wall=wall)
    fail(tested, 4)
    wall.now += 86_400 * 365
    assert tested.refusal() == pytest.approx(5.0)
    wall.now = 0.0
    clock.now += 5.0
    assert tested.refusal() is None


class Reference:
    """The same by the book: every call is kept, every figure counted anew."""

    def __init__(self, options: CircuitBreakerOptions) -> None:
        self.options = options
        self.state = "closed"
        self.calls: list[tuple[float, bool, bool]] = []
        self.until = 0.0
        self.probe = False

    def may_go(self, now: float) -> bool:
        if self.state == "closed":
            return True
        if self.state == "open" and now < self.until:
            return False
        if self.state == "half_open" and self.probe:
            return False
        self.state, self.probe = "half_open", True
        return True

    def done(self, now: float, outcome: str, seconds: float | None) -> None:
        slow = seconds is not None and seconds > self.options.slow_call
        if self.state == "half_open":
            self.probe = False
            if outcome == "bad" or (outcome == "good" and slow):
                self.open(now)
            elif outcome == "good":
                self.state, self.calls = "closed", []
            return
        if outcome == "abandoned" and not slow:
            return
        self.calls.append((now, outcome == "bad", slow))
        width = self.options.window / BUCKETS
        kept = [call for call in self.calls if call[0] // width > now // width - BUCKETS]
        bad, slow_ones = sum(call[1] for call in kept), sum(call[2] for call in kept)
        least = self.options.threshold * len(kept)
        if len(kept) >= self.options.min_calls and (bad >= least or slow_ones >= least):
            self.open(now)

    def open(self, now: float) -> None:
        self.state, self.until = "open", now + self.options.probe_interval


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.9, 1.0, 3.0, 5.0, 13.0]),
        st.sampled_from(["ask", "good", "good", "bad", "bad", "bad", "abandoned"]),
        st.sampled_from([None, 0.1, 2.0, 2.5]),
        st.integers(0, 5),
    ),
    max_size=80,
)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_it_does_as_the_reference_does(steps: list[tuple[float, str, float | None, int]]) -> None:
    """Calls overlap: each step lets time pass, then one call goes out, or one of those that are out ends."""
    tested, clock = breaker(SMALL)
    book = Reference(SMALL)
    out: list[tuple[int, int]] = []
    era = 0
    """Which calls the reference hears of: those that went out since its state last changed."""
    for passed, what, seconds, which in steps:
        clock.now += passed
        if what == "ask" or not out:
            before = book.state
            may = book.may_go(clock.now)
            assert (tested.refusal() is None) == may
            if may:
                era += before != "closed"
                out.append((era, tested.turn))
        else:
            began, turn = out.pop(which % len(out))
            tested.done(what, seconds, turn=turn)  # type: ignore[arg-type]
            if began == era and book.state != "open":
                before = book.state
                book.done(clock.now, what, seconds)
                era += book.state != before or before == "half_open"
        assert str(tested.state) == book.state
        assert not (tested.state != "closed" and (wait := tested.retry_in()) is not None and wait <= 0)


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0.002, 500)), min_size=1, max_size=200))
def test_percentiles_are_those_of_the_window(calls: list[tuple[float, float]]) -> None:
    window, now = Window(60.0), 0.0
    kept: list[tuple[float, float]] = []
    for passed, seconds in calls:
        now += passed
        window.add(now, bad=False, slow=False, seconds=seconds)
        kept.append((now, seconds))
    true = sorted(seconds for at, seconds in kept if at // 5 > now // 5 - BUCKETS)
    found = window.percentile(0.95)
    assert found is not None
    exact = true[math.ceil(0.95 * len(true)) - 1]
    assert exact / STEP < found < exact * STEP
    assert window.calls == len(true)


def test_a_window_stays_small() -> None:
    window = Window(60.0)
    for number in range(100_000):
        window.add(number * 0.01, bad=number % 2 == 0, slow=False, seconds=(number % 977) * 0.3)
    assert len(window._buckets) <= BUCKETS
    assert all(len(bucket.times) < 400 for bucket in window._buckets)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (WireError("", status=429), "bad"),
        (WireError("", status=408), "bad"),
        (WireError("", status=500), "bad"),
        (WireError("", status=529), "bad"),
        (WireError("", status=401), "bad"),
        (WireError("", status=402), "bad"),
        (WireError("", status=400), "good"),
        (WireError("", status=404), "good"),
        (InvalidRequest("no"), "good"),
        (Unsupported("cannot", "tools"), "abandoned"),
    ],
)
def test_what_an_error_says_of_its_upstream(error: WireError, outcome: str) -> None:
    assert outcome_of(error) == outcome


def test_a_clients_own_bad_key_is_not_the_providers_fault() -> None:
    assert outcome_of(WireError("", status=401), own_key=True) == "abandoned"


def breakers(options: CircuitBreakerOptions = SMALL) -> tuple[Breakers, Clock]:
    clock = Clock()
    made = Breakers(clock, lambda: 1_700_000_000.0)
    made.take(options)
    return made, clock


def test_changes_are_told_with_their_names() -> None:
    made, clock = breakers()
    told: list[BreakerStatus] = []
    made.on_change = told.append
    fail(made.of("a/m"), 4)
    clock.now += 5.0
    made.of("a/m").refusal()
    made.of("a/m").done("good", 0.1)
    assert [(status.name, status.state) for status in told] == [
        ("a/m", "open"),
        ("a/m", "half_open"),
        ("a/m", "closed"),
    ]


def test_names_of_clients_do_not_pile_up_and_open_ones_stay() -> None:
    made, _ = breakers()
    fail(made.of("a/broken"), 4)
    for number in range(5000):
        made.of(f"a/{number}").done("good", 0.1)
    assert len(made.statuses()) == 256
    assert [status.name for status in made.troubled()] == ["a/broken"]
    assert made.find("a/4999") is not None
    assert made.find("a/0") is None


def test_they_are_bounded_even_where_all_are_open() -> None:
    made, _ = breakers()
    for number in range(300):
        fail(made.of(f"a/{number}"), 4)
    assert len(made.statuses()) == 256


def test_a_person_closes_one_or_all() -> None:
    made, _ = breakers()
    for name in ("a/x", "a/y", "b#2/z/with/slashes"):
        fail(made.of(name), 4)
    assert [status.name for status in made.reset("b#2/z/with/slashes")] == ["b#2/z/with/slashes"]
    assert [status.name for status in made.troubled()] == ["a/x", "a/y"]
    made.reset_provider("b")
    assert len(made.reset()) == 2
    assert made.troubled() == ()
    with pytest.raises(KeyError):
        made.reset("nobody/x")


def test_other_options_take_effect_at_once() -> None:
    made, clock = breakers()
    fail(made.of("a/x"), 3)
    made.take(SMALL.model_copy(update={"min_calls": 2}))
    fail(made.of("a/x"), 1)
    assert made.retry_in("a/x") == pytest.approx(5.0)
    made.take(OPTIONS)
    assert made.of("a/x").state == "open", "a reload closes nothing"
    clock.now += 5.0
    assert made.retry_in("a/x") is None


def test_a_slow_model_is_put_behind_until_the_window_has_moved_on() -> None:
    made, clock = breakers(OPTIONS)
    for _ in range(10):
        made.of("openai#2/gpt").done("good", 4.0)
    assert not made.slow("openai#2/gpt"), "off by default"
    made.take(OPTIONS, limit=3.0)
    assert made.slow("openai#2/gpt")
    assert not made.slow("never/asked")
    made.take(OPTIONS, limit=3.0, limits={"openai": 5.0})
    assert not made.slow("openai#2/gpt"), "the provider's own limit"
    made.take(OPTIONS, limits={"openai": 3.0})
    assert made.slow("openai#2/gpt")
    clock.now += 66.0
    assert not made.slow("openai#2/gpt")
