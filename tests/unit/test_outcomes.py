"""What later requests tell of a decision: tools, tests, people who ask again or turn to a stronger model."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.routing.outcomes import Conclusion, Outcomes, Seen, same_ask, verdict
from lynkr_desktop.engine.routing.suites import tests_in as summary_in
from lynkr_desktop.engine.wire.canonical import Message, Text, ToolResult, ToolUse
from lynkr_desktop.protocol.routing import Outcome
from lynkr_desktop.protocol.tiers import Tier

ASK = "Please fix the login form of the shop"


def said(text: str) -> Message:
    return Message("user", (Text(text),))


def ran(text: str, *, error: bool = False, tool: str = "Bash", number: int = 1) -> tuple[Message, Message]:
    """A call of a tool and what it gave."""
    name = f"call{number}"
    return (
        Message("assistant", (ToolUse(name, tool, {"command": "pytest"}),)),
        Message("user", (ToolResult(name, (Text(text),), is_error=error),)),
    )


def seen(number: int, *messages: Message, **changes: Any) -> Seen:
    values: dict[str, Any] = {
        "id": f"r{number}",
        "conversation": "c",
        "ask": ASK,
        "messages": messages,
        "tier": Tier.SIMPLE,
        "continuation": len(messages) > 1,
    }
    return Seen(**{**values, **changes})


SUMMARIES = [
    ("==== 1 failed, 12 passed, 3 warnings in 0.52s ====", (12, 1)),
    ("12 passed in 0.52s\n", (12, 0)),
    ("= 2 failed, 3 passed, 1 error in 75.12s (0:01:15) =", (3, 3)),
    ("\x1b[31m=== \x1b[1m1 failed\x1b[0m, 2 passed\x1b[31m in 0.10s\x1b[0m ===", (2, 1)),
    ("Ran 5 tests in 0.003s\n\nOK\n", (5, 0)),
    ("Ran 5 tests in 0.003s\r\n\r\nFAILED (failures=1, errors=2)\r\n", (2, 3)),
    (
        "Test Suites: 1 failed, 2 total\nTests:       1 failed, 1 skipped, 5 passed, 7 total\nTime: 1 s",
        (5, 1),
    ),
    (" Test Files  1 failed (1)\n      Tests  1 failed | 4 passed (5)\n   Duration 1.2s", (4, 1)),
    ("  5 passing (12ms)\n  1 pending\n  2 failing\n", (5, 2)),
    ("  5 passing (12ms)\n", (5, 0)),
    ("# tests 6\n# pass 5\n# fail 1\n# cancelled 0\n", (5, 1)),
    ("ℹ tests 6\nℹ pass 6\nℹ fail 0\n", (6, 0)),
    ("ok  \texample.com/a\t0.01s\nok  \texample.com/b\t(cached)\n", (2, 0)),
    ("--- FAIL: TestA (0.00s)\n    a_test.go:9: no\nFAIL\nFAIL\texample.com/a\t0.01s\nFAIL\n", (0, 1)),
    ("--- PASS: TestB (0.00s)\n--- FAIL: TestA (0.00s)\nFAIL\nFAIL\texample.com/a\t0.01s\n", (1, 1)),
    ("FAIL\texample.com/a [build failed]\n", (0, 1)),
    (
        "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured\n\n"
        "test result: FAILED. 3 passed; 2 failed; 0 ignored\n",
        (8, 2),
    ),
    ("     Summary [   0.005s] 4 tests run: 3 passed, 1 failed, 0 skipped", (3, 1)),
    ("     Summary [   0.005s] 4 tests run: 4 passed, 0 skipped", (4, 0)),
    ("Failed!  - Failed:     1, Passed:     2, Skipped:     0, Total:     3, Duration: 5 ms - a.dll", (2, 1)),
    ("Passed!  - Failed:     0, Passed:    12, Skipped:     0, Total:    12 - a.dll (net8.0)", (12, 0)),
    ("Test summary: total: 3, failed: 1, succeeded: 2, skipped: 0, duration: 1.2s", (2, 1)),
    (
        "Tests run: 2, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s -- in A\n"
        "[INFO] Results:\n[ERROR] Tests run: 6, Failures: 1, Errors: 1, Skipped: 1\n",
        (3, 2),
    ),
    ("10 tests completed, 2 failed\n\nFAILURE: Build failed with an exception.", (8, 2)),
]


@pytest.mark.parametrize(("text", "figures"), SUMMARIES)
def test_summaries_of_test_runs_are_read(text: str, figures: tuple[int, int]) -> None:
    assert summary_in("collecting ...\nsome output\n" + text) == figures


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The test has passed, 3 failed before",
        "no tests ran in 0.01s",
        "Tests are in tests/. 5 passed the review.",
        "def test(): assert passed and failed",
        "error: could not compile",
    ],
)
def test_other_output_is_no_run_of_tests(text: str) -> None:
    assert summary_in(text) is None


@given(st.text(alphabet="=\n \t19Testspadfilrunok:,.|()#-—\x1b[m", max_size=6000))
def test_any_output_is_read_quickly(text: str) -> None:
    began = time.thread_time()
    summary_in(text)
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize("unit", ["\n", " ", "1 ", "1 a, ", "Tests ", "1 passing\n", "Ran 1 tests in 1s\n"])
def test_hostile_output_is_read_quickly(unit: str) -> None:
    began = time.thread_time()
    summary_in("pass" + unit * 100_000)
    assert time.thread_time() - began < 0.2


def test_all_that_happens_in_a_task_counts_for_its_beginning() -> None:
    outcomes = Outcomes()
    assert outcomes.see(seen(1, said(ASK))) == Conclusion("r1")
    history: tuple[Message, ...] = (said(ASK), *ran("==== 2 failed, 1 passed in 0.1s ===="))
    assert outcomes.see(seen(2, *history)) == Conclusion(
        "r1", (("r1", Outcome(results=1, tests="failed", tests_passed=1, tests_failed=2)),)
    )
    history = (*history, *ran("File not found", error=True, number=2))
    history = (*history, *ran("==== 3 passed in 0.1s ====", number=3))
    task, told = outcomes.see(seen(3, *history))
    assert task == "r1"
    assert told == (("r1", Outcome(results=3, errors=1, tests="passed", tests_passed=3)),)
    assert verdict(told[0][1]) == "good"
    assert outcomes.see(seen(4, *history)).outcomes == (), "nothing new came"


def test_only_what_ran_is_a_run_of_tests() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK)))
    _, told = outcomes.see(seen(2, said(ASK), *ran("==== 2 failed in 0.1s ====", tool="Read")))
    assert told == (("r1", Outcome(results=1)),)


def test_the_same_ask_again_after_an_answer_is_a_retry() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK)))
    again = seen(2, said(ASK), said("done"), said(ASK), ask=f"{ASK.upper()}!", continuation=False)
    task, told = outcomes.see(again)
    assert (task, told) == ("r2", (("r1", Outcome(retried=1)),))
    assert verdict(told[0][1]) == "under"


def test_the_same_ask_after_an_error_is_none() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK), answered=False))
    assert outcomes.see(seen(2, said(ASK))) == Conclusion("r2")


def test_a_complaint_counts_and_begins_a_task_of_its_own() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK)))
    task, told = outcomes.see(seen(2, said("still broken"), ask="still broken", follow_up="failed"))
    assert (task, told) == ("r2", (("r1", Outcome(retried=1)),))


def test_an_assent_goes_on_with_the_task_and_a_new_ask_ends_it() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK)))
    assert outcomes.see(seen(2, said("yes"), ask="yes", follow_up="agreed")) == Conclusion("r1")
    task, told = outcomes.see(seen(3, said("x"), ask="Now write the release notes of version two"))
    assert (task, told) == ("r3", (("r1", Outcome(followed=True)),))
    assert verdict(told[0][1]) == "good"


def test_asking_for_a_higher_tier_by_name_is_an_escalation() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK), tier=Tier.MEDIUM))
    history = (said(ASK), *ran("fine"))
    named = seen(2, *history, ask="", tier=None, wanted=Tier.COMPLEX)
    assert outcomes.see(named) == Conclusion("", (("r1", Outcome(escalated=True)),))
    assert outcomes.see(named) == Conclusion(""), "once is enough"


@pytest.mark.parametrize("wanted", [Tier.SIMPLE, Tier.COMPLEX])
def test_the_same_or_a_lower_tier_by_name_is_none(wanted: Tier) -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK), tier=Tier.COMPLEX))
    assert outcomes.see(seen(2, said(ASK), ask="", tier=wanted, wanted=wanted)) == Conclusion("")
    assert outcomes.see(seen(3, said(ASK), conversation="other", ask="", wanted=wanted)) == Conclusion("")


def test_helpers_of_an_agent_do_not_mix_with_it() -> None:
    """They share its session and work at the same time; each goes on from its own beginning."""
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK), thread=ASK))
    helper = "Find every place that calls the payment service"
    assert outcomes.see(seen(2, said(helper), ask=helper, thread=helper)) == Conclusion("r2")
    _, told = outcomes.see(seen(3, said(helper), *ran("x", error=True), ask=helper, thread=helper))
    assert told == (("r2", Outcome(results=1, errors=1)),)
    assert outcomes.see(seen(4, said(ASK), *ran("fine"), thread=ASK)) == Conclusion(
        "r1", (("r1", Outcome(results=1)),)
    )


def test_old_conversations_are_forgotten() -> None:
    outcomes = Outcomes()
    for number in range(5_000):
        outcomes.see(seen(number, said(ASK), conversation=f"c{number}"))
    assert outcomes.see(seen(1, said(ASK), *ran("x"), conversation="c1")) == Conclusion("")
    assert outcomes.see(seen(2, said(ASK), ask="", wanted=Tier.COMPLEX, conversation="c1")) == Conclusion("")
    assert outcomes.see(seen(3, said(ASK), *ran("x"), conversation="c4999")).task == "r4999"


REFUSALS = [
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file "
    "edit, the new_string was NOT written to the file).",
    "exec command rejected by user",
    "patch rejected by user",
    "The user rejected permission to use this specific tool call.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refused_calls_are_counted_apart_from_errors(text: str) -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK)))
    history = (said(ASK), *ran(text, error=True), *ran(text, error=True, number=2))
    _, told = outcomes.see(seen(2, *history))
    assert told == (("r1", Outcome(results=2, denied=2)),)
    assert verdict(told[0][1]) == "under"


def test_conversations_do_not_mix_and_an_unknown_beginning_is_said_so() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK)))
    assert outcomes.see(seen(2, said(ASK), conversation="other")) == Conclusion("r2")
    assert outcomes.see(seen(3, said(ASK), *ran("x"), conversation="third")) == Conclusion("")
    assert outcomes.see(seen(4, said(ASK), conversation="")) == Conclusion("r4")
    assert outcomes.see(seen(5, said(ASK), conversation="")) == Conclusion("r5")


def test_a_compacted_conversation_goes_on() -> None:
    outcomes = Outcomes()
    outcomes.see(seen(1, said(ASK)))
    outcomes.see(seen(2, said(ASK), *ran("a"), *ran("b", number=2)))
    assert outcomes.see(seen(3, said("summary"), *ran("c"))) == Conclusion("r1")
    _, told = outcomes.see(seen(4, said("summary"), *ran("c"), *ran("1 passed in 0.1s", number=2)))
    assert told == (("r1", Outcome(results=3, tests="passed", tests_passed=1)),)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Outcome(), ""),
        (Outcome(results=4, errors=1), "good"),
        (Outcome(results=1, errors=1), ""),
        (Outcome(results=6, errors=3), "under"),
        (Outcome(results=9, errors=3), "good"),
        (Outcome(denied=1, results=1), "good"),
        (Outcome(tests="passed", errors=5, results=6), "good"),
        (Outcome(tests="passed", retried=1), "under"),
        (Outcome(followed=True), "good"),
    ],
)
def test_what_happened_in_one_word(outcome: Outcome, word: str) -> None:
    assert verdict(outcome) == word


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Fix the login form", "fix the login form.", True),
        ("Please fix the login form of the shop", "please fix the login form of the shop now", True),
        ("Write tests for src/a.py like the others", "Write tests for src/b.py like the others", False),
        ("Fix issue 12 of the parser please", "Fix issue 13 of the parser please", False),
        ("Fix the login form", "Explain the whole architecture", False),
        ("yes", "yes", False),
        ("修复登录表单的错误并运行测试", "修复登录表单的错误并运行测试。", True),
        ("", "", False),
    ],
)
def test_asks_are_compared(one: str, other: str, same: bool) -> None:
    assert same_ask(one, other) is same


@given(st.text(), st.text())
def test_comparing_takes_no_side(one: str, other: str) -> None:
    assert same_ask(one, other) == same_ask(other, one)
