"""C#: types by namespace and name. Which file a type is in does not follow from its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from lynkr_desktop.engine.analysis.conventions import is_vendored
from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.resolve.scope import (
    DEEPEST,
    Place,
    Places,
    Scope,
    ancestors,
    folder_of,
    nearest,
    package,
)

_GLOBAL = "\0"

_PARTS = 8
"""More files than these are no parts of one type, but types of the same name in several programs."""


class CSharpResolver:
    """The namespaces of one workspace."""

    implicit_imports = True
    follows_paths = True
    receivers = frozenset({"this"})

    def __init__(self, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]) -> None:
        names = {facts.package for facts in files.values()}
        self._namespaces = frozenset(outer for name in names for outer in _outwards(name))
        self._global: dict[str, list[str]] = defaultdict(list)
        for path, facts in sorted(files.items()):
            self._global[_project(path)] += _global_usings(facts)
        self.layout = frozenset(name.replace(".", "/") for name in self._namespaces).union(
            f"{folder}/{name}{_GLOBAL}" for folder, names in self._global.items() for name in names
        )

    def shape(self, facts: FileFacts) -> Hashable:
        """Its namespace, and what it imports for all others."""
        return facts.package, _global_usings(facts)

    def pivotal(self, item: str) -> bool:
        """What is imported for all files is; a namespace has to be named."""
        return item.endswith(_GLOBAL)

    def scope(self, path: str, facts: FileFacts) -> Scope:
        """What the `using` directives of a file bind."""
        imports: dict[Places, None] = {}
        names: dict[str, Places] = {}
        used: dict[str, None] = {}
        for imported in facts.imports:
            namespace, _, name = imported.module.rpartition(".")
            of_type = (Place(package("csharp", namespace), name),)
            if imported.alias:
                names[imported.alias] = (*of_type, Place(package("csharp", imported.module)))
            else:
                used[package("csharp", imported.module)] = None
            imports[of_type] = None  # `using static` and an alias name a type
        for folder in ancestors(folder_of(path)):
            used.update((package("csharp", name), None) for name in self._global.get(folder, ()))
        groups = [(package("csharp", outer),) for outer in _outwards(facts.package) if outer]
        return Scope(tuple(imports), names, (*groups, (package("csharp", ""), *used)))

    def container(self, path: str, facts: FileFacts) -> str:
        """The namespace that the file says it is in."""
        return package("csharp", facts.package)

    def child(self, container: str, name: str) -> str:
        """None: what is named with its namespace is found by `qualified`."""
        return ""

    def qualified(self, path: str, facts: FileFacts, segments: Sequence[str]) -> Places:
        """A type that is named with its namespace, or with the end of it: `Models.User` in `Shop.Data`."""
        places = []
        for outer in _outwards(facts.package):
            for position in range(len(segments) - 1, 0, -1):
                namespace = ".".join((outer, *segments[:position]) if outer else segments[:position])
                if namespace in self._namespaces:
                    places.append(Place(package("csharp", namespace), segments[position]))
        return tuple(places)

    def choose(self, path: str, files: Sequence[str]) -> Sequence[str]:
        """All parts of a type, or the closest of several types of the same name."""
        if len(files) > _PARTS:
            return nearest(path, files)
        return files if is_vendored(path) else [file for file in files if not is_vendored(file)] or files


def _global_usings(facts: FileFacts) -> tuple[str, ...]:
    """The namespaces that a file imports for all files of its project.

    A file that has nothing but imports would have no use for them itself.
    """
    if facts.defines or facts.references or facts.package:
        return ()
    return tuple(imported.module for imported in facts.imports if not imported.alias)


def _project(path: str) -> str:
    """The folder of the project whose global imports are in a file."""
    folder = folder_of(path)
    return folder_of(folder) if folder.rpartition("/")[2] == "Properties" else folder


def _outwards(namespace: str) -> list[str]:
    """`a.b`, `a`, and the global namespace."""
    parts = namespace.split(".")[:DEEPEST] if namespace else []
    return [".".join(parts[:length]) for length in range(len(parts), -1, -1)]
