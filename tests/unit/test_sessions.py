"""A conversation keeps its tier, with a way up and a bounded way down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.engine.routing.sessions import CACHE_SECONDS, FORGET_SECONDS, Sessions
from lynkr_desktop.protocol.tiers import TIERS, Tier

SIMPLE, MEDIUM, COMPLEX, REASONING = TIERS


class Clock:
    """A clock that a test moves on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock)


def new(text: str, first: str = "first") -> Ask:
    return Ask(text=text, first=first)


def results(text: str, first: str = "first") -> Ask:
    return Ask(text=text, first=first, continuation=True, results=3)


def test_tool_results_keep_the_tier_of_their_task(sessions: Sessions) -> None:
    assert sessions.settle("s", new("refactor"), COMPLEX).tier is COMPLEX
    later = sessions.settle("s", results("refactor"), SIMPLE)
    assert later.tier is COMPLEX
    assert later.why == "kept at complex for this task"


def test_a_yes_keeps_it_too(sessions: Sessions) -> None:
    sessions.settle("s", new("refactor"), COMPLEX)
    yes = Ask(text="yes", follow_up="agreed", earlier=("refactor",), first="first")
    assert sessions.settle("s", yes, SIMPLE) == sessions.peek("s", yes, SIMPLE)
    assert sessions.peek("s", yes, SIMPLE).tier is COMPLEX


def test_a_task_that_turns_out_harder_rises_and_stays_up(sessions: Sessions) -> None:
    sessions.settle("s", new("fix it"), MEDIUM)
    raised = sessions.settle("s", results("fix it"), COMPLEX)
    assert (raised.tier, raised.why) == (COMPLEX, "raised from medium for this task")
    assert sessions.settle("s", results("fix it"), MEDIUM).tier is COMPLEX


def test_a_harder_ask_rises_at_once(sessions: Sessions) -> None:
    sessions.settle("s", new("hello"), SIMPLE)
    settled = sessions.settle("s", new("prove it"), REASONING)
    assert (settled.tier, settled.why) == (REASONING, "")


def test_an_easier_ask_keeps_a_warm_cache_once(sessions: Sessions, clock: Clock) -> None:
    sessions.settle("s", new("refactor"), COMPLEX)
    clock.now += 30
    kept = sessions.settle("s", new("add a test"), MEDIUM)
    assert (kept.tier, kept.why) == (COMPLEX, "kept at complex, whose cache is warm")
    assert sessions.settle("s", new("add a field"), MEDIUM).tier is MEDIUM


def test_a_cold_cache_is_no_reason_to_stay(sessions: Sessions, clock: Clock) -> None:
    sessions.settle("s", new("refactor"), COMPLEX)
    clock.now += CACHE_SECONDS + 1
    assert sessions.settle("s", new("add a test"), MEDIUM).tier is MEDIUM


def test_much_easier_asks_go_down_one_tier_each(sessions: Sessions) -> None:
    sessions.settle("s", new("prove it"), REASONING)
    tiers = [sessions.settle("s", new(f"question {number}"), SIMPLE).tier for number in range(5)]
    assert tiers == [COMPLEX, MEDIUM, MEDIUM, SIMPLE, SIMPLE]


def test_conversations_do_not_mix(sessions: Sessions) -> None:
    sessions.settle("a", new("prove it"), REASONING)
    assert sessions.settle("b", new("hello"), SIMPLE).tier is SIMPLE
    assert sessions.settle("", new("hello"), SIMPLE).tier is SIMPLE
    # An agent that works for another one shares its session.
    assert sessions.settle("a", new("find the file", first="find the file"), SIMPLE).tier is SIMPLE
    assert sessions.settle("a", results("prove it"), SIMPLE).tier is REASONING


def test_without_a_session_the_first_ask_names_the_conversation(sessions: Sessions) -> None:
    sessions.settle("", new("refactor", first="refactor"), COMPLEX)
    assert sessions.settle("", results("refactor", first="refactor"), SIMPLE).tier is COMPLEX


def test_a_compacted_conversation_is_found_by_its_session(sessions: Sessions) -> None:
    sessions.settle("s", new("refactor"), COMPLEX)
    after = Ask(text="continue", follow_up="continued", first="continue")
    assert sessions.settle("s", after, SIMPLE).tier is COMPLEX
    assert sessions.settle("other", after, SIMPLE).tier is SIMPLE


def test_what_was_long_silent_is_forgotten(sessions: Sessions, clock: Clock) -> None:
    sessions.settle("s", new("refactor"), COMPLEX)
    clock.now += FORGET_SECONDS + 1
    assert sessions.settle("s", results("refactor"), SIMPLE).tier is SIMPLE


def test_memory_is_bounded(clock: Clock) -> None:
    sessions = Sessions(clock, limit=10)
    for number in range(1000):
        sessions.settle(f"s{number}", new("x"), SIMPLE)
    assert len(sessions) <= 10


events = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c"]), st.booleans(), st.floats(0, 1000)),
    max_size=30,
)


@given(events)
def test_never_more_than_one_tier_down_and_never_below_what_a_task_had(
    events: list[tuple[int, str, bool, float]],
) -> None:
    clock = Clock()
    sessions = Sessions(clock)
    before: tuple[Tier, str] | None = None
    for rank, text, continuation, pause in events:
        clock.now += pause
        ask = Ask(text=text, first="first", continuation=continuation)
        tier = sessions.settle("s", ask, TIERS[rank]).tier
        if before is not None:
            assert tier.rank >= before[0].rank - 1
            if text == before[1]:
                assert tier.rank >= before[0].rank
        assert tier.rank >= rank
        before = tier, text
