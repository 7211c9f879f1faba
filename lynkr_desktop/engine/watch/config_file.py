"""Tells when the configuration file has really changed, however it was saved."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

_LONGEST_WAIT = 2.0
"""Seconds after which a file that never comes to rest is looked at all the same."""

_READ_AT_MOST = 2 * 1024**2


class ConfigFileWatcher:
    """Watches one file and awaits a callback after each change of its content.

    The folder's events make it quick. A look at the file's status every few seconds makes it sure: where
    no folder is there yet, where the system has no watches left, on network drives, behind symbolic links.

    Args:
        path: the file; it need not exist.
        changed: awaited on the loop, never twice at a time. It may raise; that is logged.
        debounce: seconds of rest after the last event before the file is read.
        poll_interval: seconds between two looks.
    """

    def __init__(
        self,
        path: Path,
        changed: Callable[[], Awaitable[None]],
        *,
        debounce: float = 0.2,
        poll_interval: float = 2.0,
    ) -> None:
        self._path = path
        self._changed = changed
        self._debounce = debounce
        self._poll_interval = poll_interval
        self._observer: BaseObserver | None = None
        self._touched = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._content = ""
        self._status: object = None

    @property
    def polling(self) -> bool:
        """Whether it must do without the folder's events."""
        return self._observer is None

    def start(self) -> None:
        """Starts on the running loop. What the file holds now counts as known: start, then load the file."""
        self._status, self._content = _status(self._path), _digest(self._path)
        self._observer = self._observe(asyncio.get_running_loop())
        self._tasks = [
            asyncio.create_task(self._react(), name="config-watch"),
            asyncio.create_task(self._poll(), name="config-poll"),
        ]

    async def stop(self) -> None:
        """Ends it, with its threads. A callback that is running is cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            await asyncio.to_thread(observer.join, 5.0)

    def _observe(self, loop: asyncio.AbstractEventLoop) -> BaseObserver | None:
        from watchdog.events import (
            EVENT_TYPE_CLOSED,
            EVENT_TYPE_CREATED,
            EVENT_TYPE_DELETED,
            EVENT_TYPE_MODIFIED,
            EVENT_TYPE_MOVED,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer

        name, touched = self._path.name, self._touched
        changes = {
            EVENT_TYPE_CLOSED,
            EVENT_TYPE_CREATED,
            EVENT_TYPE_DELETED,
            EVENT_TYPE_MODIFIED,
            EVENT_TYPE_MOVED,
        }

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                paths = (os.fsdecode(event.src_path), os.fsdecode(event.dest_path))
                if event.event_type in changes and any(os.path.basename(path) == name for path in paths):
                    with contextlib.suppress(RuntimeError):  # the loop may be closed already
                        loop.call_soon_threadsafe(touched.set)

        observer = Observer()
        try:
            observer.schedule(Handler(), str(self._path.parent), recursive=False)
            observer.start()
        except OSError as error:
            log.info("%s is looked at every %g s (%s)", self._path, self._poll_interval, error.strerror)
            return None
        return observer

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_interval)
            status = _status(self._path)
            if status != self._status:
                self._status = status
                self._touched.set()

    async def _react(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._touched.wait()
            deadline = loop.time() + _LONGEST_WAIT
            while self._touched.is_set() and loop.time() < deadline:
                self._touched.clear()
                await asyncio.sleep(self._debounce)
            self._touched.clear()
            content = _digest(self._path)
            if content == self._content:
                continue
            self._content = content
            try:
                await self._changed()
            except Exception:
                log.exception("the change of %s could not be handled", self._path)


def _status(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode


def _digest(path: Path) -> str:
    """Stands for the file's content, or for the reason why it has none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "not a file"
        with path.open("rb") as file:
            return hashlib.sha256(file.read(_READ_AT_MOST)).hexdigest()
    except OSError as error:
        return f"error {error.errno}"
