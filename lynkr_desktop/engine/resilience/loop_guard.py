"""Whether an agent goes round in circles, read off its newest request alone.

A client repeats the whole conversation with each turn, so the end of it tells: actions that failed one after
the other, the same action with the same output, two that alternate, or very many turns since a person spoke.
Only the tail is read, and only as far as it still looks like a loop. What a person said ends every count, and
so does an action that a person knows of (`known`), since they went on after it.

What waits, or looks whether something is done, may be repeated: it ends a row of equal actions. Thoughts are
no actions, also those for which a model has a tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec import Struct

from lynkr_desktop.engine.resilience.actions import Action, actions, turns
from lynkr_desktop.engine.wire.canonical import Message
from lynkr_desktop.protocol.sessions import LoopCause


class Limits(Protocol):
    """How much of each is a loop."""

    @property
    def failed_actions(self) -> int:
        """Actions in a row that failed."""

    @property
    def same_action(self) -> int:
        """Times that one action was done in a row with the same output."""

    @property
    def alternating(self) -> int:
        """Times that a pair of actions was done in a row with the same outputs."""

    @property
    def iterations(self) -> int:
        """Turns of the model since a person spoke."""


class Alarm(Struct, frozen=True):
    """A loop.

    Attributes:
        cause: what kind of loop it is.
        count: how often it happened.
        action: the newest action, in one short line; empty where none matters.
    """

    cause: LoopCause
    count: int
    action: str = ""

    @property
    def text(self) -> str:
        """What happened, for people."""
        match self.cause:
            case "failed_actions":
                return f"{self.count} actions failed in a row"
            case "same_action":
                return f"the same action gave the same output {self.count} times in a row"
            case "alternating":
                return f"the same two actions alternated {self.count} times"
            case "iterations":
                return f"the model took {self.count} turns since a person last spoke"


def look(
    messages: Sequence[Message], limits: Limits, known: frozenset[str] = frozenset(), before: int = 0
) -> Alarm | None:
    """Says whether the end of a conversation is a loop, None where it is not.

    Args:
        messages: of the newest request.
        limits: from where on it is one.
        known: marks of actions that a person knows of (`actions.marks`).
        before: turns that the model had before the conversation was compacted.
    """
    tail = _Tail(actions(messages, known))
    newest = tail.at(0)
    if newest is not None:
        failed = _failed(tail, limits.failed_actions)
        if failed >= limits.failed_actions:
            return Alarm("failed_actions", failed, newest.said)
        same = _same(tail, limits.same_action)
        if same >= limits.same_action:
            return Alarm("same_action", same, newest.said)
        if same == 1:
            pairs = _alternating(tail, 2 * limits.alternating) // 2
            if pairs >= limits.alternating:
                return Alarm("alternating", pairs, newest.said)
    if len(messages) + before > limits.iterations:
        count = before + turns(messages, known, max(1, limits.iterations - before))
        if count >= limits.iterations:
            return Alarm("iterations", count)
    return None


class _Tail:
    """Actions that did something, the newest first, read as far as they are asked for."""

    def __init__(self, found: Iterator[Action]) -> None:
        self._found = found
        self._read: list[Action] = []

    def at(self, place: int) -> Action | None:
        """One of them, 0 the newest; None where there are not so many."""
        while len(self._read) <= place:
            action = next(self._found, None)
            if action is None:
                return None
            if not action.thinks:
                self._read.append(action)
        return self._read[place]


def _failed(tail: _Tail, most: int) -> int:
    """How many failed in a row."""
    for count in range(most):
        action = tail.at(count)
        if action is None or not action.failed:
            return count
    return most


def _same(tail: _Tail, most: int) -> int:
    """How often the newest was done in a row."""
    newest = tail.at(0)
    for count in range(1, most):
        before = tail.at(count)
        if before is None or newest is None or not before.repeats(newest) or newest.waits:
            return count
    return most


def _alternating(tail: _Tail, most: int) -> int:
    """How many of the newest are two that alternate."""
    for count in range(2, most):
        before, now = tail.at(count), tail.at(count - 2)
        if before is None or now is None or not before.repeats(now) or now.waits:
            return count
    return most
