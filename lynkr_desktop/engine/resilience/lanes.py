"""The way to one endpoint of a provider: how many requests may be on it, how fast, and who goes next.

A lane holds back what the endpoint would refuse: by the limits of the configuration, and by those that the
endpoint itself tells in its headers. Requests that must wait stand in a queue by priority, then by arrival.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from lynkr_desktop.engine.providers.base import provider_of
from lynkr_desktop.engine.providers.http import retry_after as told_retry_after
from lynkr_desktop.engine.resilience.learned import Bucket, ModelLimits
from lynkr_desktop.engine.resilience.ratelimits import read_limits
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.lanes import LaneStatus

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")

HEAD_START: dict[Priority, float] = {"high": 0.0, "normal": 20.0, "low": 40.0}
"""Seconds by which a request of a higher priority may be younger and still goes first. As it is no more than
that, nobody is passed for ever."""

_MOST_MODELS = 64
_NO_LIMIT = 1 << 30
_NEAR = 64
"""Requests that are left of a limit; with more, it is not counted down."""

_LULL = 60.0
"""Seconds without a refusal after which a learned concurrency is forgotten."""

_USUAL_PACE = 1.0
"""Seconds between two requests that leave a full lane, while nothing is known of it."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 8.0
"""Seconds of the hold after a refusal that tells no time: doubled each time that another follows."""

_MOMENT = 0.1
"""Seconds by which two looks at the same wait may differ."""

_FIRST_HOLD = 5.0
"""Seconds for which the first Retry-After is believed, however long it is."""


class LaneLimits(Struct, frozen=True):
    """What the configuration allows on a lane; None is no limit."""

    max_concurrent: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class QueueLimits(Struct, frozen=True):
    """How many requests may wait in a lane, and for how many seconds."""

    max_waiting: int = 256
    max_wait: float = 60.0


NO_LIMITS = LaneLimits()
USUAL_QUEUE = QueueLimits()


class _Waiter:
    __slots__ = ("at", "deadline", "future", "model", "rank", "tokens")

    def __init__(
        self,
        rank: tuple[float, int],
        model: str,
        tokens: int,
        at: float,
        deadline: float,
        future: asyncio.Future[None],
    ) -> None:
        self.rank, self.model, self.tokens = rank, model, tokens
        self.at, self.deadline, self.future = at, deadline, future


