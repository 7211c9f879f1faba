"""Which files of a workspace are source code to look at, and why others are not."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lynkr_desktop.engine.analysis.facts import SUFFIXES
from lynkr_desktop.engine.analysis.limits import Limits

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Reason(StrEnum):
    """Why a source file is not in the index, in words for people."""

    IGNORED = "ignored by git"
    LARGE = "too large"
    BINARY = "binary"
    GENERATED = "generated"
    LINK = "symbolic link"
    UNREADABLE = "unreadable"
    NOT_A_FILE = "not a file"
    DEEP = "too deep"
    LIMIT = "over the limit of files"
    PARSER = "the parser failed"


class Stamp(NamedTuple):
    """What a file's status says: enough to see that it is the same as before."""

    mtime_ns: int
    size: int


class Tree:
    """What a walk found.

    Attributes:
        sources: files to read, by path relative to the root, with `/`.
        settings: files that say how imports are resolved.
        skipped: source files that are left out.
        beyond: source files over the limit; their paths are not kept.
        complete: False when a limit cut the walk short.
    """

    def __init__(self) -> None:
        self.sources: dict[str, Stamp] = {}
        self.settings: dict[str, Stamp] = {}
        self.skipped: dict[str, Reason] = {}
        self.beyond = 0
        self.complete = True


_FOREIGN = frozenset(
    (
        *("node_modules", "bower_components", "jspm_packages", "vendor", "site-packages", "venv", "Pods"),
        *("__pycache__", "__pypackages__", "htmlcov"),
    )
)
"""Folders of other people's code or of caches. Hidden folders are never entered."""

_OUTPUT = frozenset(("build", "dist", "target", "out", "coverage"))
"""Folders of output, unless they are packages of source code themselves."""

_DOTNET_OUTPUT = frozenset(("bin", "obj"))
_MARKERS = frozenset(("pyvenv.cfg", "CACHEDIR.TAG"))
"""A folder that holds one of them says itself that it is no source code."""

_SETTINGS = frozenset(("package.json", "go.mod", "go.work", "Cargo.toml", "pyproject.toml", "jsconfig.json"))
_TSCONFIG = re.compile(r"tsconfig(?:\.[\w.-]+)?\.json")
_GENERATED_NAME = re.compile(
    r"\.min\.[cm]?js$|\.bundle\.js$|_pb2(?:_grpc)?\.pyi?$|\.pb\.go$|\.g(?:\.i)?\.cs$|\.designer\.cs$"
    r"|\.generated\.\w+$|^zz_generated|_generated\.\w+$|_pb\.(?:js|d\.ts)$",
    re.IGNORECASE,
)
_GENERATED_COMMENT = re.compile(
    rb"^[ \t]*(?://|\#|/?\*|<!--).*(?:@generated\b|\bDO NOT EDIT\b|<auto-?generated)", re.MULTILINE
)
_HEAD = 2048
_LONG_LINES = 250
"""Bytes per line, on average, from which a file is a bundle or data. People's code has 20 to 60."""

_SMALL = 8192

_NAME_SURROGATE = 0x2000_0000
"""Bit of a reparse tag of Windows: it stands for another place, as that of links and junctions; cloud files
lack it."""


def is_setting(name: str) -> bool:
    """Whether a file of this name may say how imports are resolved."""
    return name in _SETTINGS or (name.startswith("tsconfig") and _TSCONFIG.fullmatch(name) is not None)


def is_source(name: str) -> bool:
    """Whether a file of this name is in a language that is analysed."""
    return os.path.splitext(name)[1] in SUFFIXES


def is_link(status: os.stat_result) -> bool:
    """Whether a status, of the file itself, is that of a link or of a junction of Windows."""
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_reparse_tag", 0) & _NAME_SURROGATE)


def hidden(path: str) -> bool:
    """Whether a path (relative to the root) lies in a folder that is never entered."""
    return any(part.startswith(".") or part in _FOREIGN for part in path.split("/")[:-1])


def judge(content: bytes) -> Reason | None:
    """Why a source file of this content is left out; None when it is not."""
    if b"\0" in content:
        return Reason.BINARY
    lines = content.count(b"\n") + content.count(b"\r") + 1
    if len(content) > _SMALL and len(content) > _LONG_LINES * lines:
        return Reason.GENERATED
    return Reason.GENERATED if _GENERATED_COMMENT.search(content, 0, _HEAD) else None


