"""Lanes: who may go, who waits, in which order, and that no place is ever lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.resilience.lanes import (
    HEAD_START,
    PRIORITIES,
    Lane,
    LaneLimits,
    Lanes,
    Priority,
    QueueLimits,
)
from lynkr_desktop.engine.resilience.learned import Bucket
from lynkr_desktop.engine.wire.errors import WireError
from tests.support.virtual_time import run_virtually


def virtually(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Lets an async test run in virtual time."""

    def run() -> None:
        run_virtually(test())  # type: ignore[arg-type]

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def lane(limits: LaneLimits = LaneLimits(), queue: QueueLimits = QueueLimits()) -> Lane:  # noqa: B008
    return Lane("openai", limits, queue, clock=asyncio.get_running_loop().time)


def now() -> float:
    return asyncio.get_running_loop().time()


async def settle() -> None:
    """Lets every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


@virtually
async def test_without_limits_everybody_enters_at_once() -> None:
    free = lane()
    assert all(free.try_enter() for _ in range(1000))
    assert free.expected_wait() == 0
    for _ in range(1000):
        free.leave()
    assert free.in_flight == 0


@virtually
async def test_the_urgent_go_first_and_then_those_who_came_first() -> None:
    one = lane(LaneLimits(max_concurrent=1))
    assert one.try_enter()
    order: list[str] = []

    async def ask(name: str, priority: Priority) -> None:
        await one.enter(priority)
        order.append(name)
        await asyncio.sleep(0.1)
        one.leave()

    asked: list[tuple[str, Priority]] = [
        ("low 1", "low"),
        ("normal 1", "normal"),
        ("high 1", "high"),
        ("low 2", "low"),
        ("high 2", "high"),
        ("normal 2", "normal"),
    ]
    tasks = [asyncio.create_task(ask(name, priority)) for name, priority in asked]
    await settle()
    assert one.waiting == 6
    assert one.expected_wait() > 0
    assert not one.try_enter()
    one.leave()
    await asyncio.gather(*tasks)
    assert order == ["high 1", "high 2", "normal 1", "normal 2", "low 1", "low 2"]
    assert (one.in_flight, one.waiting) == (0, 0)


@virtually
async def test_no_request_of_low_priority_starves() -> None:
    one = lane(LaneLimits(max_concurrent=1), QueueLimits(max_wait=600))
    assert one.try_enter()
    waited: list[float] = []

    async def patient() -> None:
        began = now()
        await one.enter("low")
        waited.append(now() - began)
        one.leave()

    async def urgent() -> None:
        await one.enter("high")
        await asyncio.sleep(1)
        one.leave()

    task = asyncio.create_task(patient())
    await settle()
    crowd = []
    for _ in range(120):
        # As many as the one place can serve, all of them urgent.
        crowd.append(asyncio.create_task(urgent()))
        await asyncio.sleep(1)
        if one.in_flight and not waited and len(crowd) == 1:
            one.leave()
    await task
    assert waited[0] <= HEAD_START["low"] + 5
    await asyncio.gather(*crowd)


@virtually
async def test_a_full_queue_refuses_and_says_why() -> None:
    one = lane(LaneLimits(max_concurrent=1), QueueLimits(max_waiting=2))
    assert one.try_enter()
    tasks = [asyncio.create_task(one.enter()) for _ in range(2)]
    await settle()
    with pytest.raises(WireError, match=r"2 requests waiting.*resilience\.queue\.max_waiting") as refused:
        await one.enter()
    assert (refused.value.status, refused.value.kind) == (429, "rate_limit")
    assert refused.value.retry_after is not None
    for _ in range(3):
        one.leave()
        await settle()
    await asyncio.gather(*tasks)
    assert one.in_flight == 0


@virtually
async def test_who_waited_long_enough_is_told_so_and_takes_no_place() -> None:
    one = lane(LaneLimits(max_concurrent=1), QueueLimits(max_wait=60))
    assert one.try_enter()
    # That it is full is known before anything has left it.
    assert one.expected_wait() > 0
    began = now()
    with pytest.raises(WireError, match=r"busy for 60 s.*resilience\.queue\.max_wait"):
        await one.enter()
    assert now() - began == pytest.approx(60, abs=0.01)
    assert one.waiting == 0
    one.leave()
    assert one.try_enter()


@virtually
async def test_a_wait_that_is_known_to_be_too_long_is_refused_at_once() -> None:
    one = lane()
    assert one.try_enter()
    one.learn(429, {"retry-after": "90"})
    one.learn(429, {"retry-after": "90"})
    one.leave()
    began = now()
    with pytest.raises(WireError, match=r"next 90 s.*asked for a pause") as refused:
        await one.enter(max_wait=30)
    assert now() == began
    assert refused.value.retry_after == pytest.approx(90, abs=0.1)
    await one.enter(max_wait=100)
    assert now() - began == pytest.approx(90, abs=0.1)


@virtually
async def test_those_in_the_queue_learn_at_once_of_a_pause_beyond_their_patience() -> None:
    one = lane(LaneLimits(max_concurrent=1), QueueLimits(max_wait=20))
    assert one.try_enter()
    waiting = asyncio.create_task(one.enter())
    await settle()
    one.learn(429, {}, retry_after=300)
    one.learn(429, {}, retry_after=300)
    began = now()
    with pytest.raises(WireError, match="takes no requests"):
        await waiting
    assert now() == began


@virtually
async def test_a_model_that_is_limited_holds_up_no_other() -> None:
    one = lane()
    assert one.try_enter("opus")
    one.learn(429, {"retry-after": "3"}, model="opus")
    one.leave()
    assert not one.try_enter("opus")
    assert one.try_enter("haiku")
    waiting = asyncio.create_task(one.enter(model="opus"))
    await settle()
    began = now()
    await one.enter(model="haiku")
    assert now() == began
    await waiting
    assert now() - began == pytest.approx(3, abs=0.1)
    assert one.status().limited_until is None


@virtually
async def test_a_first_long_pause_is_tried_after_a_moment_and_a_second_one_is_kept() -> None:
    one = lane()
    for pause, believed in ((600.0, 5), (600.0, 600), (2.0, 2)):
        began = now()
        await one.enter(max_wait=3600)
        one.learn(429, {}, retry_after=pause)
        one.leave()
        await one.enter(max_wait=3600)
        assert now() - began == pytest.approx(believed, abs=0.2)
        one.leave()


@virtually
async def test_no_minute_sees_more_than_its_rate() -> None:
    one = lane(LaneLimits(requests_per_minute=30), QueueLimits(max_waiting=1000, max_wait=3600))
    went: list[float] = []

    async def ask() -> None:
        await one.enter()
        went.append(now())
        one.leave()

    await asyncio.gather(*(ask() for _ in range(150)))
    assert max(sum(1 for at in went if start <= at < start + 60) for start in went) <= 30
    assert went[-1] - went[0] < 150 / 27 * 60 + 5


@virtually
async def test_what_is_left_at_the_endpoint_is_counted_down() -> None:
    one = lane(queue=QueueLimits(max_waiting=100))
    assert one.try_enter()
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "57s",
    }
    one.learn(200, headers)
    one.leave()
    assert [one.try_enter() for _ in range(4)] == [True, True, True, False]
    assert 0 < one.expected_wait() <= 1
    began = now()
    await one.enter()
    assert now() - began == pytest.approx(1, abs=0.1)


@virtually
async def test_after_a_pause_not_all_go_at_once() -> None:
    one = lane()
    assert one.try_enter()
    one.learn(429, {"retry-after": "10"})
    one.leave()
    went: list[float] = []

    async def ask() -> None:
        await one.enter()
        went.append(now())

    await asyncio.gather(*(ask() for _ in range(10)))
    assert all(b - a >= 0.099 for a, b in pairwise(went))
    assert went[-1] - went[0] < 2


@virtually
async def test_refusals_without_a_time_halve_the_number_at_once_and_successes_raise_it() -> None:
    one = lane(queue=QueueLimits(max_waiting=100))
    for _ in range(16):
        assert one.try_enter()
    one.learn(429, {})
    assert one.status().max_concurrent == 8
    for _ in range(9):
        one.learn(429, {})
    # Of sixteen, six were not refused.
    assert one.status().max_concurrent == 6
    for _ in range(16):
        one.leave()
    assert [one.try_enter() for _ in range(7)] == [True] * 6 + [False]
    for _ in range(6):
        one.learn(200, {})
    assert one.status().max_concurrent == 7


@virtually
async def test_a_learned_number_is_forgotten_although_its_places_are_taken() -> None:
    one = lane(queue=QueueLimits(max_wait=300))
    for _ in range(2):
        assert one.try_enter()
    one.learn(429, {})
    one.leave()
    assert one.status().max_concurrent == 1
    began = now()
    await one.enter()
    assert now() - began == pytest.approx(60, abs=0.1)


@virtually
async def test_one_request_refused_without_a_time_pauses_longer_each_time() -> None:
    one = lane()
    pauses = []
    for _ in range(7):
        began = now()
        await one.enter()
        pauses.append(round(now() - began))
        one.learn(429, {})
        one.leave()
    assert pauses == [0, 1, 2, 4, 8, 8, 8]
    await one.enter()
    one.learn(200, {})
    one.leave()
    await asyncio.sleep(10)
    assert one.try_enter()


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "1e400"},
        {"retry-after": "-5"},
        {"retry-after": "9" * 5000},
        {"retry-after": "Wed, 31 Dec 9999 23:59:59 GMT"},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "99999999d"},
        {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "1h"},
        {"x-ratelimit-remaining-requests": "NaN", "x-ratelimit-reset-requests": "inf"},
        {
            "x-ratelimit-limit-requests": "1",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "720h",
        },
        {
            "anthropic-ratelimit-tokens-remaining": "0",
            "anthropic-ratelimit-tokens-reset": "2199-01-01T00:00:00Z",
        },
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999999"},
    ],
)
@pytest.mark.parametrize("status", [200, 429, 503])
def test_absurd_headers_hold_a_lane_for_an_hour_at_most(headers: dict[str, str], status: int) -> None:
    async def check() -> None:
        one = lane(queue=QueueLimits(max_wait=7200))
        assert one.try_enter()
        one.learn(status, headers)
        one.leave()
        began = now()
        await one.enter()
        assert now() - began <= 3601

    run_virtually(check())


@virtually
async def test_models_that_clients_invent_take_no_memory() -> None:
    one = lane()
    for number in range(5000):
        assert one.try_enter(f"m{number}")
        one.learn(429, {"retry-after": "60"}, model=f"m{number}")
        one.leave()
    assert len(one._models) <= 64


@virtually
async def test_other_options_let_waiting_requests_in() -> None:
    lanes = Lanes(clock=asyncio.get_running_loop().time)
    lanes.take({"openai": LaneLimits(max_concurrent=1)}, QueueLimits())
    one = lanes["openai"]
    assert one.try_enter()
    waiting = asyncio.create_task(one.enter())
    await settle()
    assert lanes.oldest_wait() == 0
    await asyncio.sleep(5)
    assert lanes.oldest_wait() == pytest.approx(5)
    assert [(each.name, each.in_flight, each.waiting) for each in lanes.statuses()] == [("openai", 1, 1)]
    lanes.take({"openai": LaneLimits(max_concurrent=2), "openai#2": LaneLimits()}, QueueLimits())
    await waiting
    assert lanes["openai"] is one
    assert one.in_flight == 2
    lanes.take({"openai#2": LaneLimits()}, QueueLimits())
    assert [each.name for each in lanes.statuses()] == ["openai#2"]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(("ask", "cancel", "leave", "leave", "learn", "limit", "pass")),
        st.integers(0, 30),
        st.sampled_from(PRIORITIES),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(_STEPS, st.integers(1, 3), st.integers(0, 6), st.randoms(use_true_random=False))
def test_cancelled_at_any_moment_no_place_is_lost_and_nobody_is_forgotten(
    steps: list[tuple[str, int, Priority]], places: int, room: int, chance: random.Random
) -> None:
    async def check() -> None:
        one = lane(LaneLimits(max_concurrent=places), QueueLimits(max_waiting=room, max_wait=30))
        held: list[asyncio.Event] = []
        tasks: list[asyncio.Task[Any]] = []

        async def ask(priority: Priority, done: asyncio.Event) -> None:
            try:
                await one.enter(priority)
            except WireError:
                return
            try:
                held.append(done)
                assert one.in_flight <= most
                await done.wait()
            finally:
                if done in held:
                    held.remove(done)
                one.leave()

        most = places
        for what, number, priority in steps:
            match what:
                case "ask":
                    tasks.append(asyncio.create_task(ask(priority, asyncio.Event())))
                case "cancel" if tasks:
                    tasks[number % len(tasks)].cancel()
                case "leave" if held:
                    held[number % len(held)].set()
                case "learn":
                    one.learn(chance.choice((200, 429)), {"retry-after": "1"} if number < 5 else {})
                case "limit":
                    most = max(places, number % 4 + 1)
                    one.take(LaneLimits(max_concurrent=number % 4 + 1), one.queue)
                    most = max(most, one.in_flight)
                case "pass":
                    await asyncio.sleep(number / 10)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        most = 1 << 30
        # From here on nobody holds a place for long: all who wait must come to an end.
        while not all(task.done() for task in tasks):
            for done in tuple(held):
                done.set()
            await asyncio.sleep(0.5)
        for task in tasks:
            if not task.cancelled():
                assert task.exception() is None
        assert (one.in_flight, one.waiting) == (0, 0)
        await asyncio.sleep(120)
        assert one.try_enter()

    run_virtually(check())


@given(st.integers(1, 500), st.lists(st.floats(0, 30), max_size=200))
def test_a_bucket_never_lets_out_more_in_a_minute_than_it_may(most: int, pauses: list[float]) -> None:
    at, went = 0.0, []
    bucket = Bucket.per_minute(most, at)
    for pause in pauses:
        at += pause
        while bucket.wait(at) <= 0:
            bucket.take(at, 1.0)
            went.append(at)
    assert all(sum(1 for other in went if start <= other < start + 60) <= most for start in set(went))
