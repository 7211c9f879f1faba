"""TypeScript and JavaScript: relative paths, `paths` of tsconfig, packages of the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.resolve.node import BUILTINS, Packages
from lynkr_desktop.engine.analysis.resolve.scope import Place, Places, Scope, bind, folder_of, join
from lynkr_desktop.engine.analysis.resolve.tsconfig import TsConfigs

_SUFFIXES = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_WRITTEN_FOR = {
    ".js": (".ts", ".tsx", ".d.ts"),
    ".jsx": (".tsx", ".d.ts"),
    ".mjs": (".mts", ".d.mts"),
    ".cjs": (".cts", ".d.cts"),
}
"""What a file is called while it is imported by the name of what it is compiled to."""

_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")

_HOME = ("@/", "~/")
"""What frameworks call the folder of the sources."""


class TypeScriptResolver:
    """The modules of one workspace."""

    implicit_imports = False
    follows_paths = False
    receivers = frozenset({"this"})

    def __init__(self, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]) -> None:
        self._files = files
        self.layout = frozenset(files)
        self._settings = settings
        self._packages = Packages(settings)
        self._configs = TsConfigs(settings, lambda path, name: self._packages.named(path, name) or "")
        self._found: dict[tuple[str, str], str] = {}

    def shape(self, facts: FileFacts) -> None:
        """Nothing: only paths matter."""

    def pivotal(self, item: str) -> bool:
        """What a folder or a package stands for is imported by their names."""
        name = item.rpartition("/")[2].partition(".")[0]
        return name == "index" or any(name.encode() in content for content in self._settings.values())

    def scope(self, path: str, facts: FileFacts) -> Scope:
        """What the imports of a file bind."""
        imports: dict[Places, None] = {}
        names: dict[str, Places] = {}
        visible: dict[str, None] = {}
        for imported in facts.imports:
            module = self._module(path, imported.module)
            if not module or module == path:
                continue
            imports[(Place(module),)] = None
            if not imported.names and imported.alias:
                bind(names, imported.alias, Place(module))
            for name in imported.names:
                if name == "*":
                    visible[module] = None
                else:
                    bind(names, imported.alias or name, Place(module, name))
        return Scope(tuple(imports), names, (tuple(visible),) if visible else ())

    def container(self, path: str, facts: FileFacts) -> str:
        """Every module is its own."""
        return ""

    def child(self, container: str, name: str) -> str:
        """None: modules are not nested."""
        return ""

    def qualified(self, path: str, facts: FileFacts, segments: Sequence[str]) -> Places:
        """Nothing: every module has to be imported."""
        return ()

    def choose(self, path: str, files: Sequence[str]) -> Sequence[str]:
        """All: no package is made up by several files."""
        return files

    def _module(self, path: str, name: str) -> str:
        """The file that a file means by the name of a module, empty for one from elsewhere."""
        name = name.partition("?")[0]
        key = (folder_of(path), name)
        if key not in self._found:
            self._found[key] = self._first(self._candidates(path, name))
        return self._found[key]

    def _candidates(self, path: str, name: str) -> Iterator[str]:
        folder = folder_of(path)
        if name.startswith("."):
            yield join(folder, name)
            return
        if not name or name.startswith(("node:", "/")) or "://" in name:
            return
        own = self._packages.around(folder)
        if name.startswith("#") and own is not None:
            yield from self._packages.internal(own, name)
        if name.partition("/")[0] not in BUILTINS:
            yield from self._configs.candidates(folder, name)
            parts = name.split("/")
            length = 2 if name.startswith("@") else 1
            package = self._packages.named(path, "/".join(parts[:length]))
            if package is not None:
                yield from self._packages.entries(package, "/".join(parts[length:]))
        if name.startswith(_HOME):
            yield join(own or "", "src", name[2:])
            yield join(own or "", name[2:])

    def _first(self, candidates: Iterable[str]) -> str:
        return next((found for candidate in candidates if (found := self._file(candidate))), "")

    def _file(self, base: str) -> str:
        """The file that a path means, with or without its suffix, or as a folder."""
        if base.startswith(".."):
            return ""
        if found := self._plain(base):
            return found
        for entry in self._packages.main(base):
            if entry != base and (found := self._plain(entry)):
                return found
        return self._plain(join(base, "index"))

    def _plain(self, base: str) -> str:
        stem, dot, suffix = base.rpartition(".")
        for other in _WRITTEN_FOR.get(dot + suffix, ()):
            if stem + other in self._files:
                return stem + other
        if base in self._files:
            return base
        if base.endswith(_DECLARATIONS):
            base = stem.removesuffix(".d")
        return next((base + suffix for suffix in _SUFFIXES if base + suffix in self._files), "")
