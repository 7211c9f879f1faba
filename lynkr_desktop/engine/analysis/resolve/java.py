"""Java: types by package and name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.resolve.scope import Place, Places, Scope, nearest, package


class JavaResolver:
    """The packages of one workspace."""

    implicit_imports = True
    follows_paths = True
    receivers = frozenset({"this"})
    layout: frozenset[str] = frozenset()

    def __init__(self, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]) -> None:
        """Paths and settings do not matter: a file says itself which package it is in."""

    def shape(self, facts: FileFacts) -> None:
        """Nothing: no layout matters."""

    def pivotal(self, item: str) -> bool:
        """Nothing is."""
        return False

    def scope(self, path: str, facts: FileFacts) -> Scope:
        """What the imports of a file bind."""
        imports: dict[Places, None] = {}
        names: dict[str, Places] = {}
        visible: dict[str, None] = {}
        for imported in facts.imports:
            places = _type(imported.module.split("."))
            if places:
                imports[places] = None
                for name in imported.names or (imported.module.rpartition(".")[2],):
                    names[name] = places
            if "*" in imported.names:
                # Every type of a package, or every static member of a type.
                visible[package("java", imported.module)] = None
        own = self.container(path, facts)
        return Scope(tuple(imports), names, ((own,), tuple(visible)) if visible else ((own,),))

    def container(self, path: str, facts: FileFacts) -> str:
        """The package that the file says it is in."""
        return package("java", facts.package)

    def child(self, container: str, name: str) -> str:
        """None: packages are not nested."""
        return ""

    def qualified(self, path: str, facts: FileFacts, segments: Sequence[str]) -> Places:
        """A type that is named with its package."""
        for position, segment in enumerate(segments):
            if segment[:1].isupper():
                return (Place(package("java", ".".join(segments[:position])), segment),) if position else ()
        return ()

    def choose(self, path: str, files: Sequence[str]) -> Sequence[str]:
        """The closest of several types of the same name, none where two are equally close."""
        closest = nearest(path, files)
        return closest if len(closest) == 1 else ()


def _type(segments: Sequence[str]) -> Places:
    """A type, or one that it is nested in: `a.b.C.D` is `D` in `a.b.C`, or `C` in `a.b`."""
    return tuple(
        Place(package("java", ".".join(segments[:length])), segments[length])
        for length in range(len(segments) - 1, max(len(segments) - 4, 0), -1)
    )
