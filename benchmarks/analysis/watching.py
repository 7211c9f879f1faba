"""How soon metrics follow changes of files, and how often anybody is told.

    PYTHONPATH=. python benchmarks/analysis/watching.py

A workspace of 1,000 Python files in a real git repository with two branches that differ in every file. Each
change counts from its end (a save, the exit of git) to the view that has it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from unittest import mock

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.workspaces import Workspaces

Change = tuple[str, Callable[[], object], Callable[[WorkspaceIndex], bool]]
"""What it is called, what makes it, and whether a view has it."""

FILES = 1000
PLAIN = "import p0.m0\n\n\ndef f(x):\n    return x\n" * 10
BRANCHED = "import p0.m0\n\n\ndef f(x):\n    return 1 if x else 2\n" * 10


def write(root: Path, content: str) -> None:
    """Writes all files."""
    for n in range(FILES):
        place = root / f"p{n % 20}" / f"m{n}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content + f"# {n}\n")


def git(root: Path, *arguments: str) -> None:
    """Runs git."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


class Bench:
    """One workspace and a note of each change that is told."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.told = 0
        self._root = root
        self._workspaces = Workspaces(cache, Limits(), self._changed)

    def _changed(self) -> None:
        self.told += 1

    async def run(self, changes: list[Change]) -> None:
        """Makes the changes one after the other and prints what became of each."""
        await self._workspaces.start()
        index = self._workspaces.at(self._root)
        assert index is not None
        await self._until(lambda: index.status.state == "ready")
        for name, change, seen in changes:
            await asyncio.sleep(1.5)
            told = self.told
            await asyncio.to_thread(change)
            started = time.perf_counter()
            await self._until(lambda seen=seen: seen(index))
            seconds = time.perf_counter() - started
            await asyncio.sleep(1.5)
            print(f"{name}: {seconds * 1000:.0f} ms, told {self.told - told} times")
        await self._workspaces.close()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110  nothing tells of it sooner
            await asyncio.sleep(0.002)


def worst(index: WorkspaceIndex, path: str) -> int:
    """The complexity of a file's worst function, 0 when it is not there."""
    return next((file.cyclomatic_max for file in index.find([path]).files if file.path == path), 0)


def everywhere(complexity: int) -> Callable[[WorkspaceIndex], bool]:
    """Whether every file has this complexity."""
    return lambda index: all(worst(index, f"p{n % 20}/m{n}.py") == complexity for n in range(FILES))


def atomic(place: Path, content: str) -> None:
    """Saves as editors do: beside the file, then over it."""
    beside = place.with_suffix(".tmp")
    beside.write_text(content)
    os.replace(beside, place)


def main() -> None:
    """Runs it: with the system's events, and with none left."""
    with tempfile.TemporaryDirectory(prefix="lynkr-bench-") as folder:
        root = Path(folder).resolve() / "root"
        write(root, PLAIN)
        git(root, "init")
        git(root, "add", ".")
        git(root, "commit", "-m", "plain")
        git(root, "checkout", "-b", "branched")
        write(root, BRANCHED)
        git(root, "commit", "-am", "branched")
        first, moved = root / "p1" / "m1.py", root / "q1"
        saves: list[Change] = [
            ("a save", lambda: first.write_text(PLAIN), lambda index: worst(index, "p1/m1.py") == 1),
            ("an atomic save", lambda: atomic(first, BRANCHED), lambda index: worst(index, "p1/m1.py") == 2),
        ]
        rest: list[Change] = [
            (
                "a folder of 50 files renamed",
                lambda: (root / "p1").rename(moved),
                lambda i: worst(i, "q1/m1.py") == 2,
            ),
            ("and back", lambda: moved.rename(root / "p1"), lambda i: worst(i, "p1/m1.py") == 2),
            (
                "git checkout . of 1,000 files",
                lambda: (write(root, PLAIN), git(root, "checkout", ".")),
                everywhere(2),
            ),
            ("a branch switched, 1,000 files", lambda: git(root, "checkout", "-f", "main"), everywhere(1)),
            ("and back", lambda: git(root, "checkout", "branched"), everywhere(2)),
            (
                "rm -rf of the folder",
                lambda: shutil.rmtree(root),
                lambda index: index.status.state == "failed",
            ),
            ("its return", lambda: write(root, PLAIN), everywhere(1)),
        ]
        print("with the system's events:")
        asyncio.run(Bench(root, Path(folder) / "cache").run([*saves, *rest]))

        def exhausted(*_: object) -> NoReturn:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")

        with mock.patch("watchdog.observers.inotify_c.InotifyFD.add_callback", exhausted):
            print("without watches left, by looking again and again:")
            asyncio.run(Bench(root, Path(folder) / "cache").run(saves[::-1]))


if __name__ == "__main__":
    main()