def read(path: str, limit: int) -> tuple[bytes, Stamp] | Reason:
    """Reads a regular file of up to `limit` bytes. Never follows a link, never waits for a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError):
        return Reason.UNREADABLE
    try:
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return Reason.NOT_A_FILE
            if status.st_size > limit:
                return Reason.LARGE
            content = file.read(limit + 1)
    except OSError:
        return Reason.UNREADABLE
    if len(content) > limit:
        return Reason.LARGE
    return content, Stamp(status.st_mtime_ns, status.st_size)


class Ignores:
    """The .gitignore files that hold for one folder, the outermost first."""

    def __init__(self, specs: tuple[tuple[int, str, GitIgnoreSpec], ...] = ()) -> None:
        # Each with how many characters of a path to cut off, and what to put before the rest.
        self._specs = specs

    def __bool__(self) -> bool:
        return bool(self._specs)

    def below(self, folder: str, rules: str, *, lead: str = "") -> Ignores:
        """With the rules of a folder in it (path relative to the root, empty for the root)."""
        from pathspec import GitIgnoreSpec

        try:
            spec = GitIgnoreSpec.from_lines(rules.splitlines())
        except ValueError:  # git warns of such a pattern and goes on; one such file is not worth more
            return self
        if not spec.patterns:
            return self
        return Ignores((*self._specs, (len(folder) + 1 if folder else 0, lead, spec)))

    def ignored(self, path: str, *, folder: bool = False) -> bool:
        """Whether git ignores a path, given that it does not ignore the folder that it is in."""
        for cut, lead, spec in reversed(self._specs):
            verdict = spec.check_file(lead + path[cut:] + ("/" if folder else "")).include
            if verdict is not None:
                return verdict
        return False


class Walker:
    """Walks one workspace and remembers the rules of each folder that it entered.

    Args:
        root: an existing folder, without links in its path.
        limits: of files, depth and entries.
        entering: called with each folder (relative, empty for the root) before its names are read, so that
            a watch that begins there misses nothing.
    """

    def __init__(self, root: Path, limits: Limits, entering: Callable[[str], None] | None = None) -> None:
        self._root = os.fspath(root)
        self._limits = limits
        self._entering = entering
        self.folders: dict[str, Ignores] = {}

    def walk(self, start: str = "") -> Tree:
        """Finds what is below `start`, a folder relative to the root; everything by default.

        Raises:
            OSError: the root cannot be read.
        """
        tree = Tree()
        if start:
            parent, _, name = start.rpartition("/")
            rules = self.folders.get(parent)
            if rules is None or not self._enters(parent, name, rules):
                return tree
        else:
            self.folders, rules = {}, _outer(self._root)
        waiting = deque([(start, rules)])
        entries = 0
        while waiting:
            folder, rules = waiting.popleft()
            if self._entering is not None:
                self._entering(folder)
            try:
                with os.scandir(self._absolute(folder)) as listing:
                    found = sorted(listing, key=lambda entry: entry.name)
            except OSError:
                if not folder:
                    raise
                continue
            entries += len(found)
            names = {entry.name for entry in found}
            if folder and not _MARKERS.isdisjoint(names):
                continue
            if ".gitignore" in names:
                rules = rules.below(folder, _rules(os.path.join(self._absolute(folder), ".gitignore")))
            self.folders[folder] = rules
            if entries > self._limits.entries:
                tree.complete = False
                break
            for entry in found:
                path = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if not self._enters(folder, entry.name, rules, names):
                            continue
                        if is_link(entry.stat(follow_symlinks=False)):
                            continue
                        if path.count("/") + 1 > self._limits.depth:
                            tree.complete = False
                            tree.skipped[path] = Reason.DEEP
                        else:
                            waiting.append((path, rules))
                    elif self._reads(entry.name) or is_setting(entry.name):
                        self._file(tree, path, entry.name, rules, entry.stat(follow_symlinks=False))
                except OSError:
                    if self._reads(entry.name):
                        tree.skipped[path] = Reason.UNREADABLE
        return tree

    def look(self, path: str) -> Tree:
        """What the walk says of one file (relative to the root), or of all in one folder, as they are now.

        Empty for what is not there and for what lies in a folder that the walk does not enter.
        """
        parent, _, name = path.rpartition("/")
        rules = self.folders.get(parent)
        tree = Tree()
        if rules is None:
            return tree
        try:
            status = os.lstat(self._absolute(path))
        except (OSError, ValueError):
            return tree
        if stat.S_ISDIR(status.st_mode):
            return self.walk(path)
        if self._reads(name) or is_setting(name):
            self._file(tree, path, name, rules, status)
        return tree

    def _reads(self, name: str) -> bool:
        """Whether a file of this name is a source in a language that is read."""
        return SUFFIXES.get(os.path.splitext(name)[1]) in self._limits.languages

    def forget(self, folder: str) -> None:
        """Drops a folder that is gone, with those below it."""
        below = folder + "/"
        for known in [known for known in self.folders if known == folder or known.startswith(below)]:
            del self.folders[known]

    def _file(self, tree: Tree, path: str, name: str, rules: Ignores, status: os.stat_result) -> None:
        source = self._reads(name)
        reason: Reason | None = None
        if rules and rules.ignored(path):
            reason = Reason.IGNORED
        elif is_link(status):
            reason = Reason.LINK
        elif not stat.S_ISREG(status.st_mode):
            reason = Reason.NOT_A_FILE
        elif status.st_size > self._limits.file_bytes:
            reason = Reason.LARGE
        elif source and _GENERATED_NAME.search(name):
            reason = Reason.GENERATED
        elif source and not _printable(path):
            reason = Reason.UNREADABLE
        if reason is not None:
            if source:
                tree.skipped[path] = reason
        elif not source:
            tree.settings[path] = Stamp(status.st_mtime_ns, status.st_size)
        elif len(tree.sources) >= self._limits.files:
            tree.beyond += 1
            tree.complete = False
        else:
            tree.sources[path] = Stamp(status.st_mtime_ns, status.st_size)

    def _enters(self, parent: str, name: str, rules: Ignores, siblings: set[str] | None = None) -> bool:
        if name.startswith(".") or name in _FOREIGN or name.endswith(".egg-info") or not _printable(name):
            return False
        path = f"{parent}/{name}" if parent else name
        if name in _OUTPUT and not self._is_package(path):
            return False
        if name in _DOTNET_OUTPUT and any(
            sibling.endswith(".csproj") for sibling in siblings or self._names(parent)
        ):
            return False
        return not (rules and rules.ignored(path, folder=True))

    def _is_package(self, folder: str) -> bool:
        if "src" in folder.split("/")[:-1]:
            return True
        return os.path.exists(os.path.join(self._absolute(folder), "__init__.py"))

    def _names(self, folder: str) -> Iterator[str]:
        with os.scandir(self._absolute(folder)) as listing:
            for entry in listing:
                yield entry.name

    def _absolute(self, path: str) -> str:
        return os.path.join(self._root, *path.split("/")) if path else self._root


def git_folder(root: str) -> tuple[str, str, str] | None:
    """Where git keeps things of the work tree that a folder is in.

    Returns:
        The top of the work tree, the folder of this work tree (HEAD is in it), and the one that all work
        trees of the repository share; None outside of a work tree.
    """
    top = root
    while True:
        git = os.path.join(top, ".git")
        if os.path.isdir(git):
            return top, git, git
        if os.path.isfile(git):
            own = _pointer(git, "gitdir:", top)
            if own is None:
                return None
            return top, own, _pointer(os.path.join(own, "commondir"), "", own) or own
        parent = os.path.dirname(top)
        if parent == top:
            return None
        top = parent


def _pointer(file: str, mark: str, base: str) -> str | None:
    content = read(file, 4096)
    if isinstance(content, Reason):
        return None
    text = content[0].decode("utf-8", "surrogateescape").strip()
    if not text.startswith(mark):
        return None
    return os.path.normpath(os.path.join(base, text.removeprefix(mark).strip()))


def _outer(root: str) -> Ignores:
    """The rules from above the root: of the repository, and of the folders between its top and the root."""
    places = git_folder(root)
    if places is None:
        return Ignores()
    top, _, common = places
    inner = os.path.relpath(root, top).replace(os.sep, "/")
    steps = [] if inner == "." else inner.split("/")
    rules = Ignores().below(
        "", _rules(os.path.join(common, "info", "exclude")), lead="".join(step + "/" for step in steps)
    )
    for depth in range(len(steps)):
        lead = "".join(step + "/" for step in steps[depth:])
        above = os.path.join(top, *steps[:depth], ".gitignore")
        rules = rules.below("", _rules(above), lead=lead)
        if rules.ignored(""):
            return Ignores()  # the folder itself is ignored there, but it is the one that was asked for
    return rules


def _rules(file: str) -> str:
    content = read(file, 256 * 1024)
    return "" if isinstance(content, Reason) else content[0].decode("utf-8", "replace")


def _printable(name: str) -> bool:
    """Whether a name is Unicode: other bytes cannot be said in JSON, nor by a request."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
