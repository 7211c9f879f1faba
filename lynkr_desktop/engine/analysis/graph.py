"""The graph of dependencies between the files of a workspace, and the metrics that follow from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import chain

from msgspec.structs import replace

from lynkr_desktop.engine.analysis.conventions import is_test
from lynkr_desktop.engine.analysis.facts import FileFacts, Language
from lynkr_desktop.engine.analysis.family import Family
from lynkr_desktop.engine.analysis.links import Links
from lynkr_desktop.engine.analysis.metrics import alone
from lynkr_desktop.engine.analysis.reach import Reach, reach
from lynkr_desktop.protocol.code import CodeEdge, EdgeKind, FileMetrics

Files = Mapping[str, FileFacts]
Settings = Mapping[str, bytes]


class CodeGraph:
    """What depends on what in one workspace. Never changes: `update` gives another graph.

    Args:
        files: the facts of all source files, by path relative to the workspace, with `/`.
        settings: the contents of files that say how imports are resolved (tsconfig.json, package.json,
            go.mod, Cargo.toml ...), by path. Malformed ones are ignored.
    """

    _paths: tuple[str, ...]
    _positions: dict[str, int]
    _reach: Reach

    def __init__(self, files: Files, settings: Settings | None = None) -> None:
        self._files = dict(files)
        self._settings = dict(settings or {})
        self._families: dict[Language, Family] = {}
        for language, members in _by_language(self._files).items():
            self._families[language] = Family.build(language, members, self._settings)
        self._measure()

    def __contains__(self, path: object) -> bool:
        return path in self._files

    @property
    def paths(self) -> tuple[str, ...]:
        """All files, sorted. The edges refer to them by position."""
        return self._paths

    @cached_property
    def edges(self) -> tuple[CodeEdge, ...]:
        """Every dependency, once per kind."""
        found: list[CodeEdge] = []
        for source, path in enumerate(self._paths):
            links = self._links(path)
            kinds: tuple[tuple[EdgeKind, frozenset[str]], ...] = (
                ("import", links.imports),
                ("call", links.calls),
                ("inherit", links.inherits),
            )
            for kind, targets in kinds:
                found += [CodeEdge(source, self._positions[target], kind) for target in sorted(targets)]
        return tuple(found)

    @cached_property
    def _dependents(self) -> dict[str, list[str]]:
        """Of each file those that depend on it directly."""
        found: dict[str, list[str]] = {}
        for path in self._files:
            for target in self._links(path).targets:
                found.setdefault(target, []).append(path)
        return found

    def around(self, paths: Iterable[str], limit: int) -> frozenset[str] | None:
        """Files with all that they depend on, over any number of steps, and what depends on them directly.

        Args:
            paths: files; those that are not in the graph stand for themselves.
            limit: files at most; None is returned where there are more.
        """
        start = frozenset(paths)
        below = _reached(start, lambda path: self._links(path).targets if path in self else (), limit)
        found = below.union(*(self._dependents.get(path, ()) for path in start))
        return None if len(found) > limit else found

    def affected(self, paths: Iterable[str]) -> frozenset[str]:
        """Files with all that depend on them, over any number of steps."""
        return _reached(paths, lambda path: self._dependents.get(path, ()))

    def metrics(self, path: str) -> FileMetrics:
        """All metrics of a file.

        Raises:
            KeyError: the file is not in the graph.
        """
        facts = self._files[path]
        position = self._positions[path]
        links = self._links(path)
        references = links.internal + links.external
        figures = self._reach
        return replace(
            alone(path, facts),
            depth=figures.depth[position],
            component=figures.component[position],
            cohesion=links.internal / references if references else 1.0,
            blast_1=figures.direct[position],
            blast_2=figures.two_steps[position],
            blast=figures.full[position],
            blast_tests=figures.full_marked[position],
        )

    def update(
        self, changed: Mapping[str, FileFacts | None], settings: Mapping[str, bytes | None] | None = None
    ) -> CodeGraph:
        """The graph after some files changed. Costs about as much as the files that this concerns.

        Args:
            changed: the new facts of files that changed or were added, None for those that are gone.
            settings: the same for the files that say how imports are resolved.
        """
        new = object.__new__(CodeGraph)
        new._files = self._files.copy()
        new._settings = _merged(self._settings, settings or {})
        new._families = self._families.copy()
        for path, facts in changed.items():
            if facts is None:
                new._files.pop(path, None)
            else:
                new._files[path] = facts
        touched: dict[Language, dict[str, FileFacts | None]] = {}
        if new._settings != self._settings:
            touched = {language: {} for language in self._families}
        for path, facts in changed.items():
            before = self._files.get(path)
            if before is not None and (facts is None or facts.language != before.language):
                touched.setdefault(before.language, {})[path] = None
            if facts is not None:
                touched.setdefault(facts.language, {})[path] = facts
        for language, files in touched.items():
            family = self._families.get(language) or Family.build(language, {}, new._settings)
            new._families[language] = family.update(files, new._settings)
        same = new._files.keys() == self._files.keys() and all(
            new._families[language].same_edges(self._families[language]) for language in touched
        )
        new._measure(self if same else None)
        return new

    def _measure(self, before: CodeGraph | None = None) -> None:
        """Computes what depends on the whole graph, or takes it over from a graph with the same edges."""
        if before is not None:
            self._paths, self._positions, self._reach = before._paths, before._positions, before._reach
            return
        self._paths = tuple(sorted(self._files))
        self._positions = {path: position for position, path in enumerate(self._paths)}
        successors = [
            [self._positions[target] for target in self._links(path).targets] for path in self._paths
        ]
        self._reach = reach(successors, [is_test(path) for path in self._paths])

    def _links(self, path: str) -> Links:
        return self._families[self._files[path].language].links[path]


def _reached(
    paths: Iterable[str], step: Callable[[str], Iterable[str]], limit: float = math.inf
) -> frozenset[str]:
    """Files with all that a step leads to from them, again and again; only some, but more than `limit`, where
    there are more."""
    found = set(paths)
    waiting = list(found)
    while waiting and len(found) <= limit:
        new = set(step(waiting.pop())) - found
        found |= new
        waiting += new
    return frozenset(found)


def _by_language(files: Files) -> dict[Language, dict[str, FileFacts]]:
    families: dict[Language, dict[str, FileFacts]] = {}
    for path, facts in files.items():
        families.setdefault(facts.language, {})[path] = facts
    return families


def _merged(old: Settings, changed: Mapping[str, bytes | None]) -> dict[str, bytes]:
    merged = chain(old.items(), changed.items())
    return {path: content for path, content in dict(merged).items() if content is not None}
