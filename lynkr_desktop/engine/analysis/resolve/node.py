"""The packages of a workspace by their package.json: names, `exports` and `imports`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from lynkr_desktop.engine.analysis.conventions import is_vendored
from lynkr_desktop.engine.analysis.resolve.scope import ancestors, closeness, folder_of, join
from lynkr_desktop.engine.analysis.resolve.settings import read_json, strings

_BUILTIN_NAMES = """
assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain
events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl
stream string_decoder sys test timers tls trace_events tty url util v8 vm wasi worker_threads zlib
"""
BUILTINS = frozenset(_BUILTIN_NAMES.split())

_BUILT = frozenset(
    {"dist", "lib", "build", "out", "output", "esm", "cjs", "es", "umd", "module", "types", "_esm"}
)
"""Folders of what is built of the sources, which is what package.json speaks of."""

_FIELDS = ("source", "types", "typings", "module", "main", "browser")


class Packages:
    """All packages of a workspace."""

    def __init__(self, settings: Mapping[str, bytes]) -> None:
        self._contents: dict[str, dict[str, Any]] = {}
        self._folders: dict[str, list[str]] = defaultdict(list)
        for path, content in settings.items():
            if path.rpartition("/")[2] != "package.json":
                continue
            folder = folder_of(path)
            self._contents[folder] = found = read_json(content)
            name = found.get("name")
            if isinstance(name, str) and name:
                self._folders[name].append(folder)

    def named(self, path: str, name: str) -> str | None:
        """The folder of the package that a file means by a name; None if it is elsewhere or not clear."""
        folders = self._folders.get(name, ())
        if not is_vendored(path):
            folders = [folder for folder in folders if not is_vendored(f"{folder}/")]
        best = max((closeness(path, folder) for folder in folders), default=0)
        closest = [folder for folder in folders if closeness(path, folder) == best]
        return closest[0] if len(closest) == 1 else None

    def around(self, folder: str) -> str | None:
        """The folder of the package that a folder is in."""
        return next((above for above in ancestors(folder) if above in self._contents), None)

    def entries(self, folder: str, subpath: str) -> Iterator[str]:
        """The paths that a package offers below its own name (empty for itself), the likeliest first."""
        content = self._contents[folder]
        exports = content.get("exports")
        if exports is not None:
            found = False
            for target in _targets(exports, f"./{subpath}" if subpath else "."):
                found = True
                yield from _sources(folder, target)
            if not found:
                return
        elif not subpath:
            yield from self.main(folder)
        if subpath:
            yield join(folder, subpath)
            yield join(folder, "src", subpath)
        else:
            yield join(folder, "src", "index")
            yield join(folder, "index")

    def main(self, folder: str) -> Iterator[str]:
        """The paths that a folder with a package.json stands for where it is imported by path."""
        content = self._contents.get(folder, {})
        for field in _FIELDS:
            for target in strings(content.get(field)):
                yield from _sources(folder, target)

    def internal(self, folder: str, name: str) -> Iterator[str]:
        """The paths that a name with `#` stands for in a package."""
        for target in _targets(self._contents[folder].get("imports"), name):
            if target.startswith("."):
                yield from _sources(folder, target)


def _targets(exports: object, subpath: str) -> Iterator[str]:
    """The targets of a subpath in `exports` or `imports`, under any condition."""
    if not isinstance(exports, dict) or not any(key.startswith((".", "#")) for key in exports):
        if subpath == ".":
            yield from _leaves(exports)
        return
    if subpath in exports:
        yield from _leaves(exports[subpath])
        return
    fitting = []
    for key in exports:
        before, star, after = key.partition("*")
        if star and subpath.startswith(before) and subpath.endswith(after) and len(subpath) >= len(key) - 1:
            fitting.append((len(before), key, subpath[len(before) : len(subpath) - len(after)]))
    if fitting:
        _, key, part = max(fitting)
        for target in _leaves(exports[key]):
            yield target.replace("*", part)


def _leaves(value: object, depth: int = 0) -> Iterator[str]:
    """The strings in nested conditions and lists."""
    if isinstance(value, str):
        yield value
    elif depth < 16 and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner, depth + 1)


def _sources(folder: str, target: str) -> Iterator[str]:
    """A target of package.json, then where the sources of what is built there usually are."""
    path = join(target)
    yield join(folder, path)
    rest = path.split("/")
    while len(rest) > 1 and rest[0] in _BUILT:
        rest = rest[1:]
        yield join(folder, "src", *rest)
        yield join(folder, *rest)
