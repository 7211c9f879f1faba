"""The judge of the chaos run sees what it is there to see."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmarks.chaos.judge import judge
from benchmarks.chaos.plan import UPSTREAMS, Action, Job, Plan, expected_text
from benchmarks.chaos.run import Event, Run, Seen
from benchmarks.chaos.upstreams import Attempt, Dead
from tests.support.clients import Answer, Problem
from tests.support.fakes.base import Asked
from tests.support.script import text

OPENAI, ANTHROPIC, OLLAMA = (upstream.name for upstream in UPSTREAMS)
GOOD = Action("answer", text("x"), good=True)
FAILED = Action("status 500", text("x"), frozenset({500}))


def job(number: int = 0) -> Job:
    plan = Plan(1, 100)
    found = plan.job(number)
    return dataclasses.replace(found, ask=found.ask.with_(model="auto-route"), hangs_up="")


def attempt(upstream: str, action: Action, at: float, *, outcome: str = "done") -> Attempt:
    asked = Asked("POST", "/", {}, {}, b"", outcome=outcome, over=at + 0.01)
    return Attempt(upstream, action, asked, at)


def answered(word: str, *, provider: str = OPENAI) -> Answer:
    headers = {"x-request-id": f"req-{word}", "x-lynkr-provider": provider}
    return Answer(headers=headers, text=expected_text(word), stop="end")


def failed(word: str, status: int) -> Answer:
    return Answer(
        status, {"x-request-id": f"req-{word}"}, problem=Problem(status, "api_error", "it went wrong")
    )


def row(word: str, status: int = 200, provider: str = OPENAI) -> dict[str, Any]:
    error = "" if status == 200 else "it went wrong"
    return {"id": f"req-{word}", "status": status, "error": error, "provider": provider, "title": word}


def run_of(seen: Seen, attempts: list[Attempt], status: int = 200) -> Run:
    """A run of one request, all of whose books are right."""
    word = seen.job.word
    run = Run(Plan(1, 1), seen=[seen], check={"agree": True}, ended=100.0)
    run.log.attempts[word] = attempts
    run.rows = {word: [row(word, status)]}
    run.metrics = {f'lynkr_requests_total{{status="{status // 100}xx"}}': 1.0}
    return run


@pytest.fixture
def good() -> Run:
    asked = job()
    seen = Seen(asked, 1.0, 2.0, answered(asked.word))
    return run_of(seen, [attempt(ANTHROPIC, FAILED, 1.1), attempt(OPENAI, GOOD, 1.2)])


def test_what_is_right_is_right(good: Run) -> None:
    assert judge(good).problems == []


def test_an_answer_of_another_request(good: Run) -> None:
    good.seen[0].answer = dataclasses.replace(answered(good.seen[0].job.word), text=expected_text("zq1n9x"))
    assert "not the answer that was given" in judge(good).problems[0]


def test_an_answer_that_nobody_gave(good: Run) -> None:
    good.log.attempts[good.seen[0].job.word].pop()
    assert "an answer that nobody gave" in judge(good).problems[0]


def test_a_second_answer(good: Run) -> None:
    good.log.attempts[good.seen[0].job.word].append(attempt(OPENAI, GOOD, 1.3))
    assert "asked again after one had answered" in judge(good).problems[0]


def test_a_record_too_few_and_one_too_many(good: Run) -> None:
    word = good.seen[0].job.word
    good.rows[word] = []
    assert "0 records instead of one" in judge(good).problems[0]
    good.rows[word] = [row(word), row(word)]
    assert "2 records instead of one" in judge(good).problems[0]


def test_metrics_and_records_that_differ(good: Run) -> None:
    good.metrics = {'lynkr_requests_total{status="2xx"}': 2.0}
    assert any("the metrics counted 2" in problem for problem in judge(good).problems)


def test_a_hang(good: Run) -> None:
    good.seen[0].answer, good.seen[0].hung = None, True
    assert "it hangs" in judge(good).problems[0]


def test_an_error_though_somebody_was_well() -> None:
    asked = job()
    seen = Seen(asked, 1.0, 2.0, failed(asked.word, 500))
    problems = judge(run_of(seen, [attempt(OPENAI, FAILED, 1.1)], 500)).problems
    assert any(f"{ANTHROPIC} was well and was not asked" in problem for problem in problems)
    everyone = [attempt(name, FAILED, 1.1) for name in (OPENAI, ANTHROPIC, OLLAMA)]
    assert judge(run_of(seen, everyone, 500)).problems == []


def test_an_error_that_nothing_explains() -> None:
    asked = job()
    seen = Seen(asked, 1.0, 2.0, failed(asked.word, 504))
    everyone = [attempt(name, FAILED, 1.1) for name in (OPENAI, ANTHROPIC, OLLAMA)]
    assert any("nothing explains 504" in problem for problem in judge(run_of(seen, everyone, 504)).problems)


def test_an_upstream_that_is_still_asked_for_nobody(good: Run) -> None:
    good.log.attempts[good.seen[0].job.word][0].asked.over = 0.0
    assert "still answers" in judge(good).problems[0]


def breaker(at: float, state: str) -> Event:
    name = next(upstream.target for upstream in UPSTREAMS if upstream.name == OPENAI)
    return Event(at, "breaker", {"type": "breaker", "breaker": {"name": name, "state": state, "reason": "x"}})


def calls(run: Run, action: Action, begin: float, end: float, outcome: str = "error") -> None:
    for part in range(40):
        at = begin + (end - begin) * part / 40
        run.log.attempts[f"other{part}"] = [attempt(OPENAI, action, at, outcome=outcome)]


def test_a_breaker_that_opens_for_nothing_and_one_that_has_cause(good: Run) -> None:
    calls(good, GOOD, 10.0, 12.0, "done")
    good.events = [breaker(11.5, "open")]
    assert any("while it was well" in problem for problem in judge(good).problems)
    calls(good, FAILED, 10.0, 11.4)
    assert judge(good).problems == []


def test_a_breaker_that_stays_closed(good: Run) -> None:
    good.log.dead = [Dead(OPENAI, "resets", 10.0, 13.0)]
    calls(good, FAILED, 10.0, 11.0)
    assert any("stayed closed" in problem for problem in judge(good).problems)


def test_calls_to_one_that_is_open(good: Run) -> None:
    calls(good, FAILED, 10.0, 11.0)
    good.events = [breaker(11.0, "open")]
    assert judge(good).problems == []
    good.log.attempts["late"] = [attempt(OPENAI, FAILED, 11.4)]
    assert any("while it was open" in problem for problem in judge(good).problems)


def test_more_than_one_probe_at_once(good: Run) -> None:
    calls(good, FAILED, 10.0, 11.0)
    good.events = [breaker(11.0, "open"), breaker(12.0, "half_open"), breaker(13.0, "closed")]
    good.log.attempts["probe"] = [attempt(OPENAI, GOOD, 12.0)]
    assert not any("half-open" in problem for problem in judge(good).problems)
    good.log.attempts["probe"] = [attempt(OPENAI, GOOD, 12.0 + part / 10) for part in range(4)]
    assert any("at once while it was half-open" in problem for problem in judge(good).problems)


def test_one_that_closes_without_a_good_probe(good: Run) -> None:
    calls(good, FAILED, 10.0, 11.0)
    good.events = [breaker(11.0, "open"), breaker(12.0, "half_open"), breaker(12.5, "closed")]
    good.log.attempts["probe"] = [attempt(OPENAI, FAILED, 12.1)]
    assert any("without a probe that was good" in problem for problem in judge(good).problems)
