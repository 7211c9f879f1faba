"""Compares the files that imports lead to with what other programs find, on real code.

    python -m benchmarks.analysis.imports [--show N] [FOLDER...]

Python is compared with grimp over packages that are installed here; TypeScript and JavaScript with the
resolution of the TypeScript compiler over packages of npm, or over the given folders. What leads to a package
of the same workspace is not known to the compiler unless that is installed, which counts as too much here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grimp

from benchmarks.analysis import corpora
from benchmarks.analysis.graph import read_folder
from lynkr_desktop.engine.analysis.graph import CodeGraph

PACKAGES = (
    *("aiohttp", "anthropic", "attr", "botocore", "grimp", "httpx", "hypothesis", "importlinter", "keyring"),
    *("networkx", "openai", "pip", "pydantic", "radon", "setuptools", "watchdog", "_pytest"),
)
TYPESCRIPT = "typescript@6.0.3"
Edges = set[tuple[str, str]]


def ours(root: Path, language: str, prefix: str = "") -> tuple[Edges, set[str]]:
    """The import edges that we find, and all files of the language, by path with a prefix."""
    files, settings = read_folder(root)
    files = {prefix + path: facts for path, facts in files.items() if facts.language == language}
    graph = CodeGraph(files, settings)
    edges = {
        (graph.paths[edge.source], graph.paths[edge.target]) for edge in graph.edges if edge.kind == "import"
    }
    return edges, set(files)


def by_grimp(package: str) -> tuple[Edges, Edges] | None:
    """Our edges of an installed package and those of grimp, by module; None if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    edges, files = ours(Path(spec.origin).parent, "python", f"{package}/")
    modules = {
        path: path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in files
        if path.endswith(".py")
    }
    graph = grimp.build_graph(package, cache_dir=None)
    both = graph.modules & set(modules.values())
    theirs = {(module, other) for module in both for other in graph.find_modules_directly_imported_by(module)}
    found = {
        (modules[source], modules[target])
        for source, target in edges
        if source in modules and target in modules
    }
    return (
        {edge for edge in found if both.issuperset(edge)},
        {edge for edge in theirs if both.issuperset(edge) and edge[0] != edge[1]},
    )


def by_compiler(root: Path) -> tuple[Edges, Edges]:
    """Our edges of a folder and those of the TypeScript compiler."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise FileNotFoundError("This comparison needs node and npm.")
    folder = corpora.CACHE.parent / "typescript"
    if not (folder / "node_modules" / "typescript").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        subprocess.run([npm, "install", "--no-fund", "--no-audit", TYPESCRIPT], cwd=folder, check=True)
    script = Path(__file__).with_suffix(".mjs")
    answer = subprocess.run([node, str(script), str(folder), str(root)], capture_output=True, check=True)
    edges, files = ours(root, "typescript")
    theirs = {
        (source.replace("\\", "/"), target.replace("\\", "/")) for source, target in json.loads(answer.stdout)
    }
    return edges, {edge for edge in theirs if files.issuperset(edge)}


def compared(folders: list[Path]) -> Iterator[tuple[str, Edges, Edges]]:
    """What is compared, with our edges and the others'."""
    if not folders:
        for package in PACKAGES:
            if (pair := by_grimp(package)) is not None:
                yield f"grimp: {package}", *pair
        archives = (
            corpora.RXJS,
            corpora.ZOD,
            corpora.TABLE_CORE,
            corpora.THEMES,
            corpora.WEBPACK,
            corpora.EXPRESS,
        )
        folders = [archive.folder() / "package" for archive in archives]
    for folder in folders:
        yield (
            f"tsc: {folder.name if folder.name != 'package' else folder.parent.name}",
            *by_compiler(folder.resolve()),
        )


def main() -> None:
    """Prints a line for each, and the sum."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--show", type=int, default=0, metavar="N", help="differences to show for each")
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    right = found = wanted = 0
    for title, edges, theirs in compared(arguments.folders):
        right, found, wanted = right + len(edges & theirs), found + len(edges), wanted + len(theirs)
        print(_line(title, len(edges & theirs), len(edges), len(theirs)), flush=True)
        for word, difference in (("too much", edges - theirs), ("missing", theirs - edges)):
            for source, target in sorted(difference)[: arguments.show]:
                print(f"    {word}: {source} -> {target}")
    print(_line("all", right, found, wanted))


def _line(title: str, right: int, found: int, wanted: int) -> str:
    f1 = 2 * right / max(found + wanted, 1)
    return f"{title:28} {found:6,} found, {wanted:6,} expected, {right:6,} of them right, F1 {f1:.4f}"


if __name__ == "__main__":
    main()
