"""All files of one language in a workspace: what each depends on, kept while files change.

Following the names of a file takes two steps. Its *scope* says what its imports bind; it follows from the
file, from which paths there are, and from settings. Its *links* say where its names lead, and remember what
they asked of other files. So a change of one file costs its own scope and links, and the links of those that
asked for a name that changed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from lynkr_desktop.engine.analysis.facts import FileFacts, Language
from lynkr_desktop.engine.analysis.links import Index, Links, link
from lynkr_desktop.engine.analysis.resolve import resolver_for
from lynkr_desktop.engine.analysis.resolve.scope import Resolver, Scope

_EMPTY: frozenset[str] = frozenset()

_RELATIVE = ("self", "super", "crate")
"""Names whose meaning depends on which files are around."""


class Family:
    """The files of one language. Never changes: `update` gives another one."""

    def __init__(self, language: Language, settings: Mapping[str, bytes]) -> None:
        self._language = language
        self._settings = settings
        self._files: dict[str, FileFacts] = {}
        self._resolver: Resolver = resolver_for(language, {}, settings)
        self._members: dict[str, frozenset[str]] = {}
        self._index = Index()
        self.links: dict[str, Links] = {}

    @classmethod
    def build(
        cls, language: Language, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]
    ) -> Family:
        """Follows the names of all files."""
        return cls(language, settings).update(files, settings)

    def same_edges(self, other: Family) -> bool:
        """Whether every file depends on the same files, in the same way."""
        return self.links.keys() == other.links.keys() and all(
            links is other.links[path] or links[:3] == other.links[path][:3]
            for path, links in self.links.items()
        )

    def update(self, changed: Mapping[str, FileFacts | None], settings: Mapping[str, bytes]) -> Family:
        """The family after some files changed; None stands for a file that is gone."""
        new = Family.__new__(Family)
        new._language = self._language
        new._settings = settings
        new._files = self._files.copy()
        for path, facts in changed.items():
            if facts is None:
                new._files.pop(path, None)
            else:
                new._files[path] = facts
        changes = _Changes()
        changes.everything = settings != self._settings
        for path, facts in changed.items():
            changes.add_path(path, self._files.get(path), facts)
        new._resolver = self._resolver
        if changes.everything or changes.paths:
            shape = {path: facts.package for path, facts in new._files.items()}
            new._resolver = resolver_for(self._language, shape, settings)
            if not changes.everything and new._resolver.layout == self._resolver.layout:
                changes.paths.clear()
        new._define(self, changed, changes)
        new._rescope(self, new._files if changes.everything or changes.paths else changed, changes)
        new._relink(self, changed, changes)
        return new

    def _define(self, old: Family, changed: Iterable[str], changes: _Changes) -> None:
        """Brings up to date who defines what."""
        self._index = Index(old._index.defined.copy(), old._index.scopes.copy(), old._index.packages.copy())
        self._members = old._members.copy()
        stale: set[str] = set()
        for path in changed:
            facts = self._files.get(path)
            names = self._index.defined.pop(path, _EMPTY)
            defined = _EMPTY if facts is None else frozenset(facts.defines)
            if facts is not None:
                self._index.defined[path] = defined
            changes.add(path, names ^ defined)
            before = old._container(path)
            after = self._container(path)
            if before != after:
                self._move(path, before, after)
                changes.add(before, names | {""})
                changes.add(after, defined | {""})
                stale |= {before, after}
            elif names != defined:
                changes.add(after, names ^ defined)
                stale.add(after)
        for container in stale - {""}:
            self._index.packages[container] = by_name = {"": tuple(sorted(self._members[container]))}
            for path in by_name[""]:
                for name in self._index.defined[path]:
                    by_name[name] = (*by_name.get(name, ()), path)

    def _container(self, path: str) -> str:
        facts = self._files.get(path)
        return "" if facts is None else self._resolver.container(path, facts)

    def _move(self, path: str, before: str, after: str) -> None:
        if before:
            self._members[before] = self._members[before] - {path}
        if after:
            self._members[after] = self._members.get(after, _EMPTY) | {path}

    def _rescope(self, old: Family, paths: Iterable[str], changes: _Changes) -> None:
        """Reads the imports of files anew."""
        scopes = self._index.scopes
        for path in [path for path in scopes if path not in self._files]:
            del scopes[path]
        for path in paths:
            facts = self._files.get(path)
            if facts is not None:
                scopes[path] = self._resolver.scope(path, facts)
        for path in {*paths, *old._index.scopes.keys() - scopes.keys()}:
            before, after = old._index.scopes.get(path), scopes.get(path)
            if before != after:
                changes.add_scope(path, before, after)

    def _relink(self, old: Family, changed: Mapping[str, FileFacts | None], changes: _Changes) -> None:
        """Follows the names anew of each file that this concerns."""
        self.links = {}
        for path, facts in self._files.items():
            links = old.links.get(path)
            if links is None or path in changed or path in changes.rescoped or changes.concern(links):
                links = link(path, facts, self._index, self._resolver)
            self.links[path] = links


class _Changes:
    """What became different: the names of containers, and the scopes of files."""

    def __init__(self) -> None:
        self.everything = False
        self.paths: set[str] = set()
        self.rescoped: set[str] = set()
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._whole: set[str] = set()

    def add(self, container: str, names: Iterable[str]) -> None:
        """These names of a container are new, gone, or mean something else."""
        if names and container:
            self._names[container].update(names)

    def add_path(self, path: str, before: FileFacts | None, after: FileFacts | None) -> None:
        """A file came, went, or is in another package: what leads over these names may lead elsewhere."""
        if before is None or after is None or before.package != after.package:
            self.paths.update(_RELATIVE, re.split(r"[/.]", path))
            for facts in (before, after):
                if facts is not None:
                    self.paths.update(facts.package.split("."))

    def add_scope(self, path: str, before: Scope | None, after: Scope | None) -> None:
        """A file imports something else than before."""
        self.rescoped.add(path)
        if before is None or after is None or before.visible != after.visible:
            self._whole.add(path)
        else:
            self.add(
                path,
                [
                    name
                    for name in before.names.keys() | after.names.keys()
                    if before.names.get(name) != after.names.get(name)
                ],
            )

    def concern(self, links: Links) -> bool:
        """Whether links asked for something that is different now."""
        if self.everything or not (
            self._whole.isdisjoint(links.containers) and self.paths.isdisjoint(links.walked)
        ):
            return True
        if len(links.containers) < len(self._names):
            return any(
                container in self._names and not links.names.isdisjoint(self._names[container])
                for container in links.containers
            )
        return any(
            container in links.containers and not links.names.isdisjoint(names)
            for container, names in self._names.items()
        )
