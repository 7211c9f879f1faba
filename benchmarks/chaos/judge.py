"""The verdict on each request, from what its client saw, what upstreams sent, and what was recorded.

It knows nothing of the engine's insides: a right answer is the one that an upstream gave to this very
request; a right error is explained by what upstreams did to it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.chaos.breakers import judge_breakers
from benchmarks.chaos.plan import UPSTREAMS, expected_text
from benchmarks.chaos.run import Json, Run, Seen
from benchmarks.chaos.upstreams import Attempt

UNAVAILABLE = frozenset({429, 503, 529})
"""Statuses of the engine's own refusals: nobody could be asked, or too much was."""

_SKIP = 10.0
"""Seconds for which the engine may hold against an upstream what it learned of it."""


@dataclass
class Verdict:
    """What came of a run.

    Attributes:
        outcomes: how many requests ended how.
        statuses: of errors.
        problems: everything that should not be, in words.
        excused: requests that nothing can be said of, for their upstreams stood still with this process.
        faults: how often each was shown.
        slowest: seconds of the longest request.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    by_client: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    attempts: int = 0
    excused: int = 0
    slowest: float = 0.0
    percentiles: dict[str, float] = field(default_factory=dict)


def judge(run: Run) -> Verdict:
    """Judges every request of a run, and its books."""
    verdict = Verdict()
    for seen in run.seen:
        attempts = run.log.attempts.get(seen.job.word, [])
        verdict.attempts += len(attempts)
        verdict.faults.update(attempt.action.name for attempt in attempts)
        outcome = _outcome(seen)
        verdict.outcomes[outcome] += 1
        verdict.by_client[seen.job.name][outcome] += 1
        if outcome.startswith("error") and seen.answer is not None:
            verdict.statuses[seen.answer.status] += 1
        rows = run.rows.get(seen.job.word, [])
        found = list(_problems(run, seen, attempts, rows))
        if found and run.stood_still(seen.began, seen.ended) and not (seen.hung or seen.broken):
            verdict.excused += 1
            continue
        for problem in found:
            done = ", ".join(f"{a.upstream}: {a.action.name} ({a.asked.outcome})" for a in attempts)
            verdict.problems.append(f"{seen.job.word} {seen.job.name}: {problem} [{done}]")
    verdict.problems += [*_books(run), *judge_breakers(run)]
    took = sorted(seen.ended - seen.began for seen in run.seen)
    if took:
        verdict.slowest = took[-1]
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            verdict.percentiles[name] = took[math.ceil(share * len(took)) - 1]
    return verdict


def _outcome(seen: Seen) -> str:
    if seen.hung:
        return "hung"
    if seen.broken:
        return "broken"
    if seen.gone:
        return "left"
    assert seen.answer is not None
    if seen.answer.problem is None:
        return "answer"
    return "error in the stream" if seen.answer.status == 200 else "error"


def _problems(run: Run, seen: Seen, attempts: list[Attempt], rows: list[Json]) -> Iterator[str]:
    if seen.hung:
        yield "it hangs"
    if seen.broken:
        yield seen.broken[:600]
    if len(rows) != 1:
        yield f"{len(rows)} records instead of one"
    complete = [number for number, attempt in enumerate(attempts) if attempt.answered]
    if complete and complete[0] != len(attempts) - 1:
        yield "an upstream was asked again after one had answered"
    if any(not attempt.asked.over for attempt in attempts):
        yield "an upstream still answers it, though nobody waits"
    if seen.gone:
        for row in rows:
            if row["status"] == 200 and not any(attempt.action.good for attempt in attempts):
                yield "its client left, nobody answered, and it is recorded as answered"
    if seen.answer is None:
        return
    if seen.answer.problem is None:
        yield from _wrong_answer(seen, attempts)
    else:
        yield from _wrong_error(run, seen, attempts)
    for row in rows:
        yield from _wrong_record(seen, attempts, row)


def _wrong_answer(seen: Seen, attempts: list[Attempt]) -> Iterator[str]:
    answer, word = seen.answer, seen.job.word
    assert answer is not None
    if not attempts or not attempts[-1].action.good:
        yield f"an answer that nobody gave: {answer.text[:80]!r}"
        return
    last = attempts[-1]
    if answer.headers.get("x-lynkr-provider") != last.upstream:
        yield f"the answer of {last.upstream} is said to be of {answer.headers.get('x-lynkr-provider')}"
    if last.action.name == "tool call":
        calls = [(call.name, call.arguments) for call in answer.calls]
        if calls != [("note", {"path": word})] or answer.text or answer.stop != "tools":
            yield f"not the call that was made: {calls} {answer.text[:80]!r} {answer.stop}"
    elif answer.text != expected_text(word) or answer.calls or answer.stop != "end":
        yield f"not the answer that was given: {answer.text[:120]!r} {answer.stop}"


def _wrong_error(run: Run, seen: Seen, attempts: list[Attempt]) -> Iterator[str]:
    answer = seen.answer
    assert answer is not None
    assert answer.problem is not None
    said = f"{answer.status}: {answer.problem.message[:300]}"
    if answer.status == 200:
        last = attempts[-1] if attempts else None
        if last is None or not last.midway:
            yield f"an error in a stream that no upstream made: {said}"
        elif not expected_text(seen.job.word).startswith(answer.text):
            yield f"what came before the error was never said: {answer.text[:80]!r}"
        return
    final = [attempt for attempt in attempts if not attempt.action.retried]
    if final:
        if answer.status not in final[-1].statuses:
            yield f"{final[-1].action.name} became {said}"
        return
    if not all(attempt.failed for attempt in attempts):
        yield f"an upstream answered, and yet {said}"
    allowed = set(UNAVAILABLE).union(*(attempt.statuses for attempt in attempts))
    if any(run.log.was_dead(upstream.name, seen.began, seen.ended) for upstream in UPSTREAMS):
        allowed.add(502)  # cut before it had read the request
    if answer.status not in allowed:
        yield f"nothing explains {said}"
    asked = {attempt.upstream for attempt in attempts}
    for upstream in UPSTREAMS:
        concerned = seen.job.ask.model in ("auto-route", upstream.target)
        if concerned and upstream.name not in asked and not _known_bad(run, seen, upstream.name):
            yield f"{upstream.name} was well and was not asked: {said}"


def _known_bad(run: Run, seen: Seen, upstream: str) -> bool:
    """Whether an upstream was not to be asked: dead, at a pause of its own, or behind an open breaker."""
    if run.log.was_dead(upstream, seen.began - _SKIP, seen.ended):
        return True
    if any(since <= seen.ended and until >= seen.began for since, until in run.log.pauses(upstream)):
        return True
    return any(
        event.kind == "breaker" and str(event.data).find(upstream) >= 0 and event.at <= seen.ended
        for event in run.events
    )


def _wrong_record(seen: Seen, attempts: list[Attempt], row: Json) -> Iterator[str]:
    answer = seen.answer
    assert answer is not None
    if answer.headers.get("x-request-id") != row["id"]:
        yield "the record has another id than the answer"
    if answer.problem is None:
        if row["status"] != 200 or row["error"]:
            yield f"recorded as {row['status']} {row['error'][:80]!r}"
        if attempts and row["provider"] != attempts[-1].upstream:
            yield f"recorded as answered by {row['provider']}"
    elif row["status"] != (answer.status if answer.status != 200 else row["status"]) or row["status"] == 200:
        yield f"an error {answer.status} recorded as {row['status']}"
    elif not row["error"]:
        yield "an error recorded without its message"


def _books(run: Run) -> Iterator[str]:
    """Whether records and metrics have every request, and nothing else."""
    sent = len(run.seen)
    rows = sum(map(len, run.rows.values()))
    if rows != sent:
        yield f"{sent} requests were sent, {rows} recorded ({len(run.rows.get('', []))} of no word)"
    counted = sum(v for name, v in run.metrics.items() if name.startswith("lynkr_requests_total"))
    if counted != sent:
        yield f"{sent} requests were sent, the metrics counted {counted:.0f}"
    classes: Counter[str] = Counter(
        f"{row['status'] // 100}xx" if row["status"] else "none"
        for found in run.rows.values()
        for row in found
    )
    for status, count in classes.items():
        told = sum(
            value
            for name, value in run.metrics.items()
            if name.startswith("lynkr_requests_total") and f'status="{status}"' in name
        )
        if told != count:
            yield f"{count} records of {status}, the metrics have {told:.0f}"
    if run.metrics.get("lynkr_requests_in_flight"):
        yield "requests are in flight after the last one has ended"
    if run.metrics.get("lynkr_records_lost"):
        yield f"{run.metrics['lynkr_records_lost']:.0f} records were lost"
    if not run.check.get("agree"):
        yield f"usage check: {run.check}"
    for stray in run.log.strays:
        yield f"an upstream got a request of nobody: {stray}"
