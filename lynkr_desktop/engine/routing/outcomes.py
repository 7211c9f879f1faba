"""What became of a decision, by what later requests of the same conversation show.

An answer with status 200 says nothing about its worth. What happens next does: tools that fail, tests that
pass or fail, a person who refuses calls, asks the same again, says that it still does not work, or turns to a
stronger model. A task begins with what a person asks and goes on through tool results and short assents; all
that happens in it counts for the decision at its beginning, since the tier is kept from there on.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.routing.suites import Tests, tests_in
from lynkr_desktop.engine.wire.canonical import Message, ToolResult, ToolUse
from lynkr_desktop.protocol.routing import Outcome, Verdict
from lynkr_desktop.protocol.tiers import Tier

FollowUp = Literal["", "agreed", "continued", "failed"]

_CONVERSATIONS = 2_000
"""That are remembered; the ones that were silent for longest are forgotten."""

_ASK = 600
"""Characters of an ask that are compared."""

_ALIKE = 0.8
_SHORT = 8
_MANY_ERRORS = 3
_MANY_REFUSALS = 2
"""One may be a change of mind."""


class Seen(Struct, frozen=True, kw_only=True):
    """A request, as far as it tells what became of earlier ones.

    Attributes:
        id: of the request.
        conversation: what names its conversation; empty where nothing does, then nothing is concluded.
        thread: what its turns begin with: the helpers that an agent starts share its session, not its thread.
        ask: what a person asked last, cleaned of what a harness put around it; empty where nobody looked,
            since they named a tier or a model.
        follow_up: whether that only assents to, continues or complains about what was done before.
        continuation: whether the newest turn brings tool results and no words of a person.
        messages: the whole conversation.
        tier: that was taken; None for a model that the client named and that no tier has.
        wanted: the tier that a person asked for by name, or that has the model they named; None where the
            score decided.
        answered: whether it got an answer; the same ask after an error is no sign of a poor one.
    """

    id: str
    conversation: str
    thread: str = ""
    ask: str = ""
    follow_up: FollowUp = ""
    continuation: bool = False
    messages: tuple[Message, ...] = ()
    tier: Tier | None = None
    wanted: Tier | None = None
    answered: bool = True


class Conclusion(NamedTuple):
    """The task that a request belongs to, empty if unknown, and what is now known of which decisions."""

    task: str
    outcomes: tuple[tuple[str, Outcome], ...] = ()


class _Task(Struct):
    """The task that a conversation is at. `last` is the call whose result was looked at last."""

    id: str
    ask: str
    tier: Tier | None
    last: str
    answered: bool
    outcome: Outcome = Outcome()


class Outcomes:
    """Follows conversations. Each request is shown once, in the order in which they end."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[tuple[str, str], _Task] = OrderedDict()
        self._latest: dict[str, tuple[str, str]] = {}

    def see(self, seen: Seen) -> Conclusion:
        """What a request tells of the decision before it, and the task that it belongs to."""
        if not seen.conversation:
            return Conclusion("" if seen.continuation else seen.id)
        if not seen.ask and seen.wanted is not None:
            return self._named(seen)
        key = seen.conversation, seen.thread[:_ASK]
        task = self._tasks.get(key)
        if task is None:
            if seen.continuation:
                return Conclusion("")  # its beginning was before the engine's
            return self._begin(key, seen, ())
        self._tasks.move_to_end(key)
        self._latest[seen.conversation] = key
        before = task.outcome
        _take_results(task, seen.messages)
        if seen.continuation or seen.follow_up in ("agreed", "continued"):
            task.answered = seen.answered
            return Conclusion(task.id, _changed(task, before))
        if seen.follow_up == "failed" or same_ask(task.ask, seen.ask):
            if task.answered:
                task.outcome = replace(task.outcome, retried=task.outcome.retried + 1)
        else:
            task.outcome = replace(task.outcome, followed=True)
        return self._begin(key, seen, _changed(task, before))

    def _named(self, seen: Seen) -> Conclusion:
        """A person asks by name for a tier or a model: for more than the score had chosen, or not."""
        key = self._latest.get(seen.conversation)
        task = self._tasks.get(key) if key is not None else None
        if task is None or task.tier is None or seen.wanted is None or seen.wanted.rank <= task.tier.rank:
            return Conclusion("")
        before = task.outcome
        task.outcome = replace(before, escalated=True)
        return Conclusion("", _changed(task, before))

    def _begin(self, key: tuple[str, str], seen: Seen, told: tuple[tuple[str, Outcome], ...]) -> Conclusion:
        self._tasks[key] = _Task(
            id=seen.id,
            ask=seen.ask[:_ASK],
            tier=seen.tier,
            last=_newest_result(seen.messages),
            answered=seen.answered,
        )
        self._latest[seen.conversation] = key
        if len(self._tasks) > _CONVERSATIONS:
            oldest, _ = self._tasks.popitem(last=False)
            if self._latest.get(oldest[0]) == oldest:
                del self._latest[oldest[0]]
        return Conclusion(seen.id, told)


