"""The work behind the index of one workspace: a thread that reads what changed and makes the next view."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec.structs import replace

from lynkr_desktop.engine.analysis import reading as readings
from lynkr_desktop.engine.analysis.courtesy import courteous
from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.lookup import Names
from lynkr_desktop.engine.analysis.pool import Pool
from lynkr_desktop.engine.analysis.reader import Reader
from lynkr_desktop.engine.analysis.reading import Reading
from lynkr_desktop.engine.analysis.store import FactStore
from lynkr_desktop.engine.analysis.walk import Reason, Stamp, Tree, Walker, read
from lynkr_desktop.protocol.code import IndexStatus

if TYPE_CHECKING:
    from lynkr_desktop.engine.analysis.graph import CodeGraph

log = logging.getLogger(__name__)

GONE = "The folder is gone. It is indexed again as soon as it is back."

_SHOW_EVERY = 0.5
"""Seconds between two views of what is read so far, while the first pass goes on."""

_MANY = 100
"""Files from which on so many objects come to stay that the garbage collector had better not look at them."""


class View(NamedTuple):
    """What is known of a workspace at one time; the next view takes its place.

    Attributes:
        names: of all files that the walk found, and of the symbols of those that were read.
        facts: of the files that were read. Grows while the first pass goes on.
        graph: over all files; None until the first pass is through.
    """

    names: Names
    facts: Mapping[str, FileFacts]
    graph: CodeGraph | None


class Watch(Protocol):
    """Tells that files of one workspace changed."""

    @property
    def polling(self) -> bool:
        """Whether the system does not tell of changes."""

    def cover(self, folder: str) -> None:
        """Watches one more folder (relative to the root)."""

    def retain(self, folders: Collection[str]) -> None:
        """Watches no other folders than these any more."""

    def close(self) -> None:
        """Watches nothing any more."""


Refresh = Callable[[Collection[str] | None], None]
MakeWatch = Callable[[Path, Refresh, Callable[[], float]], Watch]
OnFiles = Callable[[Path, Callable[[], Collection[str]]], None]
"""Takes the root of a workspace, and what tells the files that changed with all that depend on them, relative
to the root. Telling takes a while in large workspaces, so nobody asks who does not need it."""


class Indexing:
    """Keeps the view of one workspace fresh, in a thread of its own.

    Args:
        root: an existing folder, resolved.
        cache: folder of the stored facts.
        pool: reads what is large.
        turn: held during a first pass, so that only so many run at a time.
        notify: called from the thread after changes of the status.
        on_files: called from the thread, once the view knows of files that changed; also with none, where
            git's HEAD may have moved.
        watch: makes the watch of this workspace, given what to call with changed paths and when the index
            was last used.
    """

    def __init__(
        self,
        root: Path,
        *,
        cache: Path,
        limits: Limits,
        pool: Pool,
        turn: threading.Semaphore,
        notify: Callable[[], None],
        on_files: OnFiles | None = None,
        watch: MakeWatch | None = None,
    ) -> None:
        self.root = root
        self.view = View(Names(), {}, None)
        self.status = IndexStatus(root=str(root), state="waiting")
        self.used = time.monotonic()
        """When someone last looked something up."""

        self._cache = cache
        self._limits = limits
        self._pool = pool
        self._turn = turn
        self._notify = notify
        self._on_files = on_files
        self._make_watch = watch
        self._watch: Watch | None = None
        self._walker = Walker(root, limits, self._entering)

        self._facts: dict[str, FileFacts] = {}
        self._stamps: dict[str, Stamp] = {}
        self._settings: dict[str, Stamp] = {}
        self._skipped: dict[str, str] = {}
        self._beyond = 0

        self._wake = threading.Condition()
        self._changed: set[str] = set()
        self._rescan = True
        self._idle = False
        self._stopping = False
        self.thread = threading.Thread(target=self._run, name=f"code index of {root.name}", daemon=True)

    @property
    def complete(self) -> bool:
        """Whether the view holds all that the walk found."""
        return self.status.state in ("ready", "limited")

    def covers(self, folder: Path) -> bool:
        """Whether the index holds all of a folder below its root."""
        if self.status.state not in ("ready", "indexing"):
            return False
        return (
            folder.is_relative_to(self.root)
            and folder.relative_to(self.root).as_posix() in self._walker.folders
        )

    def start(self) -> None:
        """Starts the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Tells the thread to end; it does so soon, and can be joined."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def refresh(self, paths: Collection[str] | None) -> None:
        """Has paths (relative to the root) looked at again, or everything. From any thread."""
        with self._wake:
            if paths is None:
                self._rescan = True
            else:
                self._changed.update(paths)
            self._idle = self._idle and not (self._rescan or self._changed)
            self._wake.notify_all()

    def wait(self, timeout: float) -> bool:
        """Waits until nothing is left to do; False when that takes longer. Not for the event loop."""
        with self._wake:
            return self._wake.wait_for(lambda: self._idle or self._stopping, timeout)

    def _run(self) -> None:
        store = FactStore.open(self._cache, self.root, self._limits.cache_bytes)
        reader = Reader(self.root, self._limits.file_bytes, store, self._pool)
        try:
            while self._work(reader, store):
                store.flush()
        finally:
            if self._watch is not None:
                self._watch.close()
            store.close()
            # No cycle may be left: the collector never looks at what was frozen.
            self._watch, self._make_watch, self._walker = None, None, Walker(self.root, self._limits)

    def _work(self, reader: Reader, store: FactStore) -> bool:
        """Waits for something to do and does it; False at the end."""
        with self._wake:
            if not (self._rescan or self._changed):
                self._idle = True
                self._wake.notify_all()
            self._wake.wait_for(lambda: self._stopping or self._rescan or bool(self._changed))
            if self._stopping:
                return False
            rescan, self._rescan = self._rescan, False
            changed, self._changed = self._changed, set()
        try:
            if self.view.graph is None:
                self._first(reader, store)
            elif rescan:
                self._scan(reader, store)
            else:
                self._look(reader, store, changed)
        except _Stopped:
            return False
        except OSError as error:
            self._fail(f"The folder cannot be read: {error.strerror}." if self.root.is_dir() else GONE)
        except Exception:  # whatever a strange workspace brings about: the other workspaces go on
            log.exception("the index of %s failed", self.root)
            self._fail("The index could not be made. The engine's log says why.")
        return True

    def _first(self, reader: Reader, store: FactStore) -> None:
        """The first pass, when it is this workspace's turn."""
        while not self._turn.acquire(timeout=0.2):
            self._check()
        try:
            if self._watch is None and self._make_watch is not None:
                self._watch = self._make_watch(self.root, self.refresh, lambda: self.used)
            with courteous(keep=True):
                self._scan(reader, store)
            store.prune()
        finally:
            self._turn.release()

    def _scan(self, reader: Reader, store: FactStore) -> None:
        """Walks the whole workspace and reads what is not known yet."""
        started = time.perf_counter()
        try:
            tree = self._walker.walk()
        finally:
            if self._watch is not None:
                self._watch.retain(self._walker.folders.keys())
        self._beyond = tree.beyond
        self._skipped = {path: why for path, why in self._skipped.items() if path in tree.sources}
        self._skipped.update((path, why.value) for path, why in tree.skipped.items())
        fresh = {path: stamp for path, stamp in tree.sources.items() if self._stamps.get(path) != stamp}
        gone = self._stamps.keys() - tree.sources.keys()
        first = self.view.graph is None
        if first:
            self._say(state="indexing", done=0, total=len(fresh), error="")
            self.view = View(Names().changed({}, dict.fromkeys(fresh)), self._facts, None)
            readings.warm_up(fresh)
        view = self.view
        self._update(reader, fresh, gone, tree.settings, self._settings.keys() - tree.settings.keys())
        store.forget(gone)
        seconds = time.perf_counter() - started if first else self.status.seconds
        self._settle(tree, seconds, changed=self.view is not view)

    def _look(self, reader: Reader, store: FactStore, changed: Iterable[str]) -> None:
        """Reads paths again of which something said that they have changed."""
        if not self.root.is_dir():
            raise FileNotFoundError(self.root)
        now, known = Tree(), set()
        now.complete = self.status.state != "limited"
        for path in sorted(changed):
            known |= self._below(path)
            tree = self._walker.look(path)
            # A path that was named is read whatever its status says; of a folder only what looks changed.
            now.sources.update(
                (one, stamp)
                for one, stamp in tree.sources.items()
                if one == path or self._stamps.get(one) != stamp
            )
            known.difference_update(tree.sources.keys())
            now.settings.update(tree.settings)
            now.skipped.update(tree.skipped)
            now.complete = now.complete and tree.complete
        for path in [path for path in now.sources if path not in self._stamps][self._room() :]:
            del now.sources[path]
            now.complete = False
            self._beyond += 1
        gone = known - now.sources.keys() - now.settings.keys()
        if gone and self._beyond:
            self.refresh(None)  # there is room for files that were left out
            return
        for path in gone:
            self._skipped.pop(path, None)
        self._skipped.update((path, why.value) for path, why in now.skipped.items())
        settings_gone = (self._settings.keys() & known) - now.settings.keys()
        if not (now.sources or now.settings or now.skipped or gone):
            return
        view = self.view
        self._update(reader, now.sources, gone, now.settings, settings_gone)
        store.forget(gone)
        self._settle(now, self.status.seconds, changed=self.view is not view)

    def _room(self) -> int:
        return max(0, self._limits.files - len(self._stamps))

    def _below(self, path: str) -> set[str]:
        """What is known of a path: of itself, or of what lay in it when it was a folder."""
        known = (self._stamps, self._settings, self._skipped)
        if path not in self._walker.folders:
            return {path} if any(path in each for each in known) else set()
        self._walker.forget(path)
        inside = path + "/"
        return {one for each in known for one in each if one.startswith(inside)}

    def _update(
        self,
        reader: Reader,
        fresh: Mapping[str, Stamp],
        gone: Collection[str],
        settings: Mapping[str, Stamp],
        settings_gone: Collection[str],
    ) -> None:
        """Reads files, and makes the view with them and without those that are gone."""
        first = self.view.graph is None
        lost: dict[str, FileFacts | None] = {}
        won: dict[str, FileFacts | None] = {}
        for path in gone:
            self._stamps.pop(path, None)
            lost[path] = self._facts.pop(path, None)
        shown = time.monotonic()
        with courteous(keep=len(fresh) >= _MANY):
            for reading in reader.read(fresh):
                self._check()
                path, old, facts = reading.path, self._facts.get(reading.path), self._take(reading)
                if facts == old and not first:
                    continue
                if old is not None or facts is None:
                    lost[path] = old
                if facts is not None:
                    won[path] = facts
                if first and time.monotonic() - shown > _SHOW_EVERY:
                    self.view = View(self.view.names.changed(lost, won), self._facts, None)
                    self._say(done=len(self._stamps))
                    lost, won, shown = {}, {}, time.monotonic()
            changed_settings = self._read_settings(settings, settings_gone)
            names = self.view.names.changed(lost, won) if lost or won else self.view.names
            if self.view.graph is None:
                from lynkr_desktop.engine.analysis.graph import CodeGraph  # not for the start of the engine

                given = {path: content for path, content in changed_settings.items() if content is not None}
                graph = CodeGraph(self._facts, given)
            elif lost or won or changed_settings:
                gone_now: dict[str, FileFacts | None] = {path: None for path in lost if path not in won}
                graph = self.view.graph.update({**gone_now, **won}, changed_settings)
            else:
                graph = self.view.graph
        before = self.view.graph
        if names is not self.view.names or graph is not self.view.graph:
            self.view = View(names, self._facts, graph)
        if self._on_files is not None and before is not None:
            changed = {*fresh, *gone, *settings, *settings_gone}
            self._on_files(self.root, partial(_affected, changed, before, graph))

    def _take(self, reading: Reading) -> FileFacts | None:
        """Notes what a reading says; its facts, if it has any."""
        path = reading.path
        self._stamps[path] = Stamp(reading.mtime_ns, reading.size)
        if reading.reason:
            self._skipped[path] = reading.reason
            self._facts.pop(path, None)
            return None
        self._skipped.pop(path, None)
        facts = self._facts[path] = readings.unpack(reading.facts)
        return facts

    def _read_settings(self, settings: Mapping[str, Stamp], gone: Collection[str]) -> dict[str, bytes | None]:
        """The contents of settings that are not as they were, None for those that are gone."""
        changed: dict[str, bytes | None] = {}
        for path in gone:
            del self._settings[path]
            changed[path] = None
        for path, stamp in settings.items():
            if self._settings.get(path) != stamp:
                content = read(os.path.join(self.root, *path.split("/")), self._limits.file_bytes)
                self._settings[path] = stamp
                changed[path] = None if isinstance(content, Reason) else content[0]
        return changed

    def _settle(self, tree: Tree, seconds: float, *, changed: bool) -> None:
        """Says what the view holds now, unless it is what was said before."""
        facts = self._facts.values()
        skipped = Counter(self._skipped.values())
        skipped[Reason.LIMIT.value] += self._beyond
        status = replace(
            self.status,
            state="ready" if tree.complete else "limited",
            done=len(self._stamps),
            total=len(self._stamps),
            files=len(facts),
            lines=sum(one.lines for one in facts),
            languages=dict(Counter(one.language for one in facts)),
            skipped=dict(+skipped),
            seconds=seconds,
            polling=self._watch is not None and self._watch.polling,
            error="",
        )
        if changed or status != self.status:
            self.status = replace(status, updated=time.time())
            self._notify()

    def _fail(self, error: str) -> None:
        """Knows nothing any more, and starts anew at the next change."""
        self._facts, self._stamps, self._settings, self._skipped = {}, {}, {}, {}
        self.view = View(Names(), self._facts, None)
        self._say(state="failed", error=error, done=0, total=0, files=0, lines=0, languages={}, skipped={})

    def _say(self, **changes: Any) -> None:
        status = replace(self.status, **changes)
        if status != self.status:
            self.status = status
            self._notify()

    def _entering(self, folder: str) -> None:
        self._check()
        if self._watch is not None:
            self._watch.cover(folder)

    def _check(self) -> None:
        if self._stopping:
            raise _Stopped


def _affected(changed: Collection[str], before: CodeGraph, after: CodeGraph) -> Collection[str]:
    """Files with all that depended on them, and all that do now."""
    return before.affected(changed) | after.affected(changed) if changed else ()


class _Stopped(Exception):
    """The index is being closed."""
