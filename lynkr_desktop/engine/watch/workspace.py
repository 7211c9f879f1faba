"""Tells which files of a workspace have changed, however they were changed, and says it once for many."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path

from lynkr_desktop.engine.analysis.walk import git_folder, hidden, is_setting, is_source
from lynkr_desktop.engine.watch.mounts import is_remote
from lynkr_desktop.engine.watch.observers import GIT, Observer, system_observer

log = logging.getLogger(__name__)

Refresh = Callable[[Collection[str] | None], None]
"""Called with changed paths, relative to the root, or with None when anything may have changed."""

_REST = 0.1
_LONGEST_WAIT = 0.4
"""Seconds: changes are told after so long without another one, and after so long in any case."""

_FIRST_REST = 0.01
_QUIET = 1.0
"""Seconds: after so long without changes the next one is told almost at once: most are a single save."""

_GIT_WAIT = 3.0
"""Seconds to wait at most for git to be through with a checkout."""

_MANY = 100
"""Changed paths from which on one look at everything is cheaper than a look at each."""

_LOOK_EVERY = 1.0
"""Seconds between two looks whether the folder itself is still there."""

_POLL_EVERY = 0.5
_POLL_UNUSED = 30.0
_UNUSED_AFTER = 300.0
_POLL_SHARE = 20
"""Polling rests for so many times as long as a walk takes: at most a twentieth of one core goes into it."""


class TreeWatcher:
    """Watches several workspaces with one observer and one thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._watches: list[TreeWatch] = []
        self._observer: Observer | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="workspace watch", daemon=True)
        self._thread.start()

    def watch(self, root: Path, refresh: Refresh, used: Callable[[], float]) -> TreeWatch:
        """Begins to watch a workspace. It covers no folder yet.

        Args:
            root: resolved.
            refresh: called from threads of this watcher.
            used: when someone last wanted to know of the workspace, by `time.monotonic`.
        """
        watch = TreeWatch(self, root, refresh, used)
        remote = is_remote(root)
        if remote:
            watch.poll(f"a file system of type {remote} does not tell of changes")
        with self._lock:
            self._watches.append(watch)
            self._lock.notify()
        return watch

    def close(self) -> None:
        """Ends all watches. Not for the event loop."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._thread.join(5.0)
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.close()

    def observer(self) -> Observer:
        """The one observer, started when it is first needed.

        Raises:
            OSError: the system has none left.
        """
        with self._lock:
            if self._closed:
                raise OSError("the watcher is closed")
            if self._observer is None:
                self._observer = system_observer()
            return self._observer

    def remove(self, watch: TreeWatch) -> None:
        """Forgets a watch."""
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)
            observer = self._observer
        if observer is not None:
            observer.retain(watch, ())

    def wake(self) -> None:
        """Something changed: the thread sees to it."""
        with self._lock:
            self._lock.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closed:
                    return
                watches = tuple(self._watches)
            now = time.monotonic()
            due = min((watch.attend(now) for watch in watches), default=now + 60.0)
            with self._lock:
                if not self._closed and tuple(self._watches) == watches and not any(w.fresh for w in watches):
                    self._lock.wait(max(0.0, due - time.monotonic()))


class TreeWatch:
    """The watch of one workspace. Made by `TreeWatcher.watch`."""

    def __init__(self, watcher: TreeWatcher, root: Path, refresh: Refresh, used: Callable[[], float]) -> None:
        self.root = os.fspath(root)
        self._watcher = watcher
        self._refresh = refresh
        self._used = used
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._all = False
        self._since = 0.0
        self._latest = 0.0
        self._told = 0.0
        self._identity = _identity(self.root)
        self._look_at = time.monotonic() + _LOOK_EVERY
        self._walk_began = 0.0
        self._walk_ended = 0.0
        self._walks: deque[float] = deque(maxlen=3)
        self._walking = False
        self._polling = False
        self._git: str | None = None
        self.fresh = False
        """Whether something was noted since `attend` last looked."""

    @property
    def polling(self) -> bool:
        """Whether it walks the workspace again and again, since the system does not tell of changes."""
        return self._polling

    def cover(self, folder: str) -> None:
        """Watches one more folder, relative to the root; the root itself is the first of a walk."""
        if not folder:
            self._walk_began = time.monotonic()
            git = git_folder(self.root)
            self._git = git[1] if git is not None else None
        if self._polling:
            return
        try:
            observer = self._watcher.observer()
            if not folder and self._git is not None:
                observer.cover(self, GIT)
            observer.cover(self, folder)
        except FileNotFoundError:
            if not folder:
                self._identity = None
        except OSError as error:
            self.poll(error.strerror or str(error))

    def retain(self, folders: Collection[str]) -> None:
        """Ends a walk: watches no other folders than these any more."""
        now = time.monotonic()
        self._walks.append(now - self._walk_began)
        self._walk_ended, self._walking = now, False
        if not self._polling:
            with contextlib.suppress(OSError):
                self._watcher.observer().retain(self, folders)
        self._watcher.wake()

    def close(self) -> None:
        """Watches nothing any more, and holds on to nobody who was told."""
        self._watcher.remove(self)
        self._refresh, self._used = lambda _: None, lambda: 0.0

    def poll(self, why: str) -> None:
        """Does without the system's events from here on."""
        log.info("%s is looked through again and again: %s", self.root, why)
        self._polling = True
        with contextlib.suppress(OSError):
            self._watcher.observer().retain(self, ())

    def absolute(self, folder: str) -> str:
        """Where a folder is."""
        if folder == GIT:
            assert self._git is not None
            return self._git
        return os.path.join(self.root, *folder.split("/")) if folder else self.root

    def note(self, folder: str, name: str, *, is_folder: bool) -> None:
        """Something happened to a name in a folder that is covered; to the folder itself without a name."""
        if folder == GIT:
            if name == "HEAD":
                self.note_all()
            return
        if not name:
            if not folder:
                self._identity = None  # another folder in its place may get the same number
                self.note_all()
            return
        if name == ".gitignore" or (name == ".git" and not folder):
            self.note_all()
            return
        path = f"{folder}/{name}" if folder else name
        if is_folder:
            if hidden(path + "/"):
                return
        elif name.startswith(".#") or not (is_source(name) or is_setting(name)):  # .#a.py is a lock of Emacs
            return
        with self._lock:
            self._stamp()
            if len(self._paths) > _MANY:
                self._all = True
            else:
                self._paths.add(path)
        self._watcher.wake()

    def note_all(self) -> None:
        """Anything may have changed."""
        with self._lock:
            self._stamp()
            self._all = True
        self._watcher.wake()

    def attend(self, now: float) -> float:
        """Tells what is due, and returns when to look again. For the watcher's thread."""
        self.fresh = False
        if self._polling:
            return min(self._poll(now), self._tell(now))
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            identity = _identity(self.root)
            if identity != self._identity:
                self._identity = identity
                with contextlib.suppress(OSError):
                    self._watcher.observer().retain(self, ())
                self.note_all()
        return min(self._tell(now), self._look_at)

    def _poll(self, now: float) -> float:
        """Has everything looked at when it is time. Never touches the folder: a network may be slow."""
        rest = max(_POLL_EVERY, _POLL_SHARE * min(self._walks, default=0.0))
        if now - self._used() > _UNUSED_AFTER:
            rest = max(rest, _POLL_UNUSED)
        due = self._walk_ended + rest
        if not self._walking and now >= due:
            self._walking = True
            self._refresh(None)
        return now + _POLL_EVERY if self._walking else min(due, now + _LOOK_EVERY)

    def _tell(self, now: float) -> float:
        with self._lock:
            if not self._since:
                return now + 60.0
            rest = _FIRST_REST if self._since > self._told + _QUIET else _REST
            due = min(self._latest + rest, self._since + _LONGEST_WAIT)
            if now >= due and now < self._since + _GIT_WAIT and self._git_works():
                due = now + _REST
            if now < due:
                return due
            paths, everything = self._paths, self._all
            self._paths, self._all, self._since, self._told = set(), False, 0.0, now
        self._refresh(None if everything else paths)
        return now + 60.0

    def _git_works(self) -> bool:
        return self._git is not None and os.path.exists(os.path.join(self._git, "index.lock"))

    def _stamp(self) -> None:
        self._latest = time.monotonic()
        self._since = self._since or self._latest
        self.fresh = True


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino
