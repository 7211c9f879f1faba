"""Keeps one model in memory: loads it on demand, swaps it, unloads it when idle, notices when it crashes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lynkr_desktop.engine.providers.embedded.errors import ModelError
from lynkr_desktop.engine.providers.embedded.process import Worker

log = logging.getLogger(__name__)

_DRAIN_LIMIT = 600.0
"""Seconds that requests in flight have before another model takes their model's place."""

Target = str | Path
"""A catalog id, or a GGUF file of the person's own."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What to load.

    Attributes:
        target: tells models apart.
        path: the GGUF file.
        context: window in tokens.
        threads: processor threads; 0 takes one per physical core.
        hold: keeps others from deleting the file, until the function that it returns is called.
    """

    target: Target
    path: Path
    context: int
    threads: int
    hold: Callable[[], Callable[[], None]]

    @property
    def name(self) -> str:
        """What people and answers call it."""
        return target_name(self.target)


class Loaded:
    """A model in memory."""

    def __init__(self, spec: ModelSpec, worker: Worker, unhold: Callable[[], None]) -> None:
        self.spec = spec
        self.worker = worker
        self.unhold = unhold
        self.active = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.leaving = False
        """It takes no new requests: it is being unloaded, or another model is to take its place."""

    async def crashed(self) -> bool:
        """Whether the worker is gone; a broken connection is seen a moment before the end of its process."""
        return await self.worker.ended(within=1.0)


class Lease:
    """One request's use of the loaded model; release it once, at the end of the answer."""

    def __init__(self, loaded: Loaded, release: Callable[[Loaded], None]) -> None:
        self.loaded = loaded
        self._release = release
        self._held = True

    def release(self) -> None:
        """The model may be unloaded as far as this request is concerned."""
        if self._held:
            self._held = False
            self._release(self.loaded)


class ModelRunner:
    """Has at most one model in memory.

    Args:
        idle_timeout: seconds without a request after which it is unloaded; 0 keeps it.
        on_change: called on the event loop when a model begins to load, is loaded, is gone or fails.
    """

    def __init__(self, *, idle_timeout: float, on_change: Callable[[], None]) -> None:
        self._idle_timeout = idle_timeout
        self._on_change = on_change
        self._loaded: Loaded | None = None
        self._switch: asyncio.Task[None] | None = None
        self._switch_target: Target | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.load_errors: dict[Target, str] = {}
        """Why the last try to load a model failed."""

    @property
    def target(self) -> Target | None:
        """The model in memory."""
        return self._loaded.spec.target if self._loaded is not None and self._loaded.worker.alive else None

    @property
    def loading(self) -> Target | None:
        """The model that is being loaded."""
        return self._switch_target if self._switch is not None and not self._switch.done() else None

    async def acquire(self, spec: ModelSpec) -> Lease:
        """Waits until the model is in memory, and counts one more request on it.

        Requests for one model share its loading. A request for another model waits until those in flight are
        answered, and holds back later ones for the old model, so that both come to their turn.

        Raises:
            ModelError: it cannot be loaded, or the engine stops.
        """
        while True:
            if self._closed:
                raise ModelError("The engine is stopping.")
            loaded = self._loaded
            if loaded is not None and self.target == spec.target and not loaded.leaving:
                self._stop_idle_timer()
                loaded.active += 1
                loaded.idle.clear()
                return Lease(loaded, self._release)
            if self._switch is None or self._switch.done():
                self._switch_target = spec.target
                self._switch = asyncio.create_task(self._load(spec), name=f"load {spec.name}")
                self._switch.add_done_callback(self._switched)
            switch, mine = self._switch, self._switch_target == spec.target
            # Not awaited itself: a client that gives up must not stop the loading that others wait for.
            await asyncio.wait({switch})
            if mine and not switch.cancelled() and (error := switch.exception()) is not None:
                raise error

    async def unload(self, target: Target) -> None:
        """Takes a model out of memory.

        Raises:
            ModelError: 409, it is being loaded or answers a request.
        """
        if self.loading == target:
            raise ModelError(f"{target_name(target)} is being loaded.", status=409)
        if self._loaded is not None and self._loaded.spec.target == target:
            if self._loaded.active:
                raise ModelError(
                    f"{target_name(target)} is answering a request. Try again when that is done.", status=409
                )
            await self._unload(self._loaded)

    async def close(self) -> None:
        """Ends the worker, whatever it does."""
        self._closed = True
        self._stop_idle_timer()
        if self._switch is not None and not self._switch.done():
            self._switch.cancel()
            await asyncio.wait({self._switch})
        if self._loaded is not None:
            await self._unload(self._loaded)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ inside

    async def _load(self, spec: ModelSpec) -> None:
        if (before := self._loaded) is not None:
            before.leaving = True
            if before.worker.alive:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(before.idle.wait(), _DRAIN_LIMIT)
            await self._unload(before)
        self.load_errors.pop(spec.target, None)
        self._on_change()
        unhold = spec.hold()
        try:
            worker = await Worker.start(spec.path, name=spec.name, context=spec.context, threads=spec.threads)
        except BaseException as error:
            unhold()
            if isinstance(error, ModelError):
                self.load_errors[spec.target] = error.message
                log.warning("%s", error.message)
            raise
        loaded = self._loaded = Loaded(spec, worker, unhold)
        log.info("Loaded %s in process %d", spec.name, worker.pid)
        self._spawn(self._watch(loaded), f"watch worker {worker.pid}")
        self._start_idle_timer(loaded)

    def _switched(self, switch: asyncio.Task[None]) -> None:
        if not switch.cancelled():
            switch.exception()  # seen, even when every client that waited for it has gone
        self._on_change()

    async def _unload(self, loaded: Loaded) -> None:
        loaded.leaving = True
        if self._loaded is loaded:
            self._loaded = None
            self._stop_idle_timer()
        await loaded.worker.stop()
        loaded.unhold()
        self._on_change()

    async def _watch(self, loaded: Loaded) -> None:
        """Notices a crash; the next request loads the model again."""
        await loaded.worker.ended()
        if not loaded.leaving:
            log.warning(
                "The worker of %s ended unexpectedly. %s", loaded.spec.name, loaded.worker.last_errors()
            )
            await self._unload(loaded)

    def _release(self, loaded: Loaded) -> None:
        loaded.active -= 1
        if not loaded.active:
            loaded.idle.set()
            self._start_idle_timer(loaded)

    def _start_idle_timer(self, loaded: Loaded) -> None:
        self._stop_idle_timer()
        if self._idle_timeout and loaded is self._loaded and not loaded.leaving:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._idle_timeout, self._idle_over, loaded)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _idle_over(self, loaded: Loaded) -> None:
        if not loaded.active and not loaded.leaving:
            log.info("Unloading %s after %g s without a request", loaded.spec.name, self._idle_timeout)
            self._spawn(self._unload(loaded), f"unload {loaded.spec.name}")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def target_name(target: Target) -> str:
    """A catalog id as it is, a file by its name."""
    return target if isinstance(target, str) else target.name
