"""`python -m benchmarks.loops`: the guard on labelled conversations and on recorded sessions of agents."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.fidelity.conversations import load, requests_of
from benchmarks.loops.cases import Case, conversation, loops, work
from lynkr_desktop.engine.config.sessions import LoopGuardOptions
from lynkr_desktop.engine.resilience.loop_guard import Alarm, look
from lynkr_desktop.engine.wire.canonical import Message, Text, ToolResult, ToolUse

LIMITS = LoopGuardOptions()


def first_alarm(case: Case) -> tuple[int, Alarm] | None:
    """After how many actions the guard tells first, and what; None where it tells nothing."""
    for count in range(1, len(case.steps) + 1):
        if count < len(case.steps) and case.steps[count].beside:
            continue  # the client asks when all calls of a turn are answered
        if (alarm := look(conversation(case.steps[:count]), LIMITS)) is not None:
            return count, alarm
    return None


def recorded() -> Iterator[tuple[Message, ...]]:
    """The messages of each request of the recorded sessions."""
    for split in ("tune", "test"):
        for session in load(split):
            for request in requests_of(session):
                yield request.messages


def large(tokens: int, *, failed: int = 0) -> list[Message]:
    """A conversation of so many tokens, about; its last actions failed."""
    result, messages = "def f(x):\n    return x + 1\n" * 80, [Message("user", (Text("Tidy the code"),))]
    turns = tokens * 4 // len(result)
    for number in range(turns):
        call = ToolUse(f"c{number}", "Bash", {"command": f"cat f{number}.py", "description": "Read"})
        bad = number >= turns - failed
        body = f"Exit code 1\n{number} {result}" if bad else f"{number} {result}"
        answer = ToolResult(call.id, (Text(body),), bad)
        messages += [Message("assistant", (call,)), Message("user", (answer,))]
    return messages


def took(messages: tuple[Message, ...] | list[Message]) -> float:
    """Microseconds."""
    began = time.perf_counter_ns()
    look(messages, LIMITS)
    return (time.perf_counter_ns() - began) / 1e3


def _figures(times: list[float]) -> str:
    times.sort()
    return f"median {statistics.median(times):.0f} µs, p99 {times[int(len(times) * 0.99)]:.0f} µs"


def main() -> None:
    """Prints the figures."""
    missed = wrong = early = 0
    for case in loops():
        found = first_alarm(case)
        if found is None:
            missed += 1
            print(f"missed: {case.name}")
        elif found[1].cause != case.cause:
            wrong += 1
            print(f"other cause: {case.name}: {found[1].cause}")
        elif found[0] != case.at:
            early += 1
            print(f"after {found[0]} instead of {case.at}: {case.name}")
    alarms = [(case.name, found) for case in work() if (found := first_alarm(case)) is not None]
    for name, (count, alarm) in alarms:
        print(f"false alarm: {name}: {alarm.text} after {count}")
    print(f"loops: {len(loops())}, missed {missed}, with another cause {wrong}, at another action {early}")
    print(f"work: {len(work())}, false alarms {len(alarms)}")
    sessions = list(recorded())
    told = [alarm for messages in sessions if (alarm := look(messages, LIMITS)) is not None]
    print(f"recorded sessions of agents: {len(sessions):,} requests, alarms {len(told)}")
    print(f"time for one of them: {_figures([took(messages) for messages in sessions])}")
    for failed in (0, 14):
        messages = large(150_000, failed=failed)
        size = sum(len(b.text) for m in messages for b in m.content if isinstance(b, ToolResult)) // 4
        print(f"time at {size:,} tokens, {failed} failed: {_figures([took(messages) for _ in range(2_000)])}")


if __name__ == "__main__":
    main()
