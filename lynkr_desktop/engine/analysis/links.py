"""What one file depends on: its imports, references and bases followed to the files that define them.

Precision goes first: a name that cannot be followed from an import, the file's own package or the file itself
is no edge, however many files define something of that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.references import UNKNOWN
from lynkr_desktop.engine.analysis.resolve.scope import Place, Places, Resolver, Scope, is_package

_FARTHEST = 48
"""Files over which a name is followed at most. Bounds the work on files that pass on each other's names."""

_LONGEST = 16
"""Parts of a qualified name. Longer ones are no names of this world."""

_REFERENCE = attrgetter("name", "qualifier", "function")


class Links(NamedTuple):
    """What a file depends on, and what had to be asked to know it.

    Attributes:
        imports, calls, inherits: other files, by the kind of dependency. A reference of any sort is a call.
        internal: references within the file, from one definition (or the top level) to another.
        external: references to code of other files of the workspace.
        containers, names: what was asked: it holds until one of these containers changes one of these names.
        walked: the names in paths that were followed beyond what its scope says.
    """

    imports: frozenset[str]
    calls: frozenset[str]
    inherits: frozenset[str]
    internal: int
    external: int
    containers: frozenset[str]
    names: frozenset[str]
    walked: frozenset[str]

    @property
    def targets(self) -> frozenset[str]:
        """All files that it depends on."""
        return self.imports | self.calls | self.inherits


@dataclass(slots=True)
class Index:
    """Who defines what, in the files of one language.

    Attributes:
        defined: the top-level names of each file.
        scopes: what each file imports.
        packages: of each package the files that define a name; `""` stands for all of its files.
    """

    defined: dict[str, frozenset[str]] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    packages: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)


def link(path: str, facts: FileFacts, index: Index, resolver: Resolver) -> Links:
    """Follows everything that a file names."""
    return _Linking(path, facts, index, resolver).links()


