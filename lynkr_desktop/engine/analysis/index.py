"""The index of one workspace, as routing and people read it."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from lynkr_desktop.engine.analysis import reading as readings
from lynkr_desktop.engine.analysis.graph import CodeGraph
from lynkr_desktop.engine.analysis.indexing import Indexing, View
from lynkr_desktop.engine.analysis.lookup import Names, candidates
from lynkr_desktop.engine.analysis.metrics import alone
from lynkr_desktop.engine.analysis.walk import Reason, hidden, is_source, read
from lynkr_desktop.protocol.code import CodeGraphReport, FileMetrics, IndexStatus, SymbolMetrics

NAMES = 100
"""Names that one look-up reads, and files and symbols that it gives; the rest is left out."""

_SPOT_SECONDS = 0.002
_SPOT_BYTES = 8 * 1024
"""What one look-up parses on the spot: about so many bytes in so many seconds."""

_SPOT_KEPT = 200
_ANSWERS = 32
"""Answers of `concerned` that are kept."""


class Touched(Struct, frozen=True, kw_only=True):
    """What some names mean in a workspace.

    Attributes:
        files: those that are named, and those that define a symbol that is named.
        symbols: functions, methods and classes that are named.
        complete: False while the workspace is being indexed: then only what is indexed by now, or was parsed
            on the spot, is here, and without the graph's metrics.
    """

    files: tuple[FileMetrics, ...] = ()
    symbols: tuple[SymbolMetrics, ...] = ()
    complete: bool = True


class Concerned(NamedTuple):
    """What some names hang on in a workspace, by paths relative to its root.

    Attributes:
        named: files that the names mean, in the index or not, there or not.
        linked: those that the indexed ones depend on, and those that depend on them directly.
    """

    named: tuple[str, ...]
    linked: frozenset[str]


class WorkspaceIndex:
    """Reads the index of a workspace. Never waits: it reads the view that is there.

    Args:
        indexing: makes the views.
        prefix: folder below the root that relative names start from, with `/`.
        spelled: another absolute spelling of that folder, as through a symbolic link.
    """

    def __init__(self, indexing: Indexing, prefix: str = "", spelled: Path | None = None) -> None:
        self._indexing = indexing
        self._prefix = prefix
        self._roots: dict[str, str] = {indexing.root.as_posix(): ""}
        if spelled is not None:
            self._roots.setdefault(spelled.as_posix(), prefix)
        self._spot = _Spot(indexing.root)
        self._answers = _Answers(indexing.view)

    @property
    def root(self) -> Path:
        """The folder that is indexed, resolved; paths are relative to it."""
        return self._indexing.root

    @property
    def status(self) -> IndexStatus:
        """How far the index is."""
        return self._indexing.status

    def find(self, names: Sequence[str]) -> Touched:
        """The files and symbols that names mean; what is unknown or ambiguous beyond use is left out.

        Args:
            names: as they stand in requests: paths (relative, absolute, `a.py`, `src\\a.py`, with `:12` or
                as URL), symbols (`UserService`, `parse_config()`, `foo.Bar.baz`, `Type::method`).
        """
        complete, view = self._indexing.complete, self._indexing.view  # a view may be better than was said
        self._indexing.used = time.monotonic()
        names = names[:NAMES]
        found = view.names.find(names, roots=self._roots, prefix=self._prefix)
        places = found.places[:NAMES]
        paths = list(dict.fromkeys((*found.paths, *(place.path for place in places))))[:NAMES]
        files = {path: metrics for path in paths if (metrics := metrics_of(view, path)) is not None}
        if not complete:
            self._spot.parse(names, self._roots, self._prefix, view.names, files)
        symbols = tuple(
            SymbolMetrics(name=place.name, path=place.path, line=place.line, complexity=place.complexity)
            for place in places
        )
        return Touched(files=tuple(files.values()), symbols=symbols, complete=complete)

    def concerned(self, names: Sequence[str], limit: int) -> Concerned | None:
        """The files that an answer about some names hangs on. From any thread.

        Args:
            names: as in `find`, without a bound on their number.
            limit: files at most.

        Returns:
            None where there are more, or while the index does not hold the whole workspace.
        """
        if self._indexing.status.state != "ready":
            return None
        view = self._indexing.view
        self._indexing.used = time.monotonic()
        if view.graph is None:
            return None
        answers = self._answers
        if not answers.of(view):
            answers = self._answers = _Answers(view)
        key: _Asked = (limit, *names)
        known = answers.known.get(key)
        return known or answers.keep(key, self._concerned(view, view.graph, names, limit))

    def _concerned(self, view: View, graph: CodeGraph, names: Sequence[str], limit: int) -> Concerned | None:
        found = view.names.find(names, roots=self._roots, prefix=self._prefix)
        indexed = dict.fromkeys((*found.paths, *(place.path for place in found.places)))
        linked = graph.around(indexed, limit)
        if linked is None:
            return None
        written = (path for name in names for path in candidates(name, self._roots, self._prefix))
        named = tuple(dict.fromkeys((*indexed, *written)))
        return None if len(linked) + len(named) > limit else Concerned(named, linked)

    def report(self) -> CodeGraphReport:
        """Everything that is known by now. Takes a while in large workspaces: not for the event loop."""
        view, status = self._indexing.view, self._indexing.status
        if view.graph is None:
            return CodeGraphReport(status=status)
        files = tuple(view.graph.metrics(path) for path in view.graph.paths)
        return CodeGraphReport(status=status, files=files, edges=view.graph.edges)

    def refresh(self) -> None:
        """Has every file looked at again, as after a change that the system did not tell of."""
        self._indexing.refresh(None)

    def wait(self, timeout: float) -> bool:
        """Waits until nothing is left to do; False when that takes longer. Not for the event loop."""
        return self._indexing.wait(timeout)


def metrics_of(view: View, path: str) -> FileMetrics | None:
    """A file's metrics in a view: all of them, or those that need no graph while there is none."""
    if view.graph is not None:
        return view.graph.metrics(path) if path in view.graph else None
    facts = view.facts.get(path)
    return None if facts is None else alone(path, facts)


