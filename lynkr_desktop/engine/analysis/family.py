"""All files of one language in a workspace: what each depends on, kept while files change.

Following the names of a file takes two steps. Its *scope* says what its imports bind; it follows from the
file, from which paths there are, and from settings. Its *links* say where its names lead, and remember what
they asked of other files. So a change of one file costs its own scope and links, and the links of those that
asked for a name that changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping

from lynkr_desktop.engine.analysis.facts import FileFacts, Language
from lynkr_desktop.engine.analysis.links import Index, Links, link
from lynkr_desktop.engine.analysis.resolve import resolver_for
from lynkr_desktop.engine.analysis.resolve.scope import Resolver, Scope

_EMPTY: frozenset[str] = frozenset()

_MANY = 64
"""Paths that come or go at once from which looking at all files is no more work than looking for names."""


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
        changes = _Changes(everything=settings != self._settings)
        new._resolver = self._resolver
        if changes.everything or any(self._shape(path) != new._shape(path) for path in changed):
            new._resolver = resolver_for(self._language, new._files, settings)
            changes.add_layout(self._resolver, new._resolver)
        new._define(self, changed, changes)
        new._rescope(changed, changes)
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

    def _shape(self, path: str) -> Hashable:
        """What the layout depends on of a file: whether it is there, and how."""
        facts = self._files.get(path)
        return facts is not None, None if facts is None else self._resolver.shape(facts)

    def _container(self, path: str) -> str:
        facts = self._files.get(path)
        return "" if facts is None else self._resolver.container(path, facts)

    def _move(self, path: str, before: str, after: str) -> None:
        if before:
            self._members[before] = self._members[before] - {path}
        if after:
            self._members[after] = self._members.get(after, _EMPTY) | {path}

    def _rescope(self, changed: Iterable[str], changes: _Changes) -> None:
        """Reads the imports of files anew."""
        scopes = self._index.scopes
        concerned = {path for path, facts in self._files.items() if changes.concern_imports(facts)}
        for path in concerned.union(changed):
            before = scopes.pop(path, None)
            after = None
            if path in self._files:
                after = scopes[path] = self._resolver.scope(path, self._files[path])
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

    def __init__(self, *, everything: bool) -> None:
        self.everything = everything
        self.rescoped: set[str] = set()
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._whole: set[str] = set()
        self._all_paths = everything
        self._words: set[str] = set()

    def add(self, container: str, names: Iterable[str]) -> None:
        """These names of a container are new, gone, or mean something else."""
        if names and container:
            self._names[container].update(names)

    def add_layout(self, before: Resolver, after: Resolver) -> None:
        """Paths came or went: what leads over their names may lead elsewhere."""
        items = before.layout ^ after.layout
        self._all_paths = self.everything or len(items) > _MANY
        if not self._all_paths:
            self._all_paths = any(before.pivotal(item) or after.pivotal(item) for item in items)
            self._words = {item.rstrip("/").rpartition("/")[2].partition(".")[0] for item in items}

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

    def concern_imports(self, facts: FileFacts) -> bool:
        """Whether the imports of a file may lead elsewhere now."""
        return self._all_paths or any(
            word in imported.module or word in imported.names
            for word in self._words
            for imported in facts.imports
        )

    def concern(self, links: Links) -> bool:
        """Whether links asked for something that is different now."""
        if self.everything or not self._whole.isdisjoint(links.containers):
            return True
        if links.walked and (self._all_paths or not self._words.isdisjoint(links.walked)):
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
