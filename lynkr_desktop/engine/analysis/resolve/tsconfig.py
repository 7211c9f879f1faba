"""The `paths` and `baseUrl` of tsconfig.json and jsconfig.json, with what they extend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from lynkr_desktop.engine.analysis.resolve.scope import DEEPEST, ancestors, folder_of, join
from lynkr_desktop.engine.analysis.resolve.settings import items, read_json, strings, table


class Options(NamedTuple):
    """What one configuration says of module names.

    Attributes:
        base: the folder below which names without a dot are looked for, None for nowhere.
        paths: patterns with at most one `*`, each with the paths (in the workspace) that it stands for.
    """

    base: str | None = None
    paths: Mapping[str, tuple[str, ...]] | None = None


class TsConfigs:
    """All configurations of a workspace.

    Args:
        package_folder: the folder of a package of the workspace by its name, empty for one from elsewhere.
    """

    def __init__(self, settings: Mapping[str, bytes], package_folder: Callable[[str, str], str]) -> None:
        self._contents = {
            path: read_json(content)
            for path, content in settings.items()
            if path.endswith(".json") and path.rpartition("/")[2].startswith(("tsconfig", "jsconfig"))
        }
        self._package_folder = package_folder
        self.of_folder = cache(self._of_folder)

    def candidates(self, folder: str, name: str) -> Iterator[str]:
        """The paths, without suffix, that a module name may stand for in a file of this folder."""
        options = self.of_folder(folder)
        patterns = options.paths or {}
        fitting = [pattern for pattern in patterns if _part(pattern, name) is not None]
        for pattern in sorted(fitting, key=lambda pattern: ("*" in pattern, -pattern.find("*"))):
            part = _part(pattern, name) or ""
            for target in patterns[pattern]:
                yield join(target.replace("*", part, 1))
            return
        if options.base is not None:
            yield join(options.base, name)

    def _of_folder(self, folder: str) -> Options:
        for above in ancestors(folder):
            for name in ("tsconfig.json", "jsconfig.json"):
                path = join(above, name)
                if path in self._contents:
                    return self._whole(path)
        return Options()

    def _whole(self, path: str) -> Options:
        """A configuration, or what it refers to where it is only a list of projects."""
        options = self._read(path, frozenset())
        if options != Options():
            return options
        for reference in items(self._contents[path].get("references")):
            for name in strings(table(reference).get("path")):
                referred = self._read(self._located(path, name), frozenset({path}))
                if referred != Options():
                    return referred
        return options

    def _read(self, path: str, seen: frozenset[str]) -> Options:
        if path not in self._contents or path in seen or len(seen) > DEEPEST:
            return Options()
        content = self._contents[path]
        options = Options()
        for extended in strings(content.get("extends")):
            inherited = self._read(self._located(path, extended), seen | {path})
            options = Options(
                options.base if inherited.base is None else inherited.base, inherited.paths or options.paths
            )
        compiler = table(content.get("compilerOptions"))
        base = options.base
        if isinstance(compiler.get("baseUrl"), str):
            base = join(folder_of(path), compiler["baseUrl"])
        paths = options.paths
        if isinstance(compiler.get("paths"), dict):
            root = folder_of(path) if base is None else base
            paths = {
                pattern: tuple(join(root, target) for target in strings(targets))
                for pattern, targets in compiler["paths"].items()
            }
        return Options(base, paths)

    def _located(self, path: str, name: str) -> str:
        """The path of a configuration that another one names."""
        if name.startswith("."):
            target = join(folder_of(path), name)
        else:
            parts = name.split("/")
            own = 2 if name.startswith("@") else 1
            folder = self._package_folder(path, "/".join(parts[:own]))
            target = join(folder, *parts[own:]) if folder else ""
        for candidate in (target, f"{target}.json", join(target, "tsconfig.json")):
            if candidate in self._contents:
                return candidate
        return ""


def _part(pattern: str, name: str) -> str | None:
    """What the `*` of a pattern stands for in a name; None where the pattern does not fit."""
    before, star, after = pattern.partition("*")
    if not star:
        return "" if pattern == name else None
    if len(name) < len(before) + len(after) or not name.startswith(before) or not name.endswith(after):
        return None
    return name[len(before) : len(name) - len(after)]
