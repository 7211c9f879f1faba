"""The workspaces that are indexed: which folders may be, how many, and who hears of changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.analysis.indexing import Indexing, OnFiles
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.pool import Pool
from lynkr_desktop.engine.watch.workspace import TreeWatcher
from lynkr_desktop.protocol.code import IndexStatus

log = logging.getLogger(__name__)

_TELL_EVERY = 0.25
"""Seconds between two calls of `on_change`, at least."""

_REFUSED_FOR = 5.0
"""Seconds for which a refused folder is not looked at again."""

FIRST_PASSES = 2
"""Workspaces that are read for the first time at once: a small one need not wait for a huge one."""

_SPELLINGS = 500
_CLOSED = 20
_JOIN = 5.0


class Workspaces:
    """All indices of this process. For the event loop, apart from the indices' own threads.

    Args:
        cache: folder of the stored facts.
        limits: of all of them.
        on_change: called on the loop after a status changed, at most four times a second.
        on_files: told of the files that changed; see `Indexing`.
    """

    def __init__(
        self, cache: Path, limits: Limits, on_change: Callable[[], None], on_files: OnFiles | None = None
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._on_change = on_change
        self._on_files = on_files
        self._roots = tuple(Path(os.path.realpath(root.expanduser())) for root in limits.roots)
        self._pool = Pool(limits.workers)
        self._turn = threading.Semaphore(FIRST_PASSES)
        self._watcher: TreeWatcher | None = None
        self._open: dict[Path, Indexing] = {}
        """By root, the one that was asked for latest at the end."""
        self._closed: dict[str, IndexStatus] = {}
        self._seen: dict[str, WorkspaceIndex] = {}
        self._refused: dict[str, float] = {}
        self._ending: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._told = 0.0

    async def start(self) -> None:
        """Takes the running loop for `on_change`. Indices are made from here on."""
        self._loop = asyncio.get_running_loop()
        self._watcher = TreeWatcher()

    async def close(self) -> None:
        """Ends all indices with their threads, processes and watches."""
        self._loop = None
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        for indexing in self._open.values():
            indexing.stop()
        await asyncio.to_thread(self._pool.close)
        for thread in (*self._ending, *(indexing.thread for indexing in self._open.values())):
            await asyncio.to_thread(thread.join, _JOIN)
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.close)
            self._watcher = None
        self._open.clear()
        self._seen.clear()
        self._ending.clear()

    def at(self, folder: Path) -> WorkspaceIndex | None:
        """The index for a folder: its own or that of a folder around it. Indexing starts at first sight.

        None where the folder may not be indexed: it is not there, is a root of the file system, the home
        folder or one above it, belongs to someone else, or lies outside of `limits.roots`.
        """
        if self._watcher is None:
            return None
        spelling = os.fspath(folder)
        index = self._seen.get(spelling)
        if index is not None and index.root in self._open:
            self._open[index.root] = self._open.pop(index.root)
            return index
        now = time.monotonic()
        if now - self._refused.get(spelling, -_REFUSED_FOR) < _REFUSED_FOR:
            return None
        root = self._admitted(folder)
        if root is None:
            if len(self._refused) >= _SPELLINGS:
                self._refused.clear()
            self._refused[spelling] = now
            return None
        if len(self._seen) >= _SPELLINGS:
            self._seen.clear()
        indexing = self._around(root) or self._begin(root)
        inner = root.relative_to(indexing.root).as_posix() if root.is_relative_to(indexing.root) else "."
        index = WorkspaceIndex(
            indexing, "" if inner == "." else inner, folder if folder.is_absolute() else None
        )
        self._seen[spelling] = index
        return index

    def statuses(self) -> tuple[IndexStatus, ...]:
        """Of every workspace that was seen, the latest first. Those that were closed again are `waiting`."""
        opened = [indexing.status for indexing in reversed(self._open.values())]
        return (*opened, *reversed(self._closed.values()))

    def refusal(self, folder: Path) -> str:
        """Why a folder may not be indexed and what to do, in two sentences; empty where it may be.

        It looks anew, so that a folder which was refused a moment ago and is there now is found by `at`.
        """
        found = self._examined(folder)
        if isinstance(found, str):
            return found
        self._refused.pop(os.fspath(folder), None)
        return ""

    def _admitted(self, folder: Path) -> Path | None:
        """The resolved folder if it may be indexed."""
        found = self._examined(folder)
        return None if isinstance(found, str) else found

    def _examined(self, folder: Path) -> Path | str:
        """The resolved folder, or why it may not be indexed."""
        named = repr(os.fspath(folder)[:300])
        try:
            given = folder.expanduser()
            if not given.is_absolute():
                return f"{named} is not an absolute path. Give the whole path of the folder."
            root = Path(os.path.realpath(given))
            status = root.stat()
            home = Path(os.path.realpath(Path.home()))
        except (FileNotFoundError, NotADirectoryError):
            return f"There is no folder {named}. Give one that is there."
        except (OSError, RuntimeError, ValueError):
            return f"The folder {named} cannot be read. Give one that you may read."
        if not root.is_dir():
            return f"{named} is not a folder. Give the folder that it lies in."
        if root == Path(root.anchor) or home.is_relative_to(root):
            what = (
                "the root of the file system"
                if root == Path(root.anchor)
                else "your home or a folder above it"
            )
            return f"{named} is {what}, which is never indexed. Give the folder of one project."
        if self._roots:
            if any(root.is_relative_to(one) for one in self._roots):
                return root
            return (
                f"{named} lies in none of the folders that may be indexed. "
                "List it in routing.analysis.graphify.roots to allow it."
            )
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            return (
                f"{named} belongs to another user, and only your own folders are indexed. "
                "List it in routing.analysis.graphify.roots to allow it."
            )
        return root

    def _around(self, root: Path) -> Indexing | None:
        """The open index whose walk enters a folder, the folder's own first."""
        around = (
            self._open.get(root)
            or next((one for one in self._open.values() if _same(one.root, root)), None)
            or next((one for one in self._open.values() if one.covers(root)), None)
        )
        if around is not None:
            self._open[around.root] = self._open.pop(around.root)
        return around

    def _begin(self, root: Path) -> Indexing:
        while len(self._open) >= max(1, self._limits.workspaces):
            self._end(next(iter(self._open)))
        assert self._watcher is not None
        indexing = Indexing(
            root,
            cache=self._cache,
            limits=self._limits,
            pool=self._pool,
            turn=self._turn,
            notify=self._notify,
            on_files=self._on_files,
            watch=self._watcher.watch,
        )
        self._open[root] = indexing
        self._closed.pop(str(root), None)
        indexing.start()
        self._notify()
        return indexing

    def _end(self, root: Path) -> None:
        indexing = self._open.pop(root)
        indexing.stop()
        self._seen = {spelling: index for spelling, index in self._seen.items() if index.root != root}
        self._ending = [thread for thread in self._ending if thread.is_alive()] + [indexing.thread]
        self._closed[str(root)] = replace(indexing.status, state="waiting", done=0, total=0)
        while len(self._closed) > _CLOSED:
            del self._closed[next(iter(self._closed))]

    def _notify(self) -> None:
        """From any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed already
                loop.call_soon_threadsafe(self._tell_soon)

    def _tell_soon(self) -> None:
        if self._telling is None and self._loop is not None:
            self._telling = self._loop.call_at(max(self._loop.time(), self._told + _TELL_EVERY), self._tell)

    def _tell(self) -> None:
        self._telling = None
        loop = self._loop
        if loop is not None:
            self._on_change()
            self._told = loop.time()


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one folder: some file systems take names in either case."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
