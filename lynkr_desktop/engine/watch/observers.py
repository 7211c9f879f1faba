"""How a system tells of changes in folders: by inotify on Linux, for whole trees elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Collection
from typing import Any, Protocol

from lynkr_desktop.engine.analysis.walk import hidden

MOST_WATCHES = 16_384
"""Folders that are watched in one workspace; one with more of them is polled."""

GIT = "\0git"
"""Stands for git's folder among the folders that are covered. No path can be like it."""


class Watched(Protocol):
    """A workspace that is watched."""

    def absolute(self, folder: str) -> str:
        """Where a folder is."""

    def note(self, folder: str, name: str, *, is_folder: bool) -> None:
        """Something happened to a name in a folder; to the folder itself without a name. From any thread."""

    def note_all(self) -> None:
        """Anything may have changed. From any thread."""


class Observer(Protocol):
    """A system's way to tell of changes."""

    def cover(self, watch: Watched, folder: str) -> None:
        """Begins to tell of a folder.

        Raises:
            OSError: the system cannot.
        """

    def retain(self, watch: Watched, folders: Collection[str]) -> None:
        """Tells of no other folders of this workspace any more."""

    def close(self) -> None:
        """Ends it with its threads."""


def system_observer() -> Observer:
    """The observer of this system, running.

    Raises:
        OSError: the system has none left.
    """
    return EachFolder() if sys.platform == "linux" else WholeTrees()


class EachFolder:
    """Linux: a watch for each folder that is covered and for no other, by one descriptor and one thread."""

    def __init__(self) -> None:
        from watchdog.observers.inotify_c import InotifyConstants as Is
        from watchdog.observers.inotify_c import InotifyFD

        self._mask: Any = (
            Is.IN_CLOSE_WRITE
            | Is.IN_CREATE
            | Is.IN_DELETE
            | Is.IN_MOVE
            | Is.IN_DELETE_SELF
            | Is.IN_MOVE_SELF
            | Is.IN_ONLYDIR
            | Is.IN_DONT_FOLLOW
            | Is.IN_EXCL_UNLINK
        )
        self._descriptor = InotifyFD()
        self._descriptor.start()
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._watched: dict[Watched, dict[str, _Callback]] = {}

    def cover(self, watch: Watched, folder: str) -> None:
        callback = _Callback(self, watch, folder, next(self._ids))
        with self._lock:
            watched = self._watched.setdefault(watch, {})
            if len(watched) >= MOST_WATCHES:
                raise OSError(f"it has more than {MOST_WATCHES:,} folders")
            path: Any = os.fsencode(watch.absolute(folder))
            number: Any = callback.number
            callback.descriptor = self._descriptor.add_callback(path, self._mask, callback, number)
            if callback.descriptor < 0:  # how watchdog says that it may not be read
                return
            before = watched.get(folder)
            watched[folder] = callback
        if before is not None:
            self._drop([before])

    def retain(self, watch: Watched, folders: Collection[str]) -> None:
        with self._lock:
            watched = self._watched.get(watch, {})
            kept = {*folders, GIT} if folders else set()
            dropped = [watched.pop(folder) for folder in list(watched) if folder not in kept]
            if not watched:
                self._watched.pop(watch, None)
        self._drop(dropped)

    def close(self) -> None:
        self._descriptor.stop()
        self._descriptor.join(5.0)

    def forget(self, callback: _Callback) -> None:
        """The kernel dropped a watch, since its folder is gone."""
        with self._lock:
            watched = self._watched.get(callback.watch)
            if watched is not None and watched.get(callback.folder) is callback:
                del watched[callback.folder]

    def forget_below(self, watch: Watched, folder: str) -> None:
        """A folder was moved away: it is covered anew under its new name if it has one here."""
        with self._lock:
            watched = self._watched.get(watch, {})
            inside = folder + "/"
            moved = [watched.pop(one) for one in list(watched) if one == folder or one.startswith(inside)]
        self._drop(moved)

    def _drop(self, callbacks: list[_Callback]) -> None:
        pairs: list[Any] = [(callback.descriptor, callback.number) for callback in callbacks]
        with contextlib.suppress(OSError):
            self._descriptor.remove_callbacks(pairs)


class _Callback:
    """What inotify calls for one folder."""

    def __init__(self, observer: EachFolder, watch: Watched, folder: str, number: int) -> None:
        self._observer = observer
        self.watch = watch
        self.folder = folder
        self.number = number
        self.descriptor: Any = -1

    def on_event(self, event: Any) -> None:
        name = os.fsdecode(event.name)
        if name and event.is_directory and event.is_moved_from:
            self._observer.forget_below(self.watch, f"{self.folder}/{name}" if self.folder else name)
        self.watch.note(self.folder, name, is_folder=event.is_directory)

    def on_watch_deleted(self, wd: Any) -> None:
        self._observer.forget(self)

    def on_queue_overflow(self) -> None:
        self.watch.note_all()


class WholeTrees:
    """macOS and Windows watch whole trees: one watch for each workspace, and one for the folder of git."""

    def __init__(self) -> None:
        from watchdog.observers import Observer as SystemObserver

        self._observer: Any = SystemObserver()
        self._observer.start()
        self._watched: dict[Watched, dict[str, Any]] = {}

    def cover(self, watch: Watched, folder: str) -> None:
        watched = self._watched.setdefault(watch, {})
        if folder in ("", GIT) and folder not in watched:
            place = watch.absolute(folder)
            watched[folder] = self._observer.schedule(_handler(watch, folder), place, recursive=not folder)

    def retain(self, watch: Watched, folders: Collection[str]) -> None:
        if not folders:
            for scheduled in self._watched.pop(watch, {}).values():
                with contextlib.suppress(KeyError):
                    self._observer.unschedule(scheduled)

    def close(self) -> None:
        self._observer.stop()
        self._observer.join(5.0)


def _handler(watch: Watched, folder: str) -> Any:
    from watchdog.events import (
        EVENT_TYPE_CLOSED_NO_WRITE,
        EVENT_TYPE_OPENED,
        FileSystemEventHandler,
    )

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: Any) -> None:
            if event.event_type in (EVENT_TYPE_OPENED, EVENT_TYPE_CLOSED_NO_WRITE):
                return
            if event.is_directory and event.event_type == "modified":
                return
            for place in (event.src_path, event.dest_path):
                if place:
                    self._note(os.fsdecode(place), is_folder=event.is_directory)

        def _note(self, place: str, *, is_folder: bool) -> None:
            path = os.path.relpath(place, watch.absolute(folder)).replace(os.sep, "/")
            if path == ".":
                watch.note(folder, "", is_folder=True)
            elif folder == GIT:
                watch.note(folder, path, is_folder=is_folder)
            elif not path.startswith("../") and not hidden(path):
                parent, _, name = path.rpartition("/")
                watch.note(parent, name, is_folder=is_folder)

    return Handler()
