"""Rates: those that are set, and what was learned of an endpoint's own."""

from __future__ import annotations

from lynkr_desktop.engine.resilience.ratelimits import LONGEST_HOLD, Budget

_RAMP, _SPACING = 5.0, 0.1
"""After a hold, for so many seconds, requests go out so far apart: all at once would be refused anew."""


class Bucket:
    """A token bucket. It may be overdrawn; then it takes longer until something is in it again.

    Args:
        level: what is in it.
        capacity: what fits in.
        rate: what flows in each second.
        now: in seconds of a clock that never goes back.
    """

    __slots__ = ("_at", "capacity", "level", "rate")

    def __init__(self, level: float, capacity: float, rate: float, now: float) -> None:
        self.level, self.capacity, self.rate = level, capacity, rate
        self._at = now

    @classmethod
    def per_minute(cls, most: int, now: float) -> Bucket:
        """One that lets out `most` in any minute, a tenth of it at once."""
        capacity = max(1.0, most / 10)
        rate = (most - capacity) / 60 if most > 1 else 1 / 60
        return cls(capacity, capacity, rate, now)

    def wait(self, now: float, needed: float = 1.0) -> float:
        """Seconds until `needed`, or all that fits in, is there."""
        self._flow(now)
        missing = min(needed, self.capacity) - self.level
        return missing / self.rate if missing > 1e-9 else 0.0

    def take(self, now: float, amount: float) -> None:
        """Takes so much out, be it there or not."""
        self._flow(now)
        self.level -= amount

    def _flow(self, now: float) -> None:
        if now > self._at:
            self.level = min(self.capacity, self.level + (now - self._at) * self.rate)
            self._at = now


class ModelLimits:
    """What was learned of one model: providers limit each for itself."""

    __slots__ = ("held_until", "next_at", "ramp_until", "refusals", "requests", "why")

    def __init__(self) -> None:
        self.held_until = self.ramp_until = self.next_at = 0.0
        self.why = ""
        self.refusals = 0
        self.requests: Bucket | None = None

    def hold(self, now: float, seconds: float, why: str) -> None:
        """Lets nothing go for so long, an hour at most."""
        until = now + min(seconds, LONGEST_HOLD)
        if until > self.held_until:
            self.held_until, self.why = until, why
            self.ramp_until = until + _RAMP

    def wait(self, now: float, position: int) -> float:
        """Seconds until the request may go that has so many before it; not above 0 where it may."""
        wait = self.held_until - now
        if now < self.ramp_until:
            wait = max(wait, self.next_at - now)
        if self.requests is not None:
            wait = max(wait, self.requests.wait(now, 1.0 + position))
        return wait

    def admit(self, now: float) -> None:
        """Counts a request that goes."""
        if now < self.ramp_until:
            self.next_at = now + _SPACING
        if self.requests is not None:
            self.requests.take(now, 1.0)

    def learn(self, budget: Budget, in_flight: int, now: float) -> None:
        """Takes what is left of the endpoint's own count, in which requests in flight may be missing."""
        rate = (budget.limit - budget.remaining) / budget.reset
        least = budget.remaining - in_flight
        if self.requests is None:
            # The one that brought the news is counted.
            level = least + 1
        else:
            self.requests.wait(now)
            level = min(max(self.requests.level, least), budget.remaining)
        self.requests = Bucket(min(level, budget.remaining), budget.limit, rate, now)

    def clean(self, now: float) -> bool:
        """Whether nothing of it matters any more."""
        return self.requests is None and not self.refusals and now >= self.ramp_until
