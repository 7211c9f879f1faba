"""Whether requests are taken, which are on their way, and how the last of them end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from lynkr_desktop.engine.switches import Pause, Switches
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.control import EngineState

log = logging.getLogger(__name__)

_LAST_WORDS_S = 2.0
"""For errors to reach their clients."""


class Gate:
    """Counts requests in and out, and lets none in while the engine is paused or on its way out.

    Args:
        switches: keep a pause for the engine that comes after a crash.
        changed: is called when `state` or `paused_until` has changed.

    Attributes:
        state: see `EngineState`.
        active: requests on their way.
        paused_until: Unix seconds; None while not paused, and while paused for good.
        handing_over: another engine has taken over the port, and this one finishes what it has.
        cut_off: what requests are told that the engine no longer waits for; None while it does.
        idle: set while no request is on its way.
        stopping: set once somebody asked the engine to stop.
    """

    def __init__(self, switches: Switches, changed: Callable[[], None]) -> None:
        self.state: EngineState = "starting"
        self.active = 0
        self.paused_until: float | None = None
        self.handing_over = False
        self.cut_off: WireError | None = None
        self.idle = asyncio.Event()
        self.idle.set()
        self.stopping = asyncio.Event()
        self._switches = switches
        self._changed = changed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._force = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ requests

    def enter(self, task: asyncio.Task[None] | None) -> None:
        """Counts a request in, which this task answers."""
        if task is not None:
            self._tasks.add(task)
        self.active += 1
        self.idle.clear()

    def leave(self, task: asyncio.Task[None] | None) -> None:
        """Counts it out."""
        self.active -= 1
        if task is not None:
            self._tasks.discard(task)
        if not self.active:
            self.idle.set()

    def check(self) -> None:
        """Lets a request pass. Raises `WireError` 503 while paused or draining."""
        if self.state == "running" or (self.handing_over and self.cut_off is None):
            return
        if self.state == "paused":
            until = self.paused_until
            clock = None if until is None else time.strftime("%H:%M", time.localtime(until))
            raise WireError(
                f"Lynkr is paused until {clock or 'you resume it'}. Resume it in the tray menu.",
                status=503,
                kind="unavailable",
                retry_after=None if until is None else max(1.0, until - time.time()),
            )
        raise WireError("Lynkr is stopping.", status=503, kind="unavailable", retry_after=2)

    # ------------------------------------------------------------ pauses

    def open(self) -> None:
        """Takes requests, unless a pause from before a crash still lasts."""
        self.state = "running"
        if (pause := self._switches.pause) is not None and (pause.until or math.inf) > time.time():
            self._pause(pause)

    async def pause(self, seconds: float | None) -> None:
        """Refuses requests for a time, or until `resume`; an engine that comes after a crash does so too."""
        pause = Pause(None if seconds is None else time.time() + seconds)
        await asyncio.to_thread(self._switches.set_pause, pause)
        self._pause(pause)

    async def resume(self) -> None:
        """Takes requests again."""
        await asyncio.to_thread(self._switches.set_pause, None)
        self._resume()

    def _pause(self, pause: Pause) -> None:
        self._resume()
        self.state = "paused"
        self.paused_until = pause.until
        if pause.until is not None:
            left = max(0.0, pause.until - time.time())
            self._timer = asyncio.get_running_loop().call_later(left, self._resume)
        self._changed()

    def _resume(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.paused_until = None
        if self.state == "paused":
            self.state = "running"
            self._changed()

    # ------------------------------------------------------------ the end

    def ask_to_stop(self, *, force: bool) -> None:
        """Begins to stop; `force` ends the wait for requests on their way."""
        self.state = "draining"
        self.stopping.set()
        if force:
            self._force.set()
        self._changed()

    async def drain(self, longest: float, until: Awaitable[None] | None = None) -> None:
        """Waits for the requests on their way, `longest` seconds at most; what is left then is told so.

        Args:
            longest: seconds.
            until: what to wait for instead.
        """
        self.state = "draining"
        self._changed()
        force = asyncio.ensure_future(self._force.wait())
        done = asyncio.ensure_future(until or self.idle.wait())
        await asyncio.wait({force, done}, timeout=longest, return_when=asyncio.FIRST_COMPLETED)
        force.cancel()
        done.cancel()
        if self.active:
            log.warning("%d requests were still in flight at the end and are cut off", self.active)
            await self._cut_off_all()

    async def _cut_off_all(self) -> None:
        """Ends every request that is on its way with an error of its client's protocol."""
        self.cut_off = WireError(
            "Lynkr was stopped before this answer was complete. Ask again once it runs.",
            status=503,
            kind="unavailable",
            retry_after=2,
        )
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.wait_for(self.idle.wait(), _LAST_WORDS_S)
        except TimeoutError:
            log.warning("%d clients did not take the error in time", self.active)

    async def close(self) -> None:
        """Who ends an engine and starts another wants it to run; one that hands over leaves its pause."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.handing_over:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._switches.set_pause, None)
