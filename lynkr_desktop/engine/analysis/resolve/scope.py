"""What the names in a file may refer to: the terms in which every language's resolver answers.

A *container* holds names. It is a file (its path), or a package that several files make up together
(`package()` names it): a Go directory, a Java package, a C# namespace.
"""

from __future__ import annotations

import posixpath
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from lynkr_desktop.engine.analysis.conventions import is_test, is_vendored
from lynkr_desktop.engine.analysis.facts import FileFacts

_PACKAGE = "\0"

_AMBIGUOUS = 100
"""More files than these that define a name in one package say nothing of which one is meant."""

DEEPEST = 32
"""Parts of the name of a module or package. Longer ones resolve to nothing."""


class Place(NamedTuple):
    """Where a name stands: `name` in `container`, or the container itself where `name` is empty."""

    container: str
    name: str = ""


Places = tuple[Place, ...]
"""Alternatives: the first that exists is meant."""


class Scope(NamedTuple):
    """What a file imports and what its names mean, before it is known what other files define.

    Attributes:
        imports: what the file depends on, used or not. A place with a name in a file counts only if that file
            itself defines the name.
        names: the names that its imports bind, as they are used in the file; dotted where the language
            writes them so (`import a.b` in Python).
        visible: containers whose names need no import, in groups of falling precedence.
    """

    imports: tuple[Places, ...] = ()
    names: Mapping[str, Places] = {}
    visible: tuple[tuple[str, ...], ...] = ()


class Resolver(Protocol):
    """The rules of one language over the paths of one workspace. Made anew when paths or packages change."""

    @property
    def layout(self) -> frozenset[str]:
        """The paths that the answers depend on, beside the file in question."""

    @property
    def implicit_imports(self) -> bool:
        """Whether what is used of the file's own package counts as imported (Java, C#)."""

    @property
    def follows_paths(self) -> bool:
        """Whether `qualified` ever answers."""

    @property
    def receivers(self) -> frozenset[str]:
        """What a method calls its own object or type where the language fixes it."""

    def shape(self, facts: FileFacts) -> Hashable:
        """What the layout depends on of a file, beside its path."""

    def pivotal(self, item: str) -> bool:
        """Whether an item of the layout, as it comes or goes, may matter to names that do not mention it.

        A name mentions an item if the item's last part, up to a dot, is in it.
        """

    def scope(self, path: str, facts: FileFacts) -> Scope:
        """What the imports of a file bind. Depends on nothing but the file, the paths and the packages."""

    def container(self, path: str, facts: FileFacts) -> str:
        """The package to which the definitions of a file belong, empty where each file is its own."""

    def child(self, container: str, name: str) -> str:
        """The container `name` within another one, empty if there is none."""

    def qualified(self, path: str, facts: FileFacts, segments: Sequence[str]) -> Places:
        """Where a qualified name leads whose head no import binds, by paths alone."""

    def choose(self, path: str, files: Sequence[str]) -> Sequence[str]:
        """Which of several files that define the same name in one package is meant in `path`."""


def bind(names: dict[str, Places], name: str, *places: Place) -> None:
    """Adds what a name may mean. Where a file imports it twice, the first that exists is meant."""
    names[name] = (*names.get(name, ()), *places)


def package(language: str, name: str) -> str:
    """The container of a package that several files make up."""
    return f"{_PACKAGE}{language}:{name}"


def is_package(container: str) -> bool:
    """Whether a container is made up by several files."""
    return container.startswith(_PACKAGE)


def folder_of(path: str) -> str:
    """The folder of a path, empty for the top of the workspace."""
    return path.rpartition("/")[0]


def join(*parts: str) -> str:
    """Joins and normalises; None-like (empty) parts are left out. Above the workspace is `..`."""
    joined = "/".join([part for part in parts if part])
    if "./" not in joined and "//" not in joined and joined[-1:] not in "./":
        return joined
    joined = posixpath.normpath(joined or ".")
    return "" if joined == "." else joined


def ancestors(folder: str) -> Iterable[str]:
    """The folder itself, then each one above it up to the top of the workspace (empty)."""
    while folder:
        yield folder
        folder = folder_of(folder)
    yield ""


def closeness(one: str, other: str) -> int:
    """The number of leading folders that two paths share."""
    shared = 0
    for left, right in zip(one.split("/"), other.split("/"), strict=False):
        if left != right:
            break
        shared += 1
    return shared


def nearest(path: str, files: Sequence[str]) -> Sequence[str]:
    """Which of `files` a file at `path` can mean: no tests or copies unless it is one, then the closest."""
    if len(files) > _AMBIGUOUS:
        return ()
    if not is_test(path):
        files = [file for file in files if not is_test(file)]
    if not is_vendored(path):
        files = [file for file in files if not is_vendored(file)] or files
    best = max((closeness(path, file) for file in files), default=0)
    return [file for file in files if closeness(path, file) == best]