class _Linking:
    """One file being followed."""

    def __init__(self, path: str, facts: FileFacts, index: Index, resolver: Resolver) -> None:
        self._path = path
        self._facts = facts
        self._index = index
        self._resolver = resolver
        self._scope = index.scopes[path]
        self._own_package = resolver.container(path, facts)
        self._defined = index.defined[path]
        self._nested = {found.name.rpartition(".")[2] for found in facts.classes}
        self._methods = {function.name.rpartition(".")[2] for function in facts.functions}
        self._imports: set[str] = set()
        self._calls: set[str] = set()
        self._inherits: set[str] = set()
        self._internal = self._external = 0
        self._known: dict[tuple[str, str], Sequence[str]] = {}
        self._containers: set[str] = set()
        self._names: set[str] = set()
        self._packages_used: set[str] = set()
        self._walked: set[str] = set()

    def links(self) -> Links:
        for places in self._scope.imports:
            self._import(places)
        self._follow_references()
        self._follow_bases()
        for places in self._scope.imports:
            self._import_whole(places[0])
        own = {self._path}
        return Links(
            frozenset(self._imports - own),
            frozenset(self._calls - own),
            frozenset(self._inherits - own),
            self._internal,
            self._external,
            frozenset(self._containers),
            frozenset(self._names),
            frozenset(self._walked),
        )

    def _follow_references(self) -> None:
        functions = self._facts.functions
        for name, qualifier, function in map(_REFERENCE, self._facts.references):
            files = self._known.get((qualifier, name))
            if files is None:
                files = self._known[qualifier, name] = self._resolve(qualifier, name)
            if not files:
                continue
            if self._path not in files:
                self._external += 1
                self._calls.update(files)
            elif function < 0 or functions[function].name.rpartition(".")[2] != name:
                self._internal += 1

    def _follow_bases(self) -> None:
        """Bases are references too, but not every language has them among those."""
        for base in dict.fromkeys(chain.from_iterable(found.bases for found in self._facts.classes)):
            name = base.replace("::", ".").rpartition(".")[2]
            qualifier = base.removesuffix(name).rstrip(".:")
            files = self._resolve(qualifier, name)
            self._inherits.update(files)
            if files and (qualifier, name) not in self._known:
                self._internal += self._path in files
                self._external += self._path not in files

    def _import(self, places: Places) -> None:
        for place in places:
            if is_package(place.container):
                if place.name and self._find(place.container, place.name, set()):
                    return
            elif place.container not in self._index.defined:
                continue
            elif not place.name or self._defines(place.container, place.name):
                self._imports.add(place.container)
                return

    def _import_whole(self, place: Place) -> None:
        """An imported package of which no name was found in use: all of its files are meant."""
        container = place.container
        if is_package(container) and not place.name and container not in self._packages_used:
            self._imports.update(self._find(container, "", set()))

    def _defines(self, container: str, name: str) -> bool:
        self._containers.add(container)
        self._names.add(name)
        return name in self._index.defined[container]

    def _resolve(self, qualifier: str, name: str) -> Sequence[str]:
        """The files that define what a name refers to, empty if that is unknown or elsewhere."""
        if not qualifier:
            return self._resolve_bare(name)
        if qualifier == UNKNOWN:
            return ()
        if qualifier.partition(".")[0] in self._resolver.receivers:
            return (self._path,) if name in self._methods and "." not in qualifier else ()
        segments = [*qualifier.replace("::", ".").split("."), name]
        if len(segments) > _LONGEST:
            return ()
        for length in range(len(segments) - 1, 0, -1):
            places = self._scope.names.get(".".join(segments[:length]))
            if places is not None:
                return self._first(places, segments[length:], set(), explicit=True)
        if segments[0] in self._defined:
            return (self._path,)
        files = self._visible(self._scope, segments[0], set())
        if files or not self._resolver.follows_paths:
            return files
        self._walked.update(segments)
        return self._first(self._resolver.qualified(self._path, self._facts, segments), (), set())

    def _resolve_bare(self, name: str) -> Sequence[str]:
        if name in self._defined:
            return (self._path,)
        places = self._scope.names.get(name)
        if places is not None:
            return self._first(places, (), set(), explicit=True)
        if name in self._nested:
            return (self._path,)
        # A type goes before a method of its name, as in `State State()`.
        files = self._visible(self._scope, name, set())
        return files or ((self._path,) if name in self._methods else ())

    def _first(
        self, places: Places, rest: Sequence[str], seen: set[Place], *, explicit: bool = False
    ) -> Sequence[str]:
        """The files of the first place that exists, going on by the names in `rest`.

        What a file takes from another by name is there, whether or not it is known how that one comes by it.
        """
        for place in places:
            files = self._descend(place, rest, seen)
            if files:
                return files
        last = places[-1].container if places else ""
        return (last,) if explicit and last in self._index.defined else ()

    def _descend(self, place: Place, rest: Sequence[str], seen: set[Place]) -> Sequence[str]:
        container, name = place
        if not name:
            for position, segment in enumerate(rest):
                child = ""
                if position < len(rest) - 1:
                    self._walked.add(segment)
                    child = self._resolver.child(container, segment)
                if not child:
                    name = segment
                    break
                container = child
        if name:
            return self._find(container, name, seen)
        return (container,) if container in self._index.defined else ()

    def _find(self, container: str, name: str, seen: set[Place]) -> Sequence[str]:
        """The files that define `name` as it is known in `container`."""
        if is_package(container):
            files = self._look_up(container, name)
            self._use(container, files)
            return files
        self._containers.add(container)
        self._names.add(name)
        defined = self._index.defined.get(container)
        place = Place(container, name)
        if defined is None or place in seen or len(seen) >= _FARTHEST:
            return ()
        if name in defined:
            return (container,)
        seen.add(place)
        scope = self._index.scopes[container]
        places = scope.names.get(name)
        if places is not None:
            return self._first(places, (), seen, explicit=True)
        return self._visible(scope, name, seen)

    def _look_up(self, package: str, name: str) -> Sequence[str]:
        self._containers.add(package)
        self._names.add(name)
        return self._resolver.choose(self._path, self._index.packages.get(package, {}).get(name, ()))

    def _use(self, package: str, files: Sequence[str]) -> None:
        """What is used of a package is what is imported of it."""
        if files and (self._resolver.implicit_imports or package != self._own_package):
            self._packages_used.add(package)
            self._imports.update(files)

    def _visible(self, scope: Scope, name: str, seen: set[Place]) -> Sequence[str]:
        """What a name means that nothing binds; nothing where two containers of one rank disagree."""
        for group in scope.visible:
            answers: dict[tuple[str, ...], str] = {}
            for container in group:
                if len(seen) >= _FARTHEST:
                    return ()
                whole = is_package(container)
                found = self._look_up(container, name) if whole else self._find(container, name, seen)
                if found:
                    answers[tuple(found)] = container
            if len(answers) == 1:
                files, container = answers.popitem()
                if is_package(container):
                    self._use(container, files)
                return files
            if answers:
                return ()
        return ()
