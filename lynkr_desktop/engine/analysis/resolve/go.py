"""Go: packages are folders, named by the module that go.mod declares above them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.resolve.scope import (
    DEEPEST,
    Place,
    Places,
    Scope,
    folder_of,
    join,
    package,
)

_COMMENT = re.compile(r"//[^\n]*")
_MODULE = re.compile(r'^[ \t]*module[ \t]+"?([^\s"]+)"?', re.MULTILINE)
_REPLACE = re.compile(
    r"^[ \t]*(?:replace[ \t]+)?([^\s(]+)(?:[ \t]+v\S+)?[ \t]+=>[ \t]+(\.\.?/?\S*)", re.MULTILINE
)
_TEST = "_test.go"


class GoResolver:
    """The packages of one workspace."""

    implicit_imports = False
    follows_paths = False
    receivers: frozenset[str] = frozenset()

    def __init__(self, files: Mapping[str, FileFacts], settings: Mapping[str, bytes]) -> None:
        self._modules: dict[str, str] = {}
        self._replaced: dict[str, dict[str, str]] = {}
        for path, content in sorted(settings.items(), reverse=True):
            if path.rpartition("/")[2] in ("go.mod", "go.work"):
                self._read(folder_of(path), _COMMENT.sub("", content.decode("utf-8", "replace")))
        self._packages = _packages({path: facts.package for path, facts in files.items()})
        self.layout = frozenset(f"{folder}.{name}" for folder, name in self._packages.items())

    def shape(self, facts: FileFacts) -> str:
        """The name of its package."""
        return facts.package

    def pivotal(self, item: str) -> bool:
        """Only the folders of modules are imported by other names than their own."""
        folder = item.rpartition(".")[0]
        replaced = (folder in modules.values() for modules in self._replaced.values())
        return not folder or folder in self._modules.values() or any(replaced)

    def scope(self, path: str, facts: FileFacts) -> Scope:
        """What the imports of a file bind."""
        imports: dict[Places, None] = {}
        names: dict[str, Places] = {}
        dotted: dict[str, None] = {}
        for imported in facts.imports:
            folder = self._folder(path, imported.module)
            name = self._packages.get(folder, "") if folder is not None else ""
            if folder is None or not name:
                continue
            container = package("go", f"{folder}:{name}")
            imports[(Place(container),)] = None
            if "*" in imported.names or imported.alias == ".":
                dotted[container] = None
            elif imported.alias != "_":
                names[imported.alias or name] = (Place(container),)
        own = self.container(path, facts)
        return Scope(tuple(imports), names, ((own,), tuple(dotted)) if dotted else ((own,),))

    def container(self, path: str, facts: FileFacts) -> str:
        """The package of a file: tests may be in one beside the package of their folder."""
        return package("go", f"{folder_of(path)}:{facts.package}")

    def child(self, container: str, name: str) -> str:
        """None: packages are not nested."""
        return ""

    def qualified(self, path: str, facts: FileFacts, segments: Sequence[str]) -> Places:
        """Nothing: every package has to be imported."""
        return ()

    def choose(self, path: str, files: Sequence[str]) -> Sequence[str]:
        """All files for all systems, but the tests of a package only for its own tests."""
        if path.endswith(_TEST):
            folder = folder_of(path)
            return [file for file in files if not file.endswith(_TEST) or folder_of(file) == folder]
        return [file for file in files if not file.endswith(_TEST)]

    def _read(self, folder: str, text: str) -> None:
        if match := _MODULE.search(text):
            self._modules[match[1]] = folder
        for match in _REPLACE.finditer(text):
            self._replaced.setdefault(folder, {})[match[1]] = join(folder, match[2])

    def _folder(self, path: str, name: str) -> str | None:
        """The folder of an imported package, None for one from elsewhere."""
        if name.startswith(("./", "../")):
            return join(folder_of(path), name)
        replaced = {
            module: folder
            for base, modules in self._replaced.items()
            if not base or path.startswith(f"{base}/")
            for module, folder in modules.items()
        }
        for module in _prefixes(name):
            folder = replaced.get(module, self._modules.get(module))
            if folder is not None:
                return join(folder, name[len(module) + 1 :])
        return None


def _prefixes(name: str) -> list[str]:
    """`a/b/c`, `a/b`, `a`."""
    parts = name.split("/")[:DEEPEST]
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _packages(files: Mapping[str, str]) -> dict[str, str]:
    """The name of the package that can be imported from each folder: what most of its files say."""
    said: dict[str, Counter[str]] = defaultdict(Counter)
    for path, name in sorted(files.items()):
        if name and not path.endswith(_TEST):
            said[folder_of(path)][name] += 1
    importable = {}
    for folder, names in said.items():
        # A program beside a package is a script that its build constraints leave out.
        best = max(names, key=lambda name: (name != "main", names[name], name))
        importable[folder] = best
    return importable
