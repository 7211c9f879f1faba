"""Whether circuit breakers opened and closed when they had to, and only then.

Judged from the engine's events and from what the upstreams saw, by the rules that are documented and not by
the engine's code: a breaker opens when the share of failed calls over its window reaches the threshold; then
nothing is sent for the probe interval; then one call at a time, of which a good one closes it. What one
process sees and another tells differs by moments, and the engine repeats a request on a connection that was
cut before its head: the rules have as much room as that takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.chaos.plan import UPSTREAMS
from benchmarks.chaos.run import MIN_CALLS, PROBE_EVERY_S, THRESHOLD, WINDOW_S, Run
from benchmarks.chaos.upstreams import Attempt

_LATE_S = 0.3
"""Between what happens in one process and what another is told of it."""

_UNSURE = 0.1
"""Of a share of calls: some are seen twice by an upstream, or not at all."""

_SOON_S = 2.0
_BAD_STATUSES = frozenset({401, 402, 403, 408, 429})


@dataclass(slots=True)
class Change:
    """A breaker came into a state, at a time of `time.monotonic`."""

    at: float
    state: str
    reason: str = ""


@dataclass
class History:
    """One upstream's breaker, and what it judges by.

    Attributes:
        attempts: what the upstream was asked, but not what clients who left no longer waited for.
    """

    upstream: str
    changes: list[Change] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def opened(self) -> list[Change]:
        """The times at which it opened."""
        return [change for change in self.changes if change.state == "open"]

    def bad_share(self, until: float) -> tuple[int, float]:
        """How many calls ended within the window before a time, and the share of them that failed."""
        recent = [each for each in self.attempts if until - WINDOW_S <= each.asked.over <= until]
        bad = sum(map(is_bad, recent))
        return len(recent), bad / len(recent) if recent else 0.0


def is_bad(attempt: Attempt) -> bool:
    """Whether it says that its upstream does not work; what clients do wrong says that it does."""
    if attempt.killed:
        return True
    if attempt.action.good:
        return False
    return any(status >= 500 or status in _BAD_STATUSES for status in attempt.action.statuses)


def histories(run: Run) -> list[History]:
    """The breakers of all upstreams."""
    found = []
    left = {seen.job.word for seen in run.seen if seen.gone}
    for upstream in UPSTREAMS:
        mine = History(upstream.name)
        for event in run.events:
            if event.kind == "breaker" and event.data["breaker"]["name"] == upstream.target:
                told = event.data["breaker"]
                mine.changes.append(Change(event.at, told["state"], told["reason"]))
        for word, each in run.log.attempts.items():
            for attempt in each:
                if attempt.upstream == upstream.name and not (
                    word in left and attempt.asked.outcome == "gone"
                ):
                    mine.attempts.append(attempt)
        mine.attempts.sort(key=lambda attempt: attempt.at)
        found.append(mine)
    return found


def judge_breakers(run: Run) -> list[str]:
    """What is wrong with the breakers of a run, in words."""
    problems: list[str] = []
    for history in histories(run):
        name = history.upstream
        found = [
            *_opened_for_nothing(run, history),
            *_stayed_closed(run, history),
            *_asked_while_open(history),
            *_asked_while_probing(history),
            *_closed_for_nothing(history),
            *_stayed_open(run, history),
        ]
        problems += [f"breaker of {name}: {problem}" for problem in found]
    return problems


def _opened_for_nothing(run: Run, history: History) -> Iterator[str]:
    before = "closed"
    for change in history.changes:
        if change.state == "open" and before == "closed":
            dead = run.log.was_dead(history.upstream, change.at - WINDOW_S, change.at)
            moments = (change.at - _LATE_S, change.at - _LATE_S / 2, change.at, change.at + _LATE_S / 2)
            shares = [history.bad_share(moment) for moment in moments]
            if not dead and not any(
                calls >= MIN_CALLS and share >= THRESHOLD - _UNSURE for calls, share in shares
            ):
                yield f"opened at {shares} while it was well: {change.reason}"
        before = change.state


def _stayed_closed(run: Run, history: History) -> Iterator[str]:
    """Once a window holds enough calls and nearly nothing but failures, it must have opened."""
    for dead in (dead for dead in run.log.dead if dead.upstream == history.upstream):
        until = min(dead.until, run.ended)
        moment = dead.since + WINDOW_S + _LATE_S
        seen = [
            call
            for call in history.attempts
            if call.at >= dead.since and dead.since + _LATE_S <= call.asked.over <= moment and is_bad(call)
        ]
        if dead.way == "refuses" or len(seen) < 2 * MIN_CALLS or until < moment + _LATE_S:
            continue
        if not any(dead.since <= change.at <= moment + _LATE_S for change in history.opened) and not any(
            change.state != "closed" for change in [_state_at(history, dead.since)]
        ):
            yield f"stayed closed over {len(seen)} calls that failed ({dead.way})"


def _asked_while_open(history: History) -> Iterator[str]:
    for change in history.opened:
        end = change.at + PROBE_EVERY_S - _LATE_S / 2
        early = [call for call in history.attempts if change.at + _LATE_S / 2 < call.at < end]
        if early:
            yield f"{len(early)} calls while it was open, the first {early[0].at - change.at:.2f} s after"


def _asked_while_probing(history: History) -> Iterator[str]:
    for change, after in zip(history.changes, history.changes[1:], strict=False):
        if change.state != "half_open":
            continue
        probes = [
            call for call in history.attempts if change.at - _LATE_S / 4 < call.at < after.at - _LATE_S / 4
        ]
        # What was cut before its head is sent once more; after one whose client left comes the next.
        if sum(call.asked.outcome != "gone" for call in probes) > 2:
            yield f"{len(probes)} calls at once while it was half-open for {after.at - change.at:.2f} s"


def _closed_for_nothing(history: History) -> Iterator[str]:
    for before, change in zip(history.changes, history.changes[1:], strict=False):
        if change.state != "closed":
            continue
        if before.state != "half_open":
            yield f"closed from {before.state}"
        probes = [
            call
            for call in history.attempts
            if before.at - _LATE_S <= call.at <= change.at and not _is_wholly_bad(call)
        ]
        if not probes:
            yield "closed without a probe that was good"


def _is_wholly_bad(call: Attempt) -> bool:
    """Whether a call failed before anything of its answer came: a probe is good once it has begun."""
    return is_bad(call) and not call.midway


def _stayed_open(run: Run, history: History) -> Iterator[str]:
    """A good probe closes it at once."""
    for number, change in enumerate(history.changes):
        after = history.changes[number + 1] if number + 1 < len(history.changes) else None
        if change.state != "half_open":
            continue
        end = after.at if after is not None else run.ended
        good = [
            call
            for call in history.attempts
            if change.at - _LATE_S / 4 <= call.at and call.asked.over <= end and call.answered
        ]
        if good and end - good[0].asked.over > _SOON_S:
            yield f"not closed {end - good[0].asked.over:.1f} s after a good probe"
        if good and after is not None and after.state == "open" and after.at > good[0].asked.over + _LATE_S:
            yield "opened again after a good probe"


def _state_at(history: History, moment: float) -> Change:
    before = [change for change in history.changes if change.at <= moment]
    return before[-1] if before else Change(0.0, "closed")