class Lane:
    """One endpoint's lane. Each `try_enter` that gave True and each `enter` that returned needs a `leave`.

    Args:
        name: of the endpoint: `openai`, or `openai#2` for the second of a provider.
        limits: those of the configuration.
        queue: how many may wait, and how long.
        clock: seconds that never go back.
        waited: is told the seconds for which each request stood in the queue.
    """

    def __init__(
        self,
        name: str,
        limits: LaneLimits = NO_LIMITS,
        queue: QueueLimits = USUAL_QUEUE,
        *,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.in_flight = 0
        self._clock = clock
        self._waited = waited
        self._waiters: list[_Waiter] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None
        self._models: dict[str, ModelLimits] = {}
        self._learned_most: int | None = None
        self._cut_at = 0.0
        self._good = 0
        self._stale = self._fitting = 0
        self._left_at: float | None = None
        self._pace = 0.0
        self.limits = NO_LIMITS
        self.queue = queue
        self._most = _NO_LIMIT
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None
        self.take(limits, queue)

    def take(self, limits: LaneLimits, queue: QueueLimits) -> None:
        """Goes by other options from now on; what is known of the endpoint stays."""
        now, old, self.limits, self.queue = self._clock(), self.limits, limits, queue
        if limits.requests_per_minute != old.requests_per_minute:
            most = limits.requests_per_minute
            self._requests = None if most is None else Bucket.per_minute(most, now)
        if limits.tokens_per_minute != old.tokens_per_minute:
            most = limits.tokens_per_minute
            self._tokens = None if most is None else Bucket.per_minute(most, now)
        self._set_most()
        self._dispatch()

    def forget(self) -> None:
        """Drops what was learned of the endpoint: its key or its address is another one now."""
        self._models.clear()
        self._learned_most = None
        self._set_most()
        self._dispatch()

    # ------------------------------------------------------------ requests

    def try_enter(self, model: str = "", tokens: int = 0) -> bool:
        """Takes a place where one is free at once and nobody waits for it.

        Args:
            model: the provider's own name of it.
            tokens: of the prompt, as far as they are known.
        """
        if self.in_flight >= self._most or self._waiters:
            return False
        if self._models or self._requests is not None or self._tokens is not None:
            now = self._clock()
            if self._wait_of(model, now) > 0:
                return False
            self._admit(model, tokens, now)
        else:
            self.in_flight += 1
        return True

    async def enter(
        self,
        priority: Priority = "normal",
        max_wait: float | None = None,
        *,
        model: str = "",
        tokens: int = 0,
    ) -> None:
        """Takes a place as soon as it is this request's turn.

        Args:
            priority: who goes before whom.
            max_wait: seconds; the queue's own limit where it is None.
            model: the provider's own name of it.
            tokens: of the prompt, as far as they are known.

        Raises:
            WireError: 429 when the queue is full, when the wait is known to be longer than `max_wait`, or
                when that much time has passed.
        """
        if self.try_enter(model, tokens):
            return
        now = self._clock()
        longest = self.queue.max_wait if max_wait is None else max_wait
        if len(self._waiters) >= self.queue.max_waiting:
            raise self._full()
        known = self._wait_of(model, now)
        if known > longest:
            raise self._limited(model, known)
        loop = asyncio.get_running_loop()
        self._arrivals += 1
        rank = now + HEAD_START[priority], self._arrivals
        waiter = _Waiter(rank, model, tokens, now, now + longest, loop.create_future())
        insort(self._waiters, waiter, key=lambda each: each.rank)
        self._dispatch()
        expiry = loop.call_later(longest, self._expire, waiter, longest)
        try:
            await waiter.future
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.future.cancelled() and waiter.future.exception() is None:
                # It was given its place, and cancelled before it could learn of it.
                self.leave()
            raise
        finally:
            expiry.cancel()
            self._waited(self._clock() - now)

    def leave(self, tokens: int = 0) -> None:
        """Gives a place back; `tokens` are those that were not known when it was taken: of the answer."""
        assert self.in_flight > 0, "left more often than entered"
        self.in_flight -= 1
        if tokens and self._tokens is not None:
            self._tokens.take(self._clock(), tokens)
        if self._waiters:
            now = self._clock()
            if self._left_at is not None:
                pace = now - self._left_at
                self._pace = pace if not self._pace else self._pace + 0.2 * (pace - self._pace)
            self._left_at = now
            self._dispatch()
        else:
            self._left_at = None

    # ------------------------------------------------------------ what the endpoint tells

    def learn(
        self,
        status: int,
        headers: Mapping[str, str],
        *,
        retry_after: float | None = None,
        model: str = "",
    ) -> None:
        """Takes what an answer says about limits. To be called before its request leaves.

        Args:
            status: of the answer.
            headers: of the answer; their names in lower case, or a mapping that ignores case.
            retry_after: seconds, where they were read from the headers before.
            model: the provider's own name of the model that was asked.
        """
        known = self._models.get(model)
        if not headers and known is None and self._learned_most is None and status < 400:
            return
        now = self._clock()
        self._stale = max(0, self._stale - 1)
        told = read_limits(headers, _NEAR + self.in_flight, time.time())
        known = known or ModelLimits()
        if told.requests is not None:
            known.learn(told.requests, self.in_flight, now)
        elif status < 400:
            known.requests = None
        if told.hold:
            known.hold(now, told.hold, told.why)
        if status in (429, 503, 529):
            wait = max(told.hold, told.requests.wait if told.requests is not None else 0.0)
            self._refused(known, status, wait, headers, retry_after, now)
        elif status < 400:
            known.refusals = 0
            self._went_well(now)
        if known.clean(now):
            self._models.pop(model, None)
        else:
            self._keep(model, known)
        if self._waiters:
            self._dispatch()

    def _refused(
        self,
        known: ModelLimits,
        status: int,
        wait: float,
        headers: Mapping[str, str],
        retry_after: float | None,
        now: float,
    ) -> None:
        seconds = retry_after if retry_after is not None else told_retry_after(headers)
        if seconds is not None:
            # It may be meant for this request alone: the first is believed for a moment, another for good.
            believed = seconds if known.refusals else min(seconds, _FIRST_HOLD)
            known.refusals += 1
            known.hold(now, believed, f"it answered {status} and asked for a pause")
        elif status != 429:
            return
        elif wait:
            known.hold(now, wait, known.why or "no requests left")
        elif self.in_flight > 1:
            self._cut(now)
        else:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(known.refusals, 10))
            known.refusals += 1
            known.hold(now, pause, "it answered 429 without saying for how long")

    def _cut(self, now: float) -> None:
        """Too many at once, as it seems: half as many from now on (AIMD, as TCP finds its share of a line).

        Of those that are on their way by then, no more fit than are not refused.
        """
        if self._stale and self._learned_most is not None:
            self._fitting -= 1
            self._learned_most = max(1, min(self._learned_most, self._fitting))
        else:
            self._learned_most = max(1, min(self.in_flight, self._most) // 2)
            self._stale, self._fitting = self.in_flight, self.in_flight - 1
        self._cut_at, self._good = now, 0
        self._set_most()

    def _went_well(self, now: float) -> None:
        """One more at once after each round that went well."""
        if self._learned_most is None:
            return
        self._good += 1
        if now - self._cut_at >= _LULL:
            self._learned_most = None
        elif self._good >= self._learned_most and (self._waiters or self.in_flight >= self._learned_most):
            self._learned_most += 1
            self._good = 0
        self._set_most()

    def _set_most(self) -> None:
        self._most = min(self.limits.max_concurrent or _NO_LIMIT, self._learned_most or _NO_LIMIT)

    def _keep(self, model: str, known: ModelLimits) -> None:
        if model not in self._models and len(self._models) >= _MOST_MODELS:
            del self._models[min(self._models, key=lambda each: self._models[each].held_until)]
        self._models[model] = known

    # ------------------------------------------------------------ the queue

    def _wait_of(self, model: str, now: float, position: int = 0) -> float:
        """Seconds for which rates and holds keep a request back, with so many before it; 0 or less: none."""
        wait = 0.0
        known = self._models.get(model)
        if known is not None:
            wait = known.wait(now, position)
        if self._requests is not None:
            wait = max(wait, self._requests.wait(now, 1.0 + position))
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait(now))
        return wait

    def _admit(self, model: str, tokens: int, now: float) -> None:
        self.in_flight += 1
        if (known := self._models.get(model)) is not None:
            known.admit(now)
        if self._requests is not None:
            self._requests.take(now, 1.0)
        if self._tokens is not None:
            self._tokens.take(now, tokens)

    def _dispatch(self) -> None:
        """Lets in who may enter now, and comes back when time alone will let in another."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiters:
            return
        now = self._clock()
        soonest: float | None = None
        if self._learned_most is not None:
            soonest = self._cut_at + _LULL - now
            if soonest <= 0:
                self._learned_most = soonest = None
                self._set_most()
        staying: list[_Waiter] = []
        for waiter in self._waiters:
            if waiter.future.done():
                continue
            wait = self._wait_of(waiter.model, now)
            if wait > waiter.deadline - now:
                waiter.future.set_exception(self._limited(waiter.model, wait))
            elif wait <= 0 and self.in_flight < self._most:
                self._admit(waiter.model, waiter.tokens, now)
                waiter.future.set_result(None)
            else:
                staying.append(waiter)
                if wait > 0:
                    soonest = wait if soonest is None else min(soonest, wait)
        self._waiters = staying
        if soonest is not None and staying:
            self._timer = asyncio.get_running_loop().call_later(soonest + 0.001, self._dispatch)

    def _expire(self, waiter: _Waiter, longest: float) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            waiter.future.set_exception(self._too_long(waiter.model, longest))

    # ------------------------------------------------------------ what is told

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiters)

    def expected_wait(self, model: str = "") -> float:
        """Seconds that another request would wait, as far as can be told; 0 where it would not."""
        ahead = len(self._waiters)
        wait = max(0.0, self._wait_of(model, self._clock(), ahead))
        if ahead or self.in_flight >= self._most:
            wait = max(wait, (self._pace or _USUAL_PACE) * (ahead + 1))
        return wait

    def oldest_wait(self) -> float:
        """Seconds for which the request that came first has been waiting."""
        if not self._waiters:
            return 0.0
        return self._clock() - min(waiter.at for waiter in self._waiters)

    def status(self) -> LaneStatus:
        """The lane as it stands."""
        now = self._clock()
        held = {model: known for model, known in self._models.items() if known.held_until > now}
        longest = max(held.values(), key=lambda known: known.held_until, default=None)
        return LaneStatus(
            name=self.name,
            in_flight=self.in_flight,
            waiting=len(self._waiters),
            max_concurrent=self._most if self._most < _NO_LIMIT else None,
            oldest_wait_s=round(self.oldest_wait(), 3),
            expected_wait_s=round(self.expected_wait(), 3),
            limited_until=None if longest is None else round(time.time() + longest.held_until - now),
            why="" if longest is None else longest.why,
            limited_models=tuple(sorted(filter(None, held))),
        )

    def _limited(self, model: str, wait: float) -> WireError:
        known = self._models.get(model)
        named = f"{self.name}/{model}" if model else self.name
        if known is not None and known.wait(self._clock(), 0) > wait - _MOMENT:
            why = f" ({known.why})" if known.why else ""
            message = (
                f"{named} takes no requests for the next {_seconds(wait)}{why}. Wait, list another model or "
                f"provider in the tier, or give {self._provider} another endpoint or key."
            )
        else:
            message = (
                f"{named} has had as many requests or tokens as its options allow a minute. Wait "
                f"{_seconds(wait)}, or raise providers.{self._provider}.requests_per_minute or "
                "tokens_per_minute."
            )
        return _rate_limit(message, wait)

    def _full(self) -> WireError:
        return _rate_limit(
            f"{self.name} has {len(self._waiters)} requests waiting, which is all that "
            "resilience.queue.max_waiting allows. Try again later, or ask with fewer at once.",
            max(1.0, self.expected_wait()),
        )

    def _too_long(self, model: str, longest: float) -> WireError:
        return _rate_limit(
            f"{self.name} was busy for {_seconds(longest)} ({self.in_flight} requests in flight, "
            f"{len(self._waiters)} more waiting), and resilience.queue.max_wait allows no longer wait. "
            f"Try again, or raise providers.{self._provider}.max_concurrent where the server can take more.",
            max(1.0, self.expected_wait(model)),
        )

    @property
    def _provider(self) -> str:
        return provider_of(self.name)


class Lanes:
    """Every lane by its name. They live as long as the engine.

    Args:
        clock: seconds that never go back.
        waited: is told the name of the lane and the seconds for which each request stood in its queue.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[str, float], None] = lambda _name, _seconds: None,
    ) -> None:
        self._clock = clock
        self._waited = waited
        self._lanes: dict[str, Lane] = {}
        self._queue = USUAL_QUEUE

    def take(self, limits: Mapping[str, LaneLimits], queue: QueueLimits) -> None:
        """Goes by other options: lanes that stay keep what they know, those that are named no more go."""
        self._queue = queue
        for name, given in limits.items():
            if (lane := self._lanes.get(name)) is not None:
                lane.take(given, queue)
            else:
                self._lanes[name] = self._made(name, given)
        for name in self._lanes.keys() - limits.keys():
            # Requests that are on it or wait in it hold it themselves.
            del self._lanes[name]

    def __getitem__(self, name: str) -> Lane:
        """The lane of an endpoint; one that a reload has just dropped is made anew, without limits."""
        return self._lanes.get(name) or self._made(name, NO_LIMITS)

    def __iter__(self) -> Iterator[Lane]:
        return iter(tuple(self._lanes.values()))

    def forget(self, provider: str) -> None:
        """Drops what was learned of a provider's endpoints."""
        for lane in self:
            if provider_of(lane.name) == provider:
                lane.forget()

    def statuses(self) -> tuple[LaneStatus, ...]:
        """All lanes as they stand, by name."""
        return tuple(self._lanes[name].status() for name in sorted(self._lanes))

    def oldest_wait(self) -> float:
        """Seconds for which the request that has waited longest has been waiting, of all lanes."""
        return max((lane.oldest_wait() for lane in self._lanes.values()), default=0.0)

    def _made(self, name: str, limits: LaneLimits) -> Lane:
        def waited(seconds: float) -> None:
            self._waited(name, seconds)

        return Lane(name, limits, self._queue, clock=self._clock, waited=waited)


def _rate_limit(message: str, retry_after: float) -> WireError:
    return WireError(message, status=429, kind="rate_limit", retry_after=retry_after)


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
