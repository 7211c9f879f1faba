"""Circuit breakers: a model that keeps failing, or keeps being slow, is not asked for a while.

A breaker is closed while its model is asked as usual. It opens when the share of failed or of slow calls
over a sliding window reaches a threshold; then calls are refused without touching the upstream. After a pause
it is half-open: one call at a time goes out as a probe, a good one closes it, a bad one opens it again.

What counts as bad is what another endpoint may do better: 408, 429, every 5xx, broken connections and
streams, time-outs; and 401, 402 and 403, since a key that expired fails every request alike, and an open
breaker spares them the round trip and tells a person. Other 4xx are the client's doing and show that the
upstream works.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Literal

from lynkr_desktop.engine.config.resilience import CircuitBreakerOptions
from lynkr_desktop.engine.providers.base import provider_of
from lynkr_desktop.engine.resilience.window import Window
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.protocol.breakers import BreakerState, BreakerStatus

Outcome = Literal["good", "bad", "abandoned"]
Clock = Callable[[], float]

_REFUSED_KEY = frozenset({401, 402, 403})
_SHORTEST_WAIT = 1.0
_REASON = 300
"""Characters that are kept of an error."""

_MOST = 256
"""Breakers that are kept; their names come from clients."""

_ENOUGH = 10
"""Good calls from which on a 95th percentile is believed."""


def outcome_of(error: WireError, *, own_key: bool = False) -> Outcome:
    """What a failed call says of its upstream.

    Args:
        error: how it failed.
        own_key: the client brought the key, so that a refused one says nothing of the provider's.
    """
    if isinstance(error, Unsupported):
        return "abandoned"
    if error.status in _REFUSED_KEY:
        return "abandoned" if own_key else "bad"
    return "bad" if error.status >= 500 or error.status in (408, 429) else "good"


class Breaker:
    """The breaker of one endpoint or model. It does no I/O and knows no time but its clocks'.

    One observation belongs to each call that `refusal` let out: `done`, exactly once, however the call ended.
    `turn`, read right after `refusal`, ties them together: what comes in from a call of an earlier state
    (sent before the breaker opened, say) is not mistaken for the probe's.

    Args:
        options: thresholds and times.
        clock: seconds that never go back (`time.monotonic`).
        name: what it is called in messages and statuses.
        wall: Unix seconds, for what people read.
        on_change: called after each change of state.

    Attributes:
        state: lazily half-open: the first call after the pause makes it so.
        patient: slow calls do not count, as with models that must be loaded first.
        turn: rises with each change of state and each probe.
        opened: how often it opened.
        retries: how often a request was sent again after a pause; kept here for whoever counts.
        next_probe: when an open one lets a call out, Unix seconds.
        reason: why it opened.
    """

    __slots__ = (
        "_clock",
        "_on_change",
        "_options",
        "_probing",
        "_until",
        "_wall",
        "_window",
        "name",
        "next_probe",
        "opened",
        "patient",
        "reason",
        "retries",
        "state",
        "turn",
    )

    def __init__(
        self,
        options: CircuitBreakerOptions,
        clock: Clock = time.monotonic,
        *,
        name: str = "",
        wall: Clock = time.time,
        on_change: Callable[[Breaker], None] | None = None,
    ) -> None:
        self.name = name
        self.state: BreakerState = "closed"
        self.patient = False
        self.turn = 0
        self.opened = 0
        self.retries = 0
        self.next_probe: float | None = None
        self.reason = ""
        self._options = options
        self._clock = clock
        self._wall = wall
        self._on_change = on_change
        self._window = Window(options.window)
        self._until = 0.0
        self._probing = False

    # ------------------------------------------------------------ calls

    def refusal(self) -> float | None:
        """Whether a call may go out now.

        Returns:
            None: it may; where the breaker is half-open then, the call is the probe. Else the seconds until
            the next probe.
        """
        if self.state == "closed":
            return None
        wait = self.retry_in()
        if wait is not None:
            return wait
        self._probing = True
        # What others are told meanwhile: when the probe fails at once, the next one is then.
        self._until = self._clock() + self._options.probe_interval
        if self.state == "open":
            self._become("half_open")
        else:
            self.turn += 1
        return None

    def retry_in(self) -> float | None:
        """As `refusal`, for those who only look: nothing changes."""
        if self.state == "closed":
            return None
        left = self._until - self._clock()
        if self.state == "open":
            return max(left, _SHORTEST_WAIT) if left > 0 else None
        return max(left, _SHORTEST_WAIT) if self._probing else None

    def began(self, seconds: float | None, turn: int) -> int:
        """A call's first content is there: as a probe it was good, however long its stream goes on.

        Returns:
            The turn for `done`, which is still to be called.
        """
        if self._probing and turn == self.turn:
            if self._is_slow(seconds):
                return turn
            self.reset()
            return self.turn
        return turn

    def done(
        self,
        outcome: Outcome,
        seconds_to_first_token: float | None = None,
        *,
        turn: int | None = None,
        why: str = "",
    ) -> None:
        """A call has ended.

        Args:
            outcome: `abandoned` where nothing was learned of the upstream: the client went away.
            seconds_to_first_token: of a stream; the seconds waited where a client did not wait any longer for
                one; None where none came, and for answers that come whole.
            turn: as it was when the call went out; None: the one of now.
            why: the error of a bad one, without secrets.
        """
        if turn is not None and turn != self.turn:
            return
        if self.state == "closed":
            # Clients that give up on a slow upstream are how its slowness shows.
            if outcome != "abandoned" or self._is_slow(seconds_to_first_token):
                self._count(outcome == "bad", seconds_to_first_token, why)
        elif self._probing:
            self._probing = False
            if outcome == "abandoned":
                # Whoever comes next is the probe; what the abandoned one may still say is too late.
                self.turn += 1
            elif outcome == "bad":
                self._open(f"The probe failed: {_sentence(why)}" if why else "The probe failed.")
            elif self._is_slow(seconds_to_first_token):
                self._open(f"The probe's first token took {seconds_to_first_token:.0f} s.")
            else:
                self.reset()

    def _count(self, bad: bool, seconds: float | None, why: str) -> None:
        window, options, now = self._window, self._options, self._clock()
        window.add(now, bad=bad, slow=self._is_slow(seconds), seconds=seconds)
        if not (window.bad or window.slow) or window.calls < options.min_calls:
            return
        calls = window.calls
        of_late = f"of {calls} requests within {options.window:.0f} s"
        if window.bad >= options.threshold * calls:
            last = f" The last one: {_sentence(why)}" if why else ""
            self._open(f"{window.bad} {of_late} failed.{last}")
        elif window.slow >= options.threshold * calls:
            self._open(f"{window.slow} {of_late} waited more than {options.slow_call:g} s for a first token.")

    def _is_slow(self, seconds: float | None) -> bool:
        return seconds is not None and seconds > self._options.slow_call and not self.patient

    # ------------------------------------------------------------ states

    def _open(self, reason: str) -> None:
        pause = self._options.probe_interval
        self._until = self._clock() + pause
        self.next_probe = self._wall() + pause
        self.opened += 1
        self.reason = reason
        self._become("open")

    def reset(self) -> None:
        """Closes it, with an empty window."""
        self._window.clear()
        self._probing = False
        self.next_probe = None
        self.reason = ""
        self._become("closed")

    def _become(self, state: BreakerState) -> None:
        changed = self.state != state
        self.state = state
        self.turn += 1
        if state == "half_open":
            self.next_probe = None
        if changed and self._on_change is not None:
            self._on_change(self)

    def take(self, options: CircuitBreakerOptions) -> None:
        """Goes by other options from now on. A window of another length begins empty."""
        if options.window != self._options.window:
            self._window = Window(options.window)
        self._options = options

    # ------------------------------------------------------------ figures

    def p95(self, least: int = 1) -> float | None:
        """Seconds within which 95 % of the window's good calls began to answer.

        None with fewer calls than `least`.
        """
        self._window.move_to(self._clock())
        return self._window.percentile(0.95, least)

    @property
    def status(self) -> BreakerStatus:
        """As it stands. An open one keeps the figures that it opened with."""
        if self.state == "closed":
            self._window.move_to(self._clock())
        window = self._window
        p95 = window.percentile(0.95)
        return BreakerStatus(
            name=self.name,
            state=self.state,
            calls=window.calls,
            bad=window.bad,
            slow=window.slow,
            p95_s=None if p95 is None else round(p95, 3),
            opened=self.opened,
            retries=self.retries,
            next_probe=self.next_probe,
            reason=self.reason,
        )


class Breakers:
    """The breakers of all endpoints and models, by name; made when they are first asked for.

    Args:
        clock: see `Breaker`.
        wall: see `Breaker`.

    Attributes:
        on_change: called with the status of each breaker that changed its state.
    """

    def __init__(self, clock: Clock = time.monotonic, wall: Clock = time.time) -> None:
        self.on_change: Callable[[BreakerStatus], None] | None = None
        self._clock = clock
        self._wall = wall
        self._options = CircuitBreakerOptions()
        self._limit: float | None = None
        self._limits: Mapping[str, float] = {}
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    def take(
        self,
        options: CircuitBreakerOptions,
        limit: float | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        """Goes by these options from now on; breakers keep their state.

        Args:
            options: of every breaker.
            limit: seconds that the 95th percentile of first tokens may take, None for no limit.
            limits: the same for single providers, by name.
        """
        self._options, self._limit, self._limits = options, limit, limits or {}
        for breaker in self._breakers.values():
            breaker.take(options)

    def of(self, name: str, *, patient: bool = False) -> Breaker:
        """The breaker of `provider/model`.

        Args:
            name: `openai/gpt-4o`, `openai#2/gpt-4o`.
            patient: its model is on this machine, where it may have to be loaded first: then to be slow is
                no fault.
        """
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._made(name)
        else:
            self._breakers.move_to_end(name)
        breaker.patient = patient
        return breaker

    def _made(self, name: str) -> Breaker:
        if len(self._breakers) >= _MOST:
            closed = (old for old, breaker in self._breakers.items() if breaker.state == "closed")
            self._breakers.pop(next(closed, next(iter(self._breakers))))
        breaker = Breaker(self._options, self._clock, name=name, wall=self._wall, on_change=self._changed)
        self._breakers[name] = breaker
        return breaker

    def _changed(self, breaker: Breaker) -> None:
        if self.on_change is not None:
            self.on_change(breaker.status)

    def retry_in(self, name: str) -> float | None:
        """Seconds until `name` is asked again, None where it may be asked now. Nothing changes."""
        breaker = self._breakers.get(name)
        return None if breaker is None else breaker.retry_in()

    def find(self, name: str) -> Breaker | None:
        """The breaker of `name`, None where nothing of that name was asked lately."""
        return self._breakers.get(name)

    def slow(self, name: str) -> bool:
        """Whether `name` takes longer than the limit of its provider, as far as enough calls show."""
        if self._limit is None and not self._limits:
            return False
        breaker = self._breakers.get(name)
        limit = self._limits.get(provider_of(name), self._limit)
        if breaker is None or limit is None:
            return False
        p95 = breaker.p95(_ENOUGH)
        return p95 is not None and p95 > limit

    def statuses(self) -> tuple[BreakerStatus, ...]:
        """All of them, by name."""
        return tuple(self._breakers[name].status for name in sorted(self._breakers))

    def troubled(self) -> tuple[BreakerStatus, ...]:
        """Those that are not closed, by name."""
        return tuple(
            breaker.status for name, breaker in sorted(self._breakers.items()) if breaker.state != "closed"
        )

    def reset(self, name: str | None = None) -> tuple[BreakerStatus, ...]:
        """Closes one, or every one that is not closed. Raises `KeyError` where there is none of that name.

        Returns:
            Those that were closed by it, as they are now.
        """
        chosen = [self._breakers[name]] if name is not None else list(self._breakers.values())
        shut = [breaker for breaker in chosen if breaker.state != "closed"]
        for breaker in shut:
            breaker.reset()
        return tuple(breaker.status for breaker in shut)

    def reset_provider(self, provider: str) -> None:
        """Closes every breaker of a provider: its key was changed, say."""
        for name, breaker in self._breakers.items():
            if breaker.state != "closed" and provider_of(name) == provider:
                breaker.reset()


def _sentence(text: str) -> str:
    text = text.strip()
    if len(text) > _REASON:
        text = text[: _REASON - 1] + "…"
    return text if text.endswith((".", "…")) else text + "."
