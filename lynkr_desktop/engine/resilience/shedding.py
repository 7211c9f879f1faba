"""Load shedding: what is refused while the engine itself has no more of something that requests need.

Pressure is measured by what is truly scarce: time of the event loop, memory of this process, places for
requests in flight, patience of those that wait for a provider. How long a model takes is none of it:
a request that waits for a local model to load costs next to nothing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, get_args

import psutil

from lynkr_desktop.engine.config.resilience import SheddingOptions
from lynkr_desktop.engine.resilience.lanes import Priority
from lynkr_desktop.engine.wire.errors import WireError

log = logging.getLogger(__name__)

Cause = Literal["loop", "memory", "in_flight", "queue"]
CAUSES: tuple[Cause, ...] = get_args(Cause)

_TICK_S = 0.1
_TICKS = 10
"""Ticks whose median is the lag: a second, so that one pause of the garbage collector does not count."""
_RARE_S = 1.0
"""Seconds between two looks at memory and queues."""
_TIDY_S = 30.0

_STRAINED, _FULL = 0.75, 1.0
"""Parts of a limit from which on background requests, then all requests, are refused."""
_EASED = 0.8
"""Part of these at which they are taken again."""

_RETRY_AFTER: dict[Cause, float] = {"loop": 2.0, "memory": 15.0, "in_flight": 1.0, "queue": 5.0}
_OPTION: dict[Cause, str] = {
    "loop": "max_lag",
    "memory": "max_memory",
    "in_flight": "max_in_flight",
    "queue": "max_queue_age",
}


class Pressure:
    """How near the engine is to its limits, and what it refuses therefore.

    Args:
        in_flight: tells the requests in flight.
        queue_age: tells for how many seconds the oldest request waits for a provider.
        memory: tells the bytes that this process holds.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        in_flight: Callable[[], int],
        queue_age: Callable[[], float],
        memory: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = SheddingOptions()
        self.longest_wait = 60.0
        """Seconds that a request may wait for a provider; `max_queue_age` where that is not set."""
        self.level = 0
        """0: all requests are taken, 1: those that somebody waits for, 2: none."""
        self.cause: Cause = "loop"
        self.lag = 0.0
        self.memory = 0
        self.shed: dict[str, int] = dict.fromkeys(CAUSES, 0)
        """Requests refused since the start."""
        self._in_flight, self._queue_age = in_flight, queue_age
        self._memory = memory or _resident
        self._clock = clock
        self._lags: deque[float] = deque([0.0] * _TICKS, _TICKS)
        self._age = 0.0
        self._looked = self._tidied = -_TIDY_S
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ requests

    def refuse(self, priority: Priority | None = None, *, status: int = 503) -> WireError | None:
        """The error for a request that is not taken now, None for one that is.

        Args:
            priority: of the request, None while it is not known.
            status: what the client's protocol says where a server is overloaded.
        """
        if not self.level or (self.level == 1 and priority != "low"):
            return None
        cause = self.cause
        self.shed[cause] += 1
        what = "requests" if self.level == 2 else "requests that nobody waits for"
        return WireError(
            f"Lynkr takes no more {what} for the moment: {self.reason}. Try again in a few seconds, with "
            f"fewer at once. `lynkr status` shows it; resilience.shedding.{_OPTION[cause]} sets the limit.",
            status=status,
            kind="overloaded",
            retry_after=_RETRY_AFTER[cause],
        )

    @property
    def reason(self) -> str:
        """What there is too much of, in words; empty while all requests are taken."""
        if not self.level:
            return ""
        match self.cause:
            case "loop":
                return f"its work is {self.lag:.1f} s behind"
            case "memory":
                return f"it holds {self.memory / 1024**2:,.0f} MB of memory"
            case "in_flight":
                return f"it is answering {self._in_flight():,} requests"
            case "queue":
                return f"a request has been waiting for a provider for {self._age:.0f} s"

    # ------------------------------------------------------------ measuring

    def start(self) -> None:
        """Measures from now on."""
        self._due = self._clock() + _TICK_S
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def stop(self) -> None:
        """Measures no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.sample(self._clock() - self._due)
        self.start()

    def sample(self, late: float) -> None:
        """Takes the measures; `late` are the seconds by which the loop came later than it was asked to."""
        now = self._clock()
        self._lags.append(late)
        self.lag = max(0.0, sorted(self._lags)[_TICKS // 2])
        if now - self._looked >= _RARE_S:
            self._looked = now
            self.memory, self._age = self._memory(), self._queue_age()
        if not self.options.enabled:
            self.level = 0
            return
        self._judge()
        if self.level and self.cause == "memory" and now - self._tidied >= _TIDY_S:
            self._tidied = now
            gc.collect()

    def _judge(self) -> None:
        options = self.options
        parts: dict[Cause, float] = {
            "loop": self.lag / options.max_lag,
            "memory": self.memory / options.max_memory,
            "in_flight": self._in_flight() / options.max_in_flight,
            "queue": self._age / (options.max_queue_age or self.longest_wait),
        }
        worst = max(CAUSES, key=parts.__getitem__)
        part, before = parts[worst], self.level
        full = _FULL * _EASED if before == 2 else _FULL
        strained = _STRAINED * _EASED if before else _STRAINED
        level = 2 if part >= full else 1 if part >= strained else 0
        if level:
            self.cause = worst
        self.level = level
        if level > before:
            log.warning("%s requests are refused: %s", "all" if level == 2 else "background", self.reason)
        elif before and not level:
            log.warning("all requests are taken again")


def _resident() -> int:
    return int(_PROCESS.memory_info().rss)


_PROCESS = psutil.Process()
