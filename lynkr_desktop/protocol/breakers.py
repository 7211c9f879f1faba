"""Circuit breakers: models that are not asked for a while, because they failed or were slow."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

BreakerState = Literal["closed", "open", "half_open"]


class BreakerStatus(Struct, frozen=True):
    """One breaker: of a provider's endpoint, or of one model there.

    Attributes:
        name: `openai/gpt-4o`; `openai#2/gpt-4o` at the provider's second endpoint.
        state: `closed`: asked as usual; `open`: not asked; `half_open`: one request at a time is let through.
        calls: observed in the window; an open one keeps the figures that it opened with.
        bad: of these, those that failed.
        slow: of these, those whose first token came late.
        p95_s: seconds within which 95 % of the good calls of the window began to answer; None without any.
        opened: how often it opened since the engine started.
        retries: requests that were sent again after a pause, since the engine started.
        next_probe: when an open one lets the next request through, Unix seconds; None for the others.
        reason: why it opened, in a sentence; empty while closed.
    """

    name: str
    state: BreakerState
    calls: int = 0
    bad: int = 0
    slow: int = 0
    p95_s: float | None = None
    opened: int = 0
    retries: int = 0
    next_probe: float | None = None
    reason: str = ""


class BreakerList(Struct, frozen=True):
    """The breakers of everything that was asked lately, by name."""

    breakers: tuple[BreakerStatus, ...]