def verdict(outcome: Outcome) -> Verdict:
    """What happened in one word, empty where nothing tells. That a tier was too strong, only a mark says."""
    if outcome.escalated or outcome.retried or outcome.denied >= _MANY_REFUSALS:
        return "under"
    if outcome.tests:
        return "under" if outcome.tests == "failed" else "good"
    if outcome.errors >= _MANY_ERRORS and 2 * outcome.errors >= outcome.results:
        return "under"
    return "good" if outcome.followed or outcome.results > outcome.errors else ""


def same_ask(one: str, other: str) -> bool:
    """Whether two texts ask the same, perhaps in slightly other words. Other names make another ask."""
    one, other = one[:_ASK], other[:_ASK]
    plain = _plain(one)
    if len(plain) < _SHORT or one == other:
        return len(plain) >= _SHORT
    one, other = plain, _plain(other)
    if one == other:
        return True
    if len(other) < _SHORT:
        return False
    if _names(one) != _names(other):
        return False
    first, second = _trigrams(one), _trigrams(other)
    return len(first & second) >= _ALIKE * len(first | second)


def _changed(task: _Task, before: Outcome) -> tuple[tuple[str, Outcome], ...]:
    return () if task.outcome == before else ((task.id, task.outcome),)


# ---------------------------------------------------------------- tool results

_RUNS = re.compile(r"bash|shell|exec|terminal|command|run|process|test", re.IGNORECASE)
"""Names of tools that run programs. What a file or a web page says of tests is no run of them."""

_REFUSED = re.compile(
    r"doesn't want to (?:proceed|take this action)|tool use was rejected|"
    r"\brejected by (?:the )?user|\buser (?:has )?(?:rejected|denied|declined)|denied by (?:the )?user"
)
_REFUSAL_MARKS = ("want to", "reject", "denied", "declined")
"""One of these stands in each refusal; looking for them first spares most results the slow pattern."""

_FAILED = re.compile(
    r"\A\s*(?:<tool_use_error>|error\b|fatal:|traceback \(most|"
    r"exit code:? [1-9]|process exited with code [1-9])",
    re.IGNORECASE,
)


def refused(text: str) -> bool:
    """Whether the result of a tool says that a person did not let it run."""
    start = text[:500]
    return any(map(start.__contains__, _REFUSAL_MARKS)) and _REFUSED.search(start) is not None


def _newest_result(messages: tuple[Message, ...]) -> str:
    """The call that was answered last, empty where none was."""
    for message in reversed(messages):
        for block in reversed(message.content):
            if isinstance(block, ToolResult):
                return block.tool_use_id
    return ""


class _New(NamedTuple):
    """Tool results in their order, each with the name of its tool, and the id of the last call there is."""

    results: list[tuple[ToolResult, str]]
    last: str


def _new_results(messages: tuple[Message, ...], last: str) -> _New:
    """The results behind the one of call `last`; none where that is gone, since a history was compacted."""
    found: list[ToolResult] = []
    names: dict[str, str] = {}
    for message in reversed(messages):
        for block in reversed(message.content):
            if isinstance(block, ToolUse):
                names[block.id] = block.name
            elif isinstance(block, ToolResult):
                if block.tool_use_id == last:
                    return _with_tools(found, names, last)
                found.append(block)
    return _New([], _newest_result(messages)) if last else _with_tools(found, names, "")


def _with_tools(found: list[ToolResult], names: dict[str, str], last: str) -> _New:
    results = [(result, names.get(result.tool_use_id, "run")) for result in reversed(found)]
    return _New(results, results[-1][0].tool_use_id if results else last)


def _take_results(task: _Task, messages: tuple[Message, ...]) -> None:
    """Looks at the tool results that are new since the last request of the task."""
    if not task.last and len(messages) < 2:  # nothing can have been called
        return
    new, task.last = _new_results(messages, task.last)
    if not new:
        return
    outcome = task.outcome
    errors = denied = 0
    last: Tests | None = None
    for result, tool in new:
        text = result.text
        if refused(text):
            denied += 1
        elif _RUNS.search(tool) and (tests := tests_in(text)) is not None:
            last = tests
        elif result.is_error or _FAILED.match(text):
            errors += 1
    outcome = replace(
        outcome,
        results=outcome.results + len(new),
        errors=outcome.errors + errors,
        denied=outcome.denied + denied,
    )
    if last is not None:
        outcome = replace(
            outcome,
            tests="failed" if last.failed else "passed",
            tests_passed=last.passed,
            tests_failed=last.failed,
        )
    task.outcome = outcome


# ---------------------------------------------------------------- comparing asks

_NAME = re.compile(r"\w[./_\\:#]\w|\d")
"""In a word that names one thing rather than another: a path, a qualified name, a number."""


def _names(text: str) -> set[str]:
    return {word for word in text.split() if _NAME.search(word)}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!?…。！？")


def _trigrams(text: str) -> set[str]:
    return {text[place : place + 3] for place in range(len(text) - 2)}
