"""Pauses between the attempts of one request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.config.resilience import RetryOptions
from lynkr_desktop.engine.resilience.retry import Backoff, retryable
from lynkr_desktop.engine.wire.errors import Unsupported, WireError

BUSY = WireError("busy", status=503)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_may_pass_is_repeated(status: int) -> None:
    assert retryable(WireError("", status=status))


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422, 501, 504])
def test_what_stays_is_not(status: int) -> None:
    assert not retryable(WireError("", status=status))


def test_what_only_another_model_can_do_is_not_repeated() -> None:
    assert not retryable(Unsupported("cannot", "tools"))
    assert not retryable(WireError("spent", status=429, kind="budget"))


def test_pauses_double_up_to_the_longest() -> None:
    options = RetryOptions(attempts=8, base=0.25, most=2.0, max_wait=100)
    tested = Backoff(options, lambda: 1.0)
    assert [tested.pause(BUSY) for _ in range(8)] == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0, None]


def test_by_default_a_model_is_asked_three_times() -> None:
    tested = Backoff(RetryOptions())
    assert [tested.pause(BUSY) is not None for _ in range(3)] == [True, True, False]
    assert tested.repeated == 2


def test_attempts_of_one_never_repeat() -> None:
    assert Backoff(RetryOptions(attempts=1)).pause(BUSY) is None


def test_a_retry_after_within_the_wait_is_kept_and_one_beyond_ends_it() -> None:
    def throttled(seconds: float) -> WireError:
        return WireError("slow down", status=429, retry_after=seconds)

    options = RetryOptions(most=4.0, max_wait=8.0)
    tested = Backoff(options, lambda: 0.5)
    assert tested.pause(throttled(6.0)) == pytest.approx(6.125), "more than `most`, since it was asked for"
    assert tested.pause(throttled(2.0)) is None
    assert Backoff(options).pause(throttled(8.5)) is None
    assert Backoff(options, lambda: 0.99).pause(throttled(8.0)) == 8.0


@given(
    st.builds(
        RetryOptions,
        attempts=st.integers(1, 10),
        base=st.floats(0.001, 60),
        most=st.floats(0.001, 600),
        max_wait=st.floats(0, 600),
    ),
    st.lists(st.tuples(st.none() | st.floats(0, 100), st.floats(0, 1)), min_size=12, max_size=12),
)
def test_the_pauses_of_a_request_are_bounded(
    options: RetryOptions, failures: list[tuple[float | None, float]]
) -> None:
    draws = iter([draw for _, draw in failures])
    tested = Backoff(options, lambda: next(draws))
    total = 0.0
    for number, (asked, _) in enumerate(failures):
        pause = tested.pause(WireError("", status=503, retry_after=asked))
        if pause is None:
            break
        assert number + 1 < options.attempts
        assert pause >= (asked or 0.0)
        assert pause <= (asked or 0.0) + options.most
        total += pause
        assert total <= options.max_wait + 1e-6
    else:
        raise AssertionError("it never ended")
