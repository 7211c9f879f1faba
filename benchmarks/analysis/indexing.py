"""How long the index of a workspace takes: at first, after a restart, after an edit, and to look names up.

    PYTHONPATH=. python benchmarks/analysis/indexing.py [--cores N]

All runs on one core, worker process and graph included, on copies of the standard library in a temporary
folder. An edit counts from the save of the file to the view with its new metrics. `late` is how late a timer
of 1 ms was on the event loop while the workspace was indexed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.workspaces import Workspaces

_NAMES = 50
_LOOKUPS = 2_000
_EDITS = 20
_SYMBOLS = (
    *("ArgumentParser.parse_args", "OrderedDict", "dumps()", "loads()", "Path.exists", "asyncio.run"),
    *("get_event_loop", "HTTPServer", "namedtuple()", "read()", "update", "self.close()", "Thread::start"),
)


def standard_library() -> list[Path]:
    """The source files of the standard library, without its tests of broken syntax."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skipped = ("site-packages", "lib2to3", "bad", "__pycache__")
    return sorted(file for file in root.rglob("*.py") if not any(part in str(file) for part in skipped))


def copy(files: Iterable[Path], root: Path) -> None:
    """Copies files of the standard library under a folder."""
    base = Path(sysconfig.get_paths()["stdlib"])
    for file in files:
        place = root / file.relative_to(base)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


class Bench:
    """Workspaces with a cache of their own, and how late the loop was."""

    def __init__(self, cache: Path) -> None:
        self._workspaces = Workspaces(cache, Limits(workers=1), lambda: None)
        self.late: list[float] = []

    async def __aenter__(self) -> Bench:
        await self._workspaces.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._workspaces.close()

    async def ready(self, root: Path) -> tuple[WorkspaceIndex, float]:
        """Indexes a folder; the seconds that it took."""
        started = time.perf_counter()
        index = self._workspaces.at(root)
        assert index is not None
        while index.status.state not in ("ready", "limited", "failed"):
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            self.late.append(time.perf_counter() - before - 0.001)
        return index, time.perf_counter() - started


def asked(index: WorkspaceIndex, chosen: random.Random) -> list[str]:
    """Names as a request would have them: paths of all spellings, base names, symbols, and unknown ones."""
    files = [file.path for file in index.report().files]
    names = [
        chosen.choice([path, path.rpartition("/")[2], f"{index.root}/{path}:12", "./" + path])
        for path in chosen.sample(files, _NAMES // 2)
    ]
    names += chosen.choices(_SYMBOLS, k=_NAMES // 4)
    return [*names, *(f"unknown_{n}.py" for n in range(_NAMES - len(names)))]


def lookups(index: WorkspaceIndex) -> list[float]:
    """Seconds of each look-up of 50 names."""
    chosen, seconds = random.Random(1), []
    rounds = [asked(index, chosen) for _ in range(20)]
    for n in range(_LOOKUPS):
        started = time.perf_counter()
        index.find(rounds[n % len(rounds)])
        seconds.append(time.perf_counter() - started)
    return seconds


async def edits(index: WorkspaceIndex, *, watched: bool) -> list[float]:
    """Seconds from each save of one file to its new metrics."""
    seconds = []
    files = [file for file in index.report().files if 50 < file.lines < 3000]
    for n, file in enumerate(random.Random(2).sample(files, _EDITS)):
        place, name = index.root / file.path, f"added_{n}_{'watched' if watched else 'told'}"
        text = place.read_text() + f"\n\ndef {name}(x):\n    return 1 if x else 2\n"
        await asyncio.sleep(1.5)  # people do not save more often, and bursts are told of later
        started = time.perf_counter()
        place.write_text(text)
        if not watched:
            index._indexing.refresh([file.path])
        while not index.find([name]).symbols:  # noqa: ASYNC110  nothing tells of it sooner
            await asyncio.sleep(0.0005)
        seconds.append(time.perf_counter() - started)
    return seconds


def quantile(values: list[float], q: float) -> float:
    """In milliseconds."""
    return 1000 * sorted(values)[min(len(values) - 1, int(len(values) * q))]


async def first_pass(what: str, root: Path, cache: Path) -> None:
    """Indexes a folder and prints how long it took."""
    before = sum(os.times()[:4])
    async with Bench(cache) as bench:
        index, seconds = await bench.ready(root)
        status = index.status
    spent = sum(os.times()[:4]) - before  # with the worker, which has ended by now
    late = f"late p99 {quantile(bench.late, 0.99):.1f} ms, worst {quantile(bench.late, 1):.1f} ms"
    print(
        f"{what}: {status.files:,} files, {status.lines:,} lines in {seconds:.2f} s"
        f" ({status.lines / seconds / 1000:.0f} kloc/s), processor {spent:.2f} s"
        f" ({status.lines / spent / 1000:.0f} kloc/s); {late}"
    )


async def run(folder: Path) -> None:
    """Measures all and prints it."""
    library = standard_library()
    cold, small, large = folder / "cold", folder / "small", folder / "large"
    copy(library, cold)
    copy(library[:1000], small)
    for n in range(10_000 // len(library) + 1):
        copy(library, large / f"copy{n}")
    await first_pass("cold", cold, folder / "cache")
    await first_pass("restart", cold, folder / "cache")
    for watched in (False, True):
        async with Bench(folder / "cache") as bench:
            index, _ = await bench.ready(small)
            found = await edits(index, watched=watched)
            by = "watch and index" if watched else "index alone"
            print(
                f"edit of one of {index.status.files:,} files, {by}: p50 {quantile(found, 0.5):.1f} ms,"
                f" worst {quantile(found, 1):.1f} ms"
            )
    async with Bench(folder / "cache") as bench:
        index, _ = await bench.ready(large)
        found = lookups(index)
        print(
            f"look-up of {_NAMES} names in {index.status.files:,} files: p50 {quantile(found, 0.5):.2f} ms,"
            f" p99 {quantile(found, 0.99):.2f} ms, worst {quantile(found, 1):.2f} ms"
        )


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cores", type=int, default=1, help="cores to run on (Linux)")
    arguments = parser.parse_args()
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-arguments.cores :])
    with tempfile.TemporaryDirectory(prefix="lynkr-bench-") as folder:
        asyncio.run(run(Path(folder).resolve()))


if __name__ == "__main__":
    main()
