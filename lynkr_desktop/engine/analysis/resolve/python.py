"""Python: modules, packages with and without `__init__`, several roots on the path."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from lynkr_desktop.engine.analysis.conventions import is_vendored
from lynkr_desktop.engine.analysis.facts import FileFacts, Import
from lynkr_desktop.engine.analysis.resolve.scope import (
    DEEPEST,
    Place,
    Places,
    Scope,
    ancestors,
    bind,
    closeness,
    folder_of,
    join,
)

_INITS = ("__init__.py", "__init__.pyi")
_ROOT_NAMES = frozenset({"src", "lib", "python", "source"})
"""Folders that hold modules even where no package stands directly in them."""


class PythonResolver:
    """The modules of one workspace."""

    implicit_imports = False
    follows_paths = False
    receivers = frozenset({"self", "cls"})

    def __init__(self, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]) -> None:
        self._files = files
        self._folders = {folder for path in files for folder in ancestors(folder_of(path))}
        self._packages = {folder_of(path) for path in files if path.rpartition("/")[2] in _INITS}
        self._roots_by_name = self._source_roots(settings)
        self.layout = frozenset((*files, *(f"{folder}/" for folder in self._folders)))
        self._found: dict[tuple[str, str], str] = {}

    def shape(self, facts: FileFacts) -> None:
        """Nothing: only paths matter."""

    def pivotal(self, item: str) -> bool:
        """A package makes other folders roots, and so does a folder that is called as roots are."""
        name = item.rstrip("/").rpartition("/")[2]
        return name in _INITS or name in _ROOT_NAMES

    def scope(self, path: str, facts: FileFacts) -> Scope:
        """What the imports of a file bind."""
        imports: dict[Places, None] = {}
        names: dict[str, Places] = {}
        visible: dict[str, None] = {}
        for imported in facts.imports:
            if imported.module.count(".") > DEEPEST:
                continue
            container = self._module(path, imported.module)
            if not container:
                continue
            if not imported.names:
                imports[(Place(container),)] = None
                if imported.alias:
                    bind(names, imported.alias, Place(container))
                else:
                    self._bind_dotted(path, imported.module, names)
                continue
            self._from(container, imported, imports, names, visible)
        own = {path}
        return Scope(
            tuple(places for places in imports if not own.issuperset(place.container for place in places)),
            names,
            (tuple(visible),) if visible else (),
        )

    def container(self, path: str, facts: FileFacts) -> str:
        """Every module is its own."""
        return ""

    def child(self, container: str, name: str) -> str:
        """The submodule of a package."""
        if container.endswith("/"):
            return self._locate(container[:-1], name)
        if container.rpartition("/")[2] in _INITS:
            return self._locate(folder_of(container), name)
        return ""

    def qualified(self, path: str, facts: FileFacts, segments: Sequence[str]) -> Places:
        """Nothing: every module has to be imported."""
        return ()

    def choose(self, path: str, files: Sequence[str]) -> Sequence[str]:
        """All: no package is made up by several files."""
        return files

    def _from(
        self,
        container: str,
        imported: Import,
        imports: dict[Places, None],
        names: dict[str, Places],
        visible: dict[str, None],
    ) -> None:
        whole = False
        for name in imported.names:
            if name == "*":
                whole = True
                visible[container] = None
                continue
            local = imported.alias or name
            submodule = self.child(container, name)
            if submodule:
                # An attribute of the package goes before its submodule.
                imports[(Place(container, name),)] = None
                imports[(Place(submodule),)] = None
                bind(names, local, Place(container, name), Place(submodule))
            else:
                whole = True
                bind(names, local, Place(container, name))
        if whole:
            imports[(Place(container),)] = None

    def _bind_dotted(self, path: str, module: str, names: dict[str, Places]) -> None:
        """`import a.b.c` makes `a`, `a.b` and `a.b.c` usable."""
        segments = module.split(".")
        for length in range(1, len(segments) + 1):
            dotted = ".".join(segments[:length])
            container = self._module(path, dotted)
            if container:
                names.setdefault(dotted, (Place(container),))

    def _module(self, path: str, module: str) -> str:
        """The container of a module as it is imported in a file, empty for one from elsewhere."""
        dotless = module.lstrip(".")
        level = len(module) - len(dotless)
        folder = folder_of(path)
        if not level:
            key = (folder, dotless)
            if key not in self._found:
                self._found[key] = self._absolute(path, dotless)
            return self._found[key]
        for _ in range(level - 1):
            if not folder:
                return ""
            folder = folder_of(folder)
        return self._locate(folder, dotless)

    def _locate(self, root: str, module: str) -> str:
        """The container of a dotted name below a folder; a folder without `__init__` ends in a slash."""
        base = join(root, module.replace(".", "/")) if module else root
        for suffix in ("/__init__.py", ".py", "/__init__.pyi", ".pyi") if base else ("__init__.py",):
            if base + suffix in self._files:
                return base + suffix
        return f"{base}/" if base in self._folders else ""

    def _absolute(self, path: str, module: str) -> str:
        top = module.partition(".")[0]
        own = folder_of(path)
        while own in self._packages and own:
            own = folder_of(own)
        if top in sys.stdlib_module_names or top in sys.builtin_module_names:
            # A module beside a script hides one of the standard library, one in a package does not.
            roots: Iterable[str] = (own,) if not own or own != folder_of(path) else ()
        else:
            roots = (folder for folder in ancestors(own) if folder not in self._packages or not folder)
        folder_found = ""
        for root in roots:
            found = self._locate(root, module)
            if found and not found.endswith("/"):
                return found
            folder_found = folder_found or found
        return self._elsewhere(path, top, module) or folder_found

    def _elsewhere(self, path: str, top: str, module: str) -> str:
        """The module in a root that is not above the file, if it is clear which one is meant."""
        if top in sys.stdlib_module_names:
            return ""
        found: dict[str, int] = {}
        for root in self._roots_by_name.get(top, ()):
            container = self._locate(root, module)
            if container and not container.endswith("/"):
                found[container] = closeness(path, container)
        best = max(found.values(), default=0)
        closest = [container for container, shared in found.items() if shared == best]
        return closest[0] if len(closest) == 1 else ""

    def _source_roots(self, settings: Mapping[str, bytes]) -> dict[str, list[str]]:
        """The folders from which each top-level name can be imported. Copies of other projects are none."""
        roots = {folder_of(package) for package in self._packages if package}
        roots = {root for root in roots if root not in self._packages or not root}
        roots |= {folder for folder in self._folders if folder.rpartition("/")[2] in _ROOT_NAMES}
        roots |= {folder_of(path) for path in settings if path.rpartition("/")[2] == "pyproject.toml"}
        roots = {root for root in roots if not is_vendored(f"{root}/")}
        by_name: dict[str, list[str]] = defaultdict(list)
        entries = {(folder_of(path), path.rpartition("/")[2].partition(".")[0]) for path in self._files}
        entries |= {(folder_of(folder), folder.rpartition("/")[2]) for folder in self._folders if folder}
        for folder, name in sorted(entries):
            if folder in roots:
                by_name[name].append(folder)
        return by_name
