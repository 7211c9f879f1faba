"""How many turns a conversation had before its history was compacted.

An agent's program that runs out of room goes on from a summary, in the same session: of the turns before it,
nothing is left to be counted. So the latest count of long conversations is remembered. It is lost with the
process, which only lets a session go on for longer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from msgspec import Struct

from lynkr_desktop.engine.resilience.actions import is_compacted, turns
from lynkr_desktop.engine.wire.canonical import Message

LONG = 40
"""Messages from which on a conversation is one that may be compacted."""

_SESSIONS = 2_000


class _Run(Struct, frozen=True):
    """The longest conversation of a session.

    Attributes:
        first: its first ask.
        length: messages of its newest request.
        before: turns before it was compacted.
        count: turns since a person last spoke, with those.
    """

    first: str
    length: int
    before: int
    count: int


class Compacted:
    """Bounded: the sessions that were silent for longest are forgotten."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    def forget(self, name: str) -> None:
        """Begins anew for a session."""
        self._runs.pop(name, None)

    def before(self, name: str, first: str, messages: Sequence[Message], known: frozenset[str]) -> int:
        """Takes a request, and says how many turns were before the history that it brings.

        Args:
            name: of the session.
            first: the first ask of the conversation; agents that work for another share its session.
            messages: the whole conversation.
            known: marks of actions that a person knows of.
        """
        run = self._runs.get(name)
        compacted = is_compacted(messages)
        if run is None and len(messages) < LONG:
            return 0
        if not compacted:
            if run is None or first == run.first or len(messages) > run.length:
                self._keep(name, _Run(first, len(messages), 0, turns(messages, known)))
            return 0
        if run is None:
            return 0
        own, since = turns(messages, known), sum(message.role == "assistant" for message in messages)
        if own < since:
            before = 0  # a person spoke after the summary, or knows of what was done since
        elif first == run.first and len(messages) >= run.length:
            before = run.before
        else:
            before = run.count
        self._keep(name, _Run(first, len(messages), before, before + own))
        return before

    def _keep(self, name: str, run: _Run) -> None:
        self._runs[name] = run
        self._runs.move_to_end(name)
        if len(self._runs) > _SESSIONS:
            self._runs.popitem(last=False)