_Asked = tuple[int | str, ...]


class _Answers:
    """What was answered from one view: the same is asked again in each turn. It does not keep the view alive.

    For any thread: the worst that can come of two at a time is that an answer is found twice.
    """

    def __init__(self, view: View) -> None:
        self.known: dict[_Asked, Concerned] = {}
        self._names = weakref.ref(view.names)
        self._graph = None if view.graph is None else weakref.ref(view.graph)

    def of(self, view: View) -> bool:
        """Whether the answers are those of a view."""
        return self._graph is not None and self._graph() is view.graph and self._names() is view.names

    def keep(self, key: _Asked, answer: Concerned | None) -> Concerned | None:
        """Keeps an answer, and gives it back."""
        if len(self.known) >= _ANSWERS:
            self.known.clear()
        if answer is not None:
            self.known[key] = answer
        return answer


class _Spot:
    """Parses files that a request names while the index is not there yet, within a time limit."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._kept: dict[str, FileMetrics | None] = {}

    def parse(
        self,
        names: Sequence[str],
        roots: Mapping[str, str],
        prefix: str,
        known: Names,
        files: dict[str, FileMetrics],
    ) -> None:
        """Adds to `files` what is named by its path and not in it yet."""
        deadline, left = time.perf_counter() + _SPOT_SECONDS, _SPOT_BYTES
        for name in names:
            for path in known.paths_of(name, roots=roots, prefix=prefix) or candidates(name, roots, prefix):
                if path in files:
                    break
                if path not in self._kept:
                    if time.perf_counter() > deadline:
                        return
                    left -= self._read(path, left)
                metrics = self._kept.get(path)
                if metrics is not None:
                    files[path] = metrics
                    break

    def _read(self, path: str, limit: int) -> int:
        """Parses a file if it is small enough; returns how many bytes that were."""
        if not is_source(path) or hidden(path) or not readings.warm(path):
            return 0
        absolute = os.path.join(self._root, *path.split("/"))
        content = read(absolute, limit) if os.path.realpath(absolute) == absolute else Reason.LINK
        if content is Reason.LARGE and limit < _SPOT_BYTES:
            return 0  # there may be time for it in the next request
        if len(self._kept) >= _SPOT_KEPT:
            self._kept.clear()
        if isinstance(content, Reason):
            self._kept[path] = None
            return 0
        reading = readings.parse_in_time(path, *content, _SPOT_SECONDS * 2)
        if reading is None or reading.reason:
            self._kept[path] = None
        else:
            self._kept[path] = alone(path, readings.unpack(reading.facts))
        return len(content[0])
