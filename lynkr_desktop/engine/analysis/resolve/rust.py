"""Rust: the tree of modules of each crate, and the crates of a Cargo workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.resolve.scope import Place, Places, Scope, ancestors, bind, folder_of, join
from lynkr_desktop.engine.analysis.resolve.settings import items, read_toml, table

_ROOT_NAMES = frozenset({"lib.rs", "main.rs"})
_TARGET_FOLDERS = frozenset({"tests", "benches", "examples", "src/bin"})
"""Folders of a package whose files are crates of their own."""


class _Package(NamedTuple):
    """One Cargo.toml.

    Attributes:
        crates: the packages of the workspace that it depends on, by the name of the crate in its sources.
        old: whether it is of edition 2015, where paths begin at the root of the crate.
    """

    name: str
    crate: str
    library: str
    crates: dict[str, str]
    old: bool


class RustResolver:
    """The modules of one workspace."""

    implicit_imports = False
    follows_paths = True
    receivers = frozenset({"self", "Self"})

    def __init__(self, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]) -> None:
        self._files = files
        self.layout = frozenset(files)
        self._folders = {folder_of(path) for path in files}
        self._names = {name.removesuffix(".rs") for path in files for name in path.split("/")}
        self._packages: dict[str, _Package] = {}
        self._roots: set[str] = set()
        manifests = {
            folder_of(path): read_toml(content)
            for path, content in settings.items()
            if path.rpartition("/")[2] == "Cargo.toml"
        }
        for folder, manifest in manifests.items():
            if "package" in manifest:
                self._packages[folder] = self._package(folder, manifest, manifests)
                self._roots.update(_declared_roots(folder, manifest))

    def shape(self, facts: FileFacts) -> None:
        """Nothing: only paths matter."""

    def pivotal(self, item: str) -> bool:
        """A module with other files in it is what they mean by `super`."""
        name = item.rpartition("/")[2]
        owner = name == "mod.rs" or item.removesuffix(".rs") in self._folders
        return owner or name in _ROOT_NAMES or item in self._roots

    def scope(self, path: str, facts: FileFacts) -> Scope:
        """What `mod` and `use` of a file bind."""
        imports: dict[Places, None] = {}
        names: dict[str, Places] = {}
        visible: dict[str, None] = {}
        for imported in facts.imports:
            head = imported.module.split("::")
            for name in imported.names or ("",):
                wanted = [*head, name] if name and name != "*" else head
                place = self._lead(path, wanted)
                if place is None or place.container == path:
                    continue
                imports[(Place(place.container),)] = None
                if name == "*":
                    visible[place.container] = None
                elif imported.alias != "_":
                    bind(names, imported.alias or wanted[-1], place)
        return Scope(tuple(imports), names, (tuple(visible),) if visible else ())

    def container(self, path: str, facts: FileFacts) -> str:
        """Every file is a module."""
        return ""

    def child(self, container: str, name: str) -> str:
        """The file of a module that is declared in another one."""
        if name not in self._names:
            return ""
        folder = self._inner_folder(container)
        for path in (join(folder, f"{name}.rs"), join(folder, name, "mod.rs")):
            if path in self._files and path != container and path not in self._roots:
                return path
        return ""

    def qualified(self, path: str, facts: FileFacts, segments: Sequence[str]) -> Places:
        """Where a path in an expression or a type leads."""
        place = self._lead(path, segments)
        return () if place is None or place.container == path else (place,)

    def choose(self, path: str, files: Sequence[str]) -> Sequence[str]:
        """All: no module is made up by several files."""
        return files

    def _lead(self, path: str, segments: Sequence[str]) -> Place | None:
        """The module that a path leads to, and the first name behind it."""
        module, rest = self._start(path, segments)
        while module and rest:
            child = self.child(module, rest[0])
            if not child:
                return Place(module, rest[0])
            module, rest = child, rest[1:]
        return Place(module) if module else None

    def _start(self, path: str, segments: Sequence[str]) -> tuple[str, Sequence[str]]:
        head = segments[0]
        if head == "crate":
            return self._crate_root(path), segments[1:]
        if head in ("self", "super"):
            module = path
            for position, segment in enumerate(segments):
                if segment == "super":
                    module = self._parent(module)
                elif segment != "self" or position:
                    return module, segments[position:]
                if not module:
                    return "", ()
            return module, ()
        if self.child(path, head):
            return path, segments
        package = self._package_of(path)
        if package is None:
            return "", ()
        if head == package.crate:
            return package.library, segments[1:]
        if head in package.crates:
            return self._packages[package.crates[head]].library, segments[1:]
        root = self._crate_root(path) if package.old else ""
        return (root, segments) if root and self.child(root, head) else ("", ())

    def _inner_folder(self, path: str) -> str:
        """The folder of the modules that a file declares."""
        if self._is_root(path) or path.endswith("/mod.rs"):
            return folder_of(path)
        return path.removesuffix(".rs")

    def _parent(self, path: str) -> str:
        """The file of the module that declares the module of a file."""
        if self._is_root(path):
            return ""
        folder = folder_of(path)
        return self._owner(folder_of(folder) if path.endswith("/mod.rs") else folder)

    def _owner(self, folder: str) -> str:
        """The file whose modules are in a folder."""
        candidates = [join(folder, name) for name in ("mod.rs", "lib.rs", "main.rs")] + [f"{folder}.rs"]
        declared = (root for root in self._roots if folder_of(root) == folder)
        return next((path for path in (*candidates, *declared) if path in self._files), "")

    def _crate_root(self, path: str) -> str:
        module = path
        for _ in range(path.count("/") + 2):
            if self._is_root(module):
                return module
            parent = self._parent(module)
            if not parent:
                break
            module = parent
        return ""

    def _is_root(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        if name in _ROOT_NAMES or path in self._roots:
            return True
        for target in _TARGET_FOLDERS:
            if folder == target or folder.endswith(f"/{target}"):
                return name != "mod.rs" and folder.removesuffix(target).rstrip("/") in self._packages
        return False

    def _package_of(self, path: str) -> _Package | None:
        for folder in ancestors(folder_of(path)):
            if folder in self._packages:
                return self._packages[folder]
        return None

    def _package(
        self, folder: str, manifest: dict[str, Any], manifests: Mapping[str, dict[str, Any]]
    ) -> _Package:
        about = table(manifest["package"])
        library = table(manifest.get("lib"))
        name = str(about.get("name", ""))
        path = library.get("path")
        root = join(folder, path if isinstance(path, str) else "src/lib.rs")
        shared = next(
            (
                (above, table(manifests[above]["workspace"]))
                for above in ancestors(folder)
                if "workspace" in manifests.get(above, {})
            ),
            (folder, {}),
        )
        crates = {}
        for key, dependency in _dependencies(manifest):
            base = folder
            if dependency.get("workspace") is True:
                base = shared[0]
                dependency = table(table(shared[1].get("dependencies")).get(key))
            target = dependency.get("path")
            if isinstance(target, str) and "package" in manifests.get(found := join(base, target), {}):
                crate = table(manifests[found].get("lib")).get("name")
                crates[key if "package" in dependency or not isinstance(crate, str) else crate] = found
        return _Package(
            name,
            str(library.get("name") or name).replace("-", "_"),
            root if root in self._files else "",
            {key.replace("-", "_"): found for key, found in crates.items()},
            about.get("edition", "2015") == "2015",
        )


def _dependencies(manifest: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """All dependencies that are tables, for whatever target and purpose."""
    for key, value in manifest.items():
        if key.endswith("dependencies"):
            for name, dependency in table(value).items():
                yield name, table(dependency)
        elif depth < 2 and (depth or key == "target"):
            yield from _dependencies(table(value), depth + 1)


def _declared_roots(folder: str, manifest: dict[str, Any]) -> Iterator[str]:
    """The files that a manifest names as crates."""
    yield join(folder, "build.rs")
    for kind in ("lib", "bin", "test", "bench", "example"):
        for target in items(manifest.get(kind)):
            path = table(target).get("path")
            if isinstance(path, str):
                yield join(folder, path)
