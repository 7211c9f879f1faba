"""Names as they stand in requests -> files and symbols of a workspace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from msgspec import Struct

from lynkr_desktop.engine.analysis.conventions import is_test
from lynkr_desktop.engine.analysis.facts import SUFFIXES, FileFacts
from lynkr_desktop.engine.analysis.words import COMMON

T = TypeVar("T")

Roots = Mapping[str, str]

MANY = 8
"""A symbol that more places define than this says nothing; of files with the same name so many are given."""

_LONGEST = 512
_SHORTEST = 4
"""Letters of a word in lower case that may name a symbol by itself; `run` and `get` say nothing."""

_POSITION = re.compile(r"(?::\d+(?:[:-]\d+)*:?|#L\d+(?:-L?\d+)?|\(\d+(?:, ?\d+)?\))$")
_ARGUMENTS = re.compile(r"\([^()]*\)$|<[^<>]*>$|\[[^\[\]]*\]$")
_SEPARATOR = re.compile(r"::|->|[./#\\]")
_IDENTIFIER = re.compile(r"[^\W\d][\w$]*|\$[\w$]+")
_DOTS = re.compile(r"\.|::")
_SCHEME = re.compile(r"(?i)file://(?:localhost)?(?=/)")
_DRIVE = re.compile(r"/?([A-Za-z]:/.*)")
_AROUND = " \t\r\n`'\",;*"
_ITSELF = frozenset(("self", "this", "cls", "super", "Self", "base", "crate"))

_ENDS = ("", "__init__", "index", "mod", "lib")
"""Names of files that stand for the folder that they are in."""


class Place(Struct, frozen=True, gc=False):
    """Where a symbol is defined.

    Attributes:
        name: qualified within the file.
        complexity: of a class that of its worst method.
        package: what the file says that it belongs to.
    """

    path: str
    name: str
    line: int
    complexity: int
    package: str


class Found(NamedTuple):
    """Paths of files, and places of symbols, each once, in the order of the names that led to them."""

    paths: tuple[str, ...]
    places: tuple[Place, ...]


class Names:
    """All names of one workspace at one time. Never changes: `changed` makes the next one."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._ends: dict[str, tuple[str, ...]] = {}
        """Files by their name, and by their name with the folder before it; those near the root first."""
        self._modules: dict[str, tuple[str, ...]] = {}
        """The same without suffixes, and by two names only."""
        self._code: dict[str, tuple[Place, ...]] = {}
        """Symbols by their name, and by their name with what may stand before it."""
        self._tests: dict[str, tuple[Place, ...]] = {}
        """The symbols of tests."""

    def changed(self, gone: Mapping[str, FileFacts | None], come: Mapping[str, FileFacts | None]) -> Names:
        """These names without some files and with others.

        A changed file is in both, with its old facts in `gone`. Without facts it is found by its path alone.
        """
        left = [path for path in gone if path not in come]
        new = [path for path in come if path not in self._files]
        names = Names()
        names._files = self._files.difference(left).union(new)
        names._ends = _replaced(self._ends, _by(_ends, left), _by(_ends, new), order=_nearest)
        names._modules = _replaced(self._modules, _by(_two_names, left), _by(_two_names, new), order=_nearest)
        names._code = _replaced(self._code, _keyed(gone, tests=False), _keyed(come, tests=False))
        names._tests = _replaced(self._tests, _keyed(gone, tests=True), _keyed(come, tests=True))
        return names

    def find(self, names: Iterable[str], *, roots: Roots, prefix: str = "") -> Found:
        """Looks names up.

        Args:
            names: paths (relative, absolute, a base name; with `\\`, with a line behind) and symbols.
            roots: absolute folders that lie in the workspace, with `/`, each with its path relative to the
                root of the workspace (empty for the root itself).
            prefix: the folder below the root that relative paths start from.
        """
        paths: dict[str, None] = {}
        places: dict[Place, None] = {}
        for name in names:
            name = name[:_LONGEST].strip(_AROUND)
            files = self.paths_of(name, roots=roots, prefix=prefix)
            if files:
                paths.update(dict.fromkeys(files))
                continue
            for place in self.places_of(name):
                places[place] = None
        return Found(tuple(paths), tuple(places))

    def paths_of(self, name: str, *, roots: Roots, prefix: str = "") -> tuple[str, ...]:
        """The files that a path means: the exact one, or those that it is the end of."""
        meant = candidates(name, roots, prefix)
        for exact in meant:
            if exact in self._files:
                return (exact,)
        if not meant:
            return ()
        path = meant[-1]
        same = self._ending(path) or self._ending(_below_a_root(path, roots))
        if not same:
            return self._of_module(path.split("/") if "/" in path else _DOTS.split(path))
        if prefix:
            same = tuple(one for one in same if one.startswith(prefix + "/")) or same
        return same[:MANY]

    def places_of(self, name: str) -> tuple[Place, ...]:
        """The places where a symbol is defined; nothing for a common word, or when too many define it."""
        bare = name
        called = False
        while (shorter := _ARGUMENTS.sub("", bare)) != bare:
            called = called or bare.endswith(")")
            bare = shorter
        parts = [part for part in _SEPARATOR.split(bare.strip("&@:.#/\\")) if part]
        if not parts or not all(_IDENTIFIER.fullmatch(part) for part in parts):
            return ()
        alone = len(parts) == 1
        own, qualifiers = parts[-1], parts[:-1]
        while qualifiers and qualifiers[0] in _ITSELF:
            del qualifiers[0]
        if (
            alone
            and own.islower()
            and own.isalpha()
            and (len(own) < _SHORTEST or (own in COMMON and not called))
        ):
            return ()
        key = f"{qualifiers[-1]}.{own}" if qualifiers else own
        for table in (self._code, self._tests):
            places = table.get(key, ())
            if len(qualifiers) > 1:
                places = tuple(place for place in places if _qualified(place, qualifiers))
            if places:
                return places if len(places) <= MANY else ()
        return ()

    def _ending(self, path: str) -> tuple[str, ...]:
        """The files whose paths end with a path."""
        folders, _, base = path.rpartition("/")
        folder = folders.rpartition("/")[2]
        same = self._ends.get(f"{folder}/{base}" if folder else base, ())
        if folder != folders:
            same = tuple(one for one in same if one.endswith("/" + path))
        return same

    def _of_module(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Files of a module that is named without a suffix: `pkg.module`, `./components/Button`."""
        parts = [part for part in parts if part and part != "."]
        if parts and parts[0] == "crate":
            del parts[0]
        if len(parts) < 2 or not all(part.replace("-", "_").isidentifier() for part in parts):
            return ()
        same = self._modules.get("/".join(parts[-2:]), ())
        if len(parts) > 2:
            path = "/".join(parts)
            same = tuple(one for one in same if ("/" + _module(one)).endswith("/" + path))
        return same if len(same) <= MANY else ()


def candidates(name: str, roots: Roots, prefix: str = "") -> tuple[str, ...]:
    """A path as it stands in a request -> what it may mean, relative to the root, the likeliest first.

    Nothing for what cannot lie in the workspace. A position behind the path (`:12`, `#L12`) is left out.
    """
    path = name
    if _SCHEME.match(path):
        path = unquote(_SCHEME.sub("", path))
    path = _POSITION.sub("", path).replace("\\", "/")
    if (drive := _DRIVE.fullmatch(path)) is not None:
        path = drive[1]
    if path.startswith("/") or drive is not None:
        path = _normal(path)
        for root, inner in roots.items():
            below = _normal(root) + "/"  # a share on Windows begins with two slashes
            if path.startswith(below) or (drive is not None and path.lower().startswith(below.lower())):
                rest = path[len(below) :]
                return (f"{inner}/{rest}" if inner else rest,)
        return ()
    meant = dict.fromkeys((_normal(f"{prefix}/{path}") if prefix else "", _normal(path)))
    return tuple(one for one in meant if one and one != ".." and not one.startswith("../"))


def places_of(path: str, facts: FileFacts | None) -> list[Place]:
    """The symbols that a file defines."""
    if facts is None:
        return []
    package = facts.package
    worst: dict[str, int] = {}
    places = []
    for function in facts.functions:
        places.append(Place(path, function.name, function.line, function.complexity, package))
        owner = function.name.rpartition(".")[0]
        worst[owner] = max(worst.get(owner, 0), function.complexity)
    places += [Place(path, one.name, one.line, worst.get(one.name, 0), package) for one in facts.classes]
    return places


def _qualified(place: Place, qualifiers: Sequence[str]) -> bool:
    """Whether the qualifiers are what stands before the symbol's name: owners, then the module or package."""
    owners = place.name.split(".")[:-1]
    inner, outer = qualifiers[-len(owners) :] if owners else [], qualifiers[: len(qualifiers) - len(owners)]
    if list(inner) != owners[len(owners) - len(inner) :]:
        return False
    if not outer:
        return True
    module = _module(place.path).split("/")
    # `folder/function`, `package.function`: what a package gives to others need not name the file.
    sides = (module, module[:-1], _SEPARATOR.split(place.package))
    return any(list(outer) == side[-len(outer) :] for side in sides)


def _module(path: str) -> str:
    """A path without its suffix, and without a name that only stands for the folder."""
    stem = path[: -len(suffix)] if (suffix := _suffix(path)) else path
    folder, _, base = stem.rpartition("/")
    return folder if base in _ENDS and folder else stem


def _suffix(path: str) -> str:
    base = path.rpartition("/")[2]
    dot = base.rfind(".")
    return base[dot:] if dot > 0 and base[dot:] in SUFFIXES else ""


def _ends(path: str) -> tuple[str, ...]:
    parts = path.rsplit("/", 2)
    return (parts[-1], "/".join(parts[-2:])) if len(parts) > 1 else (path,)


def _two_names(path: str) -> tuple[str, ...]:
    parts = _module(path).rsplit("/", 2)
    return ("/".join(parts[-2:]),) if len(parts) > 1 else ()


def _nearest(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _below_a_root(path: str, roots: Roots) -> str:
    """The rest of a path that begins with the name of the root's own folder, or with a/ or b/ as in diffs."""
    first, _, rest = path.partition("/")
    if first in ("a", "b") or any(root.rpartition("/")[2] == first for root in roots):
        return rest
    return ""


def _normal(path: str) -> str:
    """Without `.`, `//` and what `..` takes back."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _by(keys_of: Callable[[str], tuple[str, ...]], paths: Iterable[str]) -> list[tuple[str, str]]:
    return [(key, path) for path in paths for key in keys_of(path)]


def _keyed(files: Mapping[str, FileFacts | None], *, tests: bool) -> list[tuple[str, Place]]:
    """The symbols of tests, or of the other files, with the keys that they are found by."""
    keyed = []
    for path, facts in files.items():
        if facts is None or is_test(path) != tests:
            continue
        around = {*_module(path).rsplit("/", 2)[-2:], _SEPARATOR.split(facts.package)[-1]} - {""}
        for place in places_of(path, facts):
            owner, _, own = place.name.rpartition(".")
            keyed.append((own, place))
            if not owner:
                keyed += [(f"{one}.{own}", place) for one in around]
            else:
                keyed.append((f"{owner.rpartition('.')[2]}.{own}" if "." in owner else place.name, place))
    return keyed


def _replaced(
    table: dict[str, tuple[T, ...]],
    lost: Iterable[tuple[str, T]],
    gained: Iterable[tuple[str, T]],
    *,
    order: Callable[[T], tuple[int, str]] | None = None,
) -> dict[str, tuple[T, ...]]:
    """A copy of a table without some values and with others."""
    stale: dict[str, set[T]] = {}
    for key, value in lost:
        stale.setdefault(key, set()).add(value)
    fresh: dict[str, list[T]] = {}
    for key, value in gained:
        fresh.setdefault(key, []).append(value)
    copy = table.copy()
    for key in stale.keys() | fresh.keys():
        without = stale.get(key, ())
        values = [value for value in copy.get(key, ()) if value not in without] + fresh.get(key, [])
        if order is not None:
            values.sort(key=order)
        if values:
            copy[key] = tuple(values)
        else:
            copy.pop(key, None)
    return copy
