"""Keeps an engine running for as long as one is wanted: adopts, starts, heals with backoff."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lynkr_desktop.paths import Paths
from lynkr_desktop.tasks import Tasks
from lynkr_desktop.ui.engine_process import EngineHandle, StartFailure, adopt, launch

# Failures that come back however often one tries: a person has to change something first.
_NEEDS_A_PERSON = frozenset({"port_in_use", "config"})
_ADOPT_TRIES = 25
_ADOPT_EVERY_S = 0.2


class Backoff:
    """Delays between restarts: 0.25 s, doubling to 30 s, forgotten after a minute of health."""

    FIRST_S = 0.25
    MOST_S = 30.0
    HEALTHY_AFTER_S = 60.0

    def __init__(self) -> None:
        self._next = self.FIRST_S

    def delay(self, lived_s: float) -> float:
        """How long to wait after an engine that lived so long."""
        if lived_s >= self.HEALTHY_AFTER_S:
            self._next = self.FIRST_S
        delay = self._next
        self._next = min(self._next * 2, self.MOST_S)
        return delay

    def reset(self) -> None:
        """A person pressed Start: the next failure is a first one again."""
        self._next = self.FIRST_S


class Supervisor:
    """Owns the engine process.

    Args:
        paths: the home whose engine this is.
        command: the command line, given the port that a person chose instead of the configured one.
        on_starting: an engine is being started or looked for.
        on_up: an engine serves.
        on_down: it ended: exit code where known, and the seconds until the next start; answers whether
            there is to be one.
        on_failed: it could not start; the seconds until the next try, None when it waits for a person.
    """

    def __init__(
        self,
        paths: Paths,
        command: Callable[[int | None], list[str]],
        tasks: Tasks,
        *,
        on_starting: Callable[[], None],
        on_up: Callable[[EngineHandle], None],
        on_down: Callable[[int | None, float], bool],
        on_failed: Callable[[StartFailure, float | None], None],
    ) -> None:
        self._paths = paths
        self._command = command
        self._tasks = tasks
        self._on_starting = on_starting
        self._on_up = on_up
        self._on_down = on_down
        self._on_failed = on_failed
        self._backoff = Backoff()
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._succeeded = asyncio.Event()
        self.handle: EngineHandle | None = None
        self.port: int | None = None

    @property
    def active(self) -> bool:
        """Whether an engine runs or is being kept running."""
        return self._task is not None and not self._task.done()

    async def adopt_running(self) -> bool:
        """Takes over an engine that already serves this home; starts none."""
        if self.active:
            return True
        handle = await adopt(self._paths)
        if handle is None or self.active:
            return self.active
        self._task = self._tasks.spawn(self._keep(handle), "engine supervisor")
        return True

    def start(self, port: int | None = None) -> None:
        """Keeps an engine running from now on, on `port` instead of the configured one if given.

        While the supervisor waits before another try, that try comes at once.
        """
        if port is not None:
            self.port = port
        self._backoff.reset()
        self._hurry.set()
        if not self.active:
            self._task = self._tasks.spawn(self._keep(None), "engine supervisor")

    def answered(self, pid: int) -> None:
        """The engine says which process it is: another one than ours means that it was restarted."""
        if self.handle is not None and self.handle.pid != pid:
            self._succeeded.set()

    async def release(self) -> EngineHandle | None:
        """Stops keeping: the engine that runs, if any, is the caller's to end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        handle, self.handle = self.handle, None
        return handle

    async def _keep(self, handle: EngineHandle | None) -> None:
        while True:
            if handle is None:
                self._on_starting()
                try:
                    handle = await self._obtain()
                except StartFailure as failure:
                    delay = None if failure.code in _NEEDS_A_PERSON else self._backoff.delay(0)
                    self._on_failed(failure, delay)
                    if delay is None:
                        return
                    await self._pause(delay)
                    continue
            self.handle = handle
            since = time.monotonic()
            self._on_up(handle)
            code, successor = await self._outlive(handle)
            self.handle = handle = successor
            if successor is not None:
                continue
            delay = self._backoff.delay(time.monotonic() - since)
            if not self._on_down(code, delay):
                return
            await self._pause(delay)

    async def _outlive(self, handle: EngineHandle) -> tuple[int | None, EngineHandle | None]:
        """Waits until an engine has ended or another has taken its place: its exit code, and that one."""
        ended = asyncio.ensure_future(handle.wait())
        try:
            while True:
                self._succeeded.clear()
                succeeded = asyncio.ensure_future(self._succeeded.wait())
                await asyncio.wait({ended, succeeded}, return_when=asyncio.FIRST_COMPLETED)
                succeeded.cancel()
                other = await adopt(self._paths)
                if other is not None and other.pid != handle.pid:
                    return None, other
                if ended.done():
                    return ended.result(), None
        finally:
            ended.cancel()

    async def _pause(self, delay: float) -> None:
        """Waits before the next start, unless a person presses Start meanwhile."""
        self._hurry.clear()
        await asyncio.wait({self._tasks.spawn(self._hurry.wait(), "start pressed")}, timeout=delay)
        self._hurry.set()

    async def _obtain(self) -> EngineHandle:
        running = await adopt(self._paths)
        if running is not None:
            return running
        try:
            return await launch(self._command(self.port), self._paths.logs)
        except StartFailure as failure:
            if failure.code != "already_running":
                raise
            return await self._join(failure)

    async def _join(self, failure: StartFailure) -> EngineHandle:
        """Another engine of this home holds the lock and may still be getting ready."""
        for _ in range(_ADOPT_TRIES):
            running = await adopt(self._paths)
            if running is not None:
                return running
            await asyncio.sleep(_ADOPT_EVERY_S)
        raise failure
