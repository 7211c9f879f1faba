"""How fast source becomes facts, beside radon, lizard and Graphify, on one core in one run.

    python -m benchmarks.analysis.speed [--rounds N] [--without-graphify]

Each is a fresh process that is bound to one core where the system can do that, reads the same files from
disk and reports the processor time from its first file to its last; imports are not counted. The rounds of
all take turns. `parse` is the floor, the parser alone; radon and lizard give cyclomatic complexity alone;
Graphify makes its graph and has no metrics; it runs in an environment of its own, once, as it takes long.
`lynkr, facts` is what all four metrics are made from, `lynkr, metrics` all four of every file, with the
graph between the files; `indexing.py` measures the whole index, which also stores facts and finds names.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

from benchmarks.analysis import corpora
from lynkr_desktop.engine.analysis.facts import FileFacts

GRAPHIFY = "graphifyy==0.9.96"
ROOT = Path(__file__).resolve().parents[2]

_GRAPHIFY_RUN = """
import contextlib, io, json, pathlib, sys, tempfile, time
from graphify.build import build_from_json
from graphify.extract import extract
paths = [pathlib.Path(line) for line in sys.stdin.read().splitlines()]
start = time.process_time()
with tempfile.TemporaryDirectory() as cache, contextlib.redirect_stdout(io.StringIO()):
    build_from_json(extract(paths, cache_root=pathlib.Path(cache), parallel=False))
print(json.dumps(time.process_time() - start))
"""


def _facts(path: Path) -> FileFacts:
    from lynkr_desktop.engine.analysis.extract import extract

    return extract(path.read_bytes(), "python", ".py")


def _metrics(paths: list[Path]) -> None:
    from lynkr_desktop.engine.analysis.graph import CodeGraph

    graph = CodeGraph({path.as_posix().lstrip("/"): _facts(path) for path in paths})
    for path in graph.paths:
        graph.metrics(path)


def _radon(path: Path) -> None:
    from radon.visitors import ComplexityVisitor

    ComplexityVisitor.from_code(path.read_text(encoding="utf-8"))


def _lizard(path: Path) -> None:
    import lizard

    lizard.analyze_file.analyze_source_code(str(path), path.read_text(encoding="utf-8"))


def _parse(path: Path) -> None:
    from lynkr_desktop.engine.analysis.grammar import parse

    parse("python", path.read_bytes())


def _each(run: Callable[[Path], object]) -> Callable[[list[Path]], None]:
    def all_of(paths: list[Path]) -> None:
        for path in paths:
            run(path)

    return all_of


SUBJECTS: dict[str, Callable[[list[Path]], None]] = {
    "parse": _each(_parse),
    "lynkr, facts": _each(_facts),
    "lynkr, metrics": _metrics,
    "radon": _each(_radon),
    "lizard": _each(_lizard),
}


def child(subject: str) -> int:
    """Runs one subject over the files named on standard input and prints the seconds."""
    paths = [Path(line) for line in sys.stdin.read().splitlines()]
    run = SUBJECTS[subject]
    run([Path(__file__)])  # imports, grammars, compiled queries
    start = time.process_time()
    run(paths)
    print(json.dumps(time.process_time() - start))
    return 0


def _seconds(command: list[str], paths: list[Path]) -> float:
    """Processor time of a child on one core."""

    def bind() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    done = subprocess.run(
        command,
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        preexec_fn=bind if hasattr(os, "sched_setaffinity") else None,
    )
    seconds: float = json.loads(done.stdout.splitlines()[-1])
    return seconds


def _graphify_python() -> Path:
    """The interpreter of an environment that has Graphify, made at first."""
    folder = corpora.CACHE / "graphify"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / ".complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", GRAPHIFY], check=True)
        (folder / ".complete").touch()
    return python


def _readable(path: Path) -> bool:
    """Whether every subject can read it: some tests of the standard library are broken on purpose."""
    try:
        compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Measure how fast source becomes facts.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-graphify", action="store_true")
    parser.add_argument("--child", choices=SUBJECTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child)
    tests = {"test", "tests", "idle_test"}
    paths = [path for path in corpora.standard_library() if not tests & set(path.parts) and _readable(path)]
    lines = sum(path.read_bytes().count(b"\n") for path in paths)
    print(
        f"{len(paths):,} files of the standard library, {lines:,} lines, one core, median of {args.rounds}\n"
    )
    seconds: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    for _ in range(args.rounds):
        for name, taken in seconds.items():
            command = [sys.executable, "-m", "benchmarks.analysis.speed", "--child", name]
            taken.append(_seconds(command, paths))
    if not args.without_graphify:
        seconds[f"{GRAPHIFY}, once"] = [_seconds([str(_graphify_python()), "-c", _GRAPHIFY_RUN], paths)]
    print("| | seconds | 1,000 lines a second | least | most |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        rates = [lines / each / 1000 for each in taken]
        middle = statistics.median(taken)
        print(
            f"| {name} | {middle:.2f} | {lines / middle / 1000:.0f} | {min(rates):.0f} | {max(rates):.0f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
