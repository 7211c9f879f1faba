"""Which tier a conversation is at, so that it keeps its model, and with it the provider's prompt cache.

A task keeps its tier while tool results come in and a person says yes or go on; within it the tier only
rises. A new ask may rise at once. It may fall by one tier where nothing is lost by that, since the cache is
cold, and where it is much easier, or the second in a row that is easier. Side requests neither read nor write
any of this.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.protocol.tiers import TIERS, Tier

CACHE_SECONDS = 300.0
"""How long providers keep a cached prompt that nobody asks for: five minutes at Anthropic and OpenAI."""

FORGET_SECONDS = 6 * 3600.0
MAX_SESSIONS = 4096

_MUCH_EASIER = 2
"""Tiers below the present one from which a new ask counts as much easier."""


_Key = tuple[str, int | None]
"""A session with the hash of a conversation's first ask; None stands for the session as a whole."""


class State(Struct, frozen=True, kw_only=True):
    """Where a conversation is.

    Attributes:
        tier: that it is at.
        task: hash of the ask that it works on; nothing of it need outlive this process.
        at: when it was last heard of, in seconds of the clock.
        easier: new asks in a row that wanted a lower tier and were kept at this one.
    """

    tier: Tier
    task: int
    at: float = 0.0
    easier: int = 0


class Settled(Struct, frozen=True):
    """The tier to take, and why it is not the score's; empty where it is."""

    tier: Tier
    why: str = ""


_AS_SCORED = {tier: Settled(tier) for tier in TIERS}


def step(state: State | None, ask: Ask, wanted: Tier, now: float) -> tuple[State, Settled]:
    """The next state of a conversation. A pure function.

    Args:
        state: the present one, None at the beginning.
        ask: of the request.
        wanted: the tier of its score.
        now: in seconds.
    """
    task = hash(ask.subject)
    if state is None:
        return State(tier=wanted, task=task, at=now), _AS_SCORED[wanted]
    same_task = task == state.task or bool(ask.follow_up)
    if wanted is state.tier or wanted.rank > state.tier.rank:
        why = f"raised from {state.tier} for this task" if same_task and wanted is not state.tier else ""
        tier, easier = wanted, 0
    elif same_task:
        tier, easier, why = state.tier, state.easier, f"kept at {state.tier} for this task"
    else:
        below = TIERS[state.tier.rank - 1]
        cold = now - state.at > CACHE_SECONDS
        if cold or state.easier or state.tier.rank - wanted.rank >= _MUCH_EASIER:
            reason = "its cache is cold" if cold else "this is easier"
            tier, easier = below, 0
            why = f"down from {state.tier} by one tier, since {reason}"
        else:
            tier, easier, why = state.tier, 1, f"kept at {state.tier}, whose cache is warm"
    after = State(tier=tier, task=state.task if same_task else task, at=now, easier=easier)
    return after, Settled(tier, why) if why else _AS_SCORED[tier]


class Sessions:
    """The conversations that were heard of lately; the longest silent ones are forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, limit: int = MAX_SESSIONS) -> None:
        self.forget_after = FORGET_SECONDS
        self._clock = clock
        self._limit = limit
        self._states: OrderedDict[_Key, State] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def settle(self, session: str, ask: Ask, wanted: Tier) -> Settled:
        """Takes the next request of a conversation.

        Args:
            session: the client's own name for it, empty where it gives none; then its first ask names it.
            ask: of the request.
            wanted: the tier of its score.
        """
        now, states = self._clock(), self._states
        own = _own(session, ask)
        after, settled = step(self._find(own, ask, now), ask, wanted, now)
        for key in (own, (session, None)) if session else (own,):
            states[key] = after
            states.move_to_end(key)
        while len(states) > self._limit:
            states.popitem(last=False)
        return settled

    def peek(self, session: str, ask: Ask, wanted: Tier) -> Settled:
        """What `settle` would say now, without noting it: for explanations."""
        now = self._clock()
        return step(self._find(_own(session, ask), ask, now), ask, wanted, now)[1]

    def forget(self, belongs: Callable[[str], bool], first: str = "") -> None:
        """Forgets a session, so that its next request is taken for that of a new one.

        Args:
            belongs: whether a client's name for a session is the one that is meant.
            first: the first ask, for a session without such a name.
        """
        asked = hash(first) if first else None
        for key in list(self._states):
            session, thread = key
            if belongs(session) if session else thread is not None and thread == asked:
                del self._states[key]

    def _find(self, own: _Key, ask: Ask, now: float) -> State | None:
        """The state of a conversation, by its own name and else by its session.

        The first ask is lost when a harness compacts a conversation; what goes on is found by the session.
        """
        state = self._fresh(own, now)
        session = own[0]
        return self._fresh((session, None), now) if state is None and session and ask.follow_up else state

    def _fresh(self, key: _Key, now: float) -> State | None:
        state = self._states.get(key)
        if state is not None and now - state.at > self.forget_after:
            del self._states[key]
            return None
        return state


def _own(session: str, ask: Ask) -> _Key:
    """The name of a conversation: agents that work for another share its session, not its first ask."""
    return session, hash(ask.first)
