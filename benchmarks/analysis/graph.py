"""What the graph of a workspace costs: building it, and keeping it up to date.

    python -m benchmarks.analysis.graph [FOLDER...]

Measured are generated workspaces of 1,000 and 10,000 files, or the given folders. Facts are there before the
clock starts: this is the graph alone, names followed and all four metrics computed. Figures are processor
time; those of an update are the median and the worst over 30 files, each edited in the same graph.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import SUFFIXES, ClassFacts, FileFacts, Function, Import, Reference
from lynkr_desktop.engine.analysis.graph import CodeGraph
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.walk import Reason, Walker, read

EDITED = 30
Files = dict[str, FileFacts]
Settings = dict[str, bytes]


def generated(count: int, seed: int = 1) -> Files:
    """Python modules in packages of 20, each with 8 imports, 12 functions and 60 references.

    Most imports lead to lower modules, a few go up and make cycles; a tenth of the modules is imported by
    half of the others, as utilities are. Every tenth file is a test.
    """
    chance = random.Random(seed)
    names = [f"pkg{index // 20}/m{index}" for index in range(count)]
    files: Files = {
        f"pkg{index}/__init__.py": FileFacts(language="python", lines=1) for index in range(count // 20)
    }
    for index, name in enumerate(names):
        hubs = chance.sample(range(0, count, 10), 4)
        lower = [chance.randrange(max(index, 1)) for _ in range(4)]
        wanted = {*hubs[:3], *lower} - {index}
        if chance.random() < 0.02:
            wanted.add(chance.randrange(count))
        imports = tuple(
            Import(names[other].replace("/", "."), (f"run{other}", f"C{other}")) for other in wanted
        )
        functions = tuple(Function(f"f{part}", part, part + 9, 3) for part in range(12))
        used = [f"run{other}" for other in wanted] + ["f1", "f2", "print", "len", "unknown"]
        references = {
            Reference(chance.choice(used), chance.choice(("", "", "self", "item")), chance.randrange(12))
            for _ in range(60)
        }
        base = f"C{next(iter(wanted))}" if wanted else "object"
        path = f"tests/test_m{index}.py" if index % 10 == 9 else f"{name}.py"
        files[path] = FileFacts(
            language="python",
            lines=200,
            functions=functions,
            classes=(ClassFacts(f"C{index}", 1, 50, (base,), 4, 1),),
            imports=imports,
            defines=(f"run{index}", f"C{index}", *(function.name for function in functions)),
            references=tuple(references),
        )
    return files


def read_folder(root: Path) -> tuple[Files, Settings]:
    """The facts of a real workspace, and its settings."""
    limits = Limits()
    tree = Walker(root, limits).walk()
    contents = {
        path: found[0]
        for path in (*tree.sources, *tree.settings)
        if not isinstance(found := read(str(root / path), limits.file_bytes), Reason)
    }
    files = {
        path: extract(contents[path], SUFFIXES[Path(path).suffix], Path(path).suffix)
        for path in tree.sources
        if path in contents
    }
    return files, {path: contents[path] for path in tree.settings if path in contents}


def edits(graph: CodeGraph, files: Files) -> Iterator[tuple[str, Callable[[str], CodeGraph]]]:
    """What people do to a file, each as an update of the graph."""

    def changed(**fields: object) -> Callable[[str], CodeGraph]:
        return lambda path: graph.update({path: replace(files[path], **fields)})

    yield "the body of a function", changed(lines=1)
    yield (
        "one more function",
        lambda path: graph.update(
            {path: replace(files[path], defines=(*files[path].defines, "a_new_function"))}
        ),
    )
    yield (
        "one import less",
        lambda path: graph.update({path: replace(files[path], imports=files[path].imports[1:])}),
    )
    yield "a new file", lambda path: graph.update({f"{path.rpartition('.')[0]}_new.py": files[path]})
    yield "a file is deleted", lambda path: graph.update({path: None})
    some = random.Random(2).sample(sorted(files), max(len(files) // 10, 1))
    yield (
        "a tenth of all files",
        lambda path: graph.update({each: replace(files[each], lines=1) for each in some}),
    )


def measure(title: str, files: Files, settings: Settings) -> None:
    """Prints the figures of one workspace."""
    if not files:
        print(f"\n{title}: no source files")
        return
    started = time.thread_time()
    graph = CodeGraph(files, settings)
    built = time.thread_time() - started
    tracemalloc.start()
    kept = CodeGraph(files, settings)
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\n{title}: {len(kept):,} files, {len(kept.edges):,} edges")
    print(
        f"  {'build':24} {built * 1000:8.1f} ms    {size / 2**20:.1f} MB kept, {peak / 2**20:.1f} MB at most"
    )
    edited = random.Random(3).sample(sorted(files), min(EDITED, len(files)))
    for name, edit in edits(graph, files):
        times = []
        for path in edited:
            started = time.thread_time()
            edit(path)
            times.append((time.thread_time() - started) * 1000)
        print(f"  {name:24} {statistics.median(times):8.1f} ms    {max(times):.1f} ms at worst")
    times = []
    for path in graph.paths:
        started = time.thread_time()
        graph.metrics(path)
        times.append((time.thread_time() - started) * 1e6)
    print(f"  {'metrics of a file':24} {statistics.median(times):8.1f} µs    {max(times):.1f} µs at worst")


def main() -> None:
    """Measures what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    folders = parser.parse_args().folders
    for folder in folders:
        measure(folder.resolve().name, *read_folder(folder.resolve()))
    if not folders:
        for count in (1_000, 10_000):
            measure("generated", generated(count), {})


if __name__ == "__main__":
    main()
