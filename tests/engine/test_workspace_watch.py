"""Metrics follow the files, whatever changes them, and nobody hears of each event."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import shutil
import threading
from pathlib import Path

import pytest

from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.watch import mounts, observers, workspace
from lynkr_desktop.protocol.code import CodeGraphReport
from tests.support.workspace import git, stage, write

BRANCHES = "def f(x):\n" + "    if x: pass\n" * 6


# Of folders that come quickly watchdog's watch of whole trees is told twice, and it warns. Where warnings are
# errors, as here, that would end the thread that all its watches share.
TWICE = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")


@pytest.fixture(params=["folders", pytest.param("trees", marks=TWICE)])
def observer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to watch: folder by folder as on Linux, and whole trees as elsewhere."""
    if request.param == "trees":
        monkeypatch.setattr(workspace, "system_observer", observers.WholeTrees)


def complexity(index: WorkspaceIndex, path: str) -> int | None:
    """Of the worst function of a file; None when it is not in the index."""
    files = [file for file in index.find([path]).files if file.path == path]
    return files[0].cyclomatic_max if files else None


@pytest.mark.usefixtures("observer")
async def test_a_save_over_the_file_and_an_atomic_save_are_both_seen(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {"a.py": "def f(): pass\n", "pkg/b.py": "import a\n"})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        assert complexity(index, "a.py") == 1
        (root / "a.py").write_text(BRANCHES)
        await here.until(lambda: complexity(index, "a.py") == 7)
        (root / "pkg" / "b.py.tmp").write_text(BRANCHES)
        os.replace(root / "pkg" / "b.py.tmp", root / "pkg" / "b.py")
        await here.until(lambda: complexity(index, "pkg/b.py") == 7)


@pytest.mark.usefixtures("observer")
async def test_files_and_folders_come_move_and_go(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {"a.py": "def f(): pass\n"})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        write(root, {"new/deep/er/c.py": BRANCHES})
        await here.until(lambda: complexity(index, "new/deep/er/c.py") == 7)
        (root / "new").rename(root / "moved")
        await here.until(lambda: complexity(index, "moved/deep/er/c.py") == 7)
        assert complexity(index, "new/deep/er/c.py") is None
        (root / "moved/deep/er/c.py").write_text("def f(): pass\n")
        await here.until(lambda: complexity(index, "moved/deep/er/c.py") == 1)
        shutil.rmtree(root / "moved")
        await here.until(lambda: complexity(index, "moved/deep/er/c.py") is None)
        await here.until(lambda: index.status.files == 1)


@pytest.mark.usefixtures("observer")
async def test_a_new_gitignore_counts_at_once(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {"a.py": "", "scratch/b.py": ""})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        assert index.status.files == 2
        (root / ".gitignore").write_text("scratch/\n")
        await here.until(lambda: index.status.files == 1)


@pytest.mark.usefixtures("observer")
async def test_a_checkout_of_a_thousand_files_is_told_of_a_few_times(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {f"p{n % 20}/m{n}.py": "def f(): pass\n" for n in range(1000)})
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    git(root, "checkout", "-b", "other")
    write(root, {f"p{n % 20}/m{n}.py": BRANCHES for n in range(1000)})
    git(root, "commit", "-am", "two")
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        assert complexity(index, "p7/m7.py") == 7
        before = len(here.told)
        await asyncio.to_thread(git, root, "checkout", "main")
        await here.until(
            lambda: all(complexity(index, f"p{n % 20}/m{n}.py") == 1 for n in range(0, 1000, 50))
        )
        assert len(here.told) - before <= 8
        await asyncio.to_thread(git, root, "checkout", "other")
        await here.until(
            lambda: all(complexity(index, f"p{n % 20}/m{n}.py") == 7 for n in range(0, 1000, 50))
        )
        await here.until(lambda: index.status.files == 1000)


@pytest.mark.usefixtures("observer")
async def test_a_folder_that_is_deleted_is_said_to_be_gone_and_comes_back(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {"a.py": "def f(): pass\n"})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        shutil.rmtree(root)
        await here.until(lambda: index.status.state == "failed")
        assert "gone" in index.status.error
        assert index.find(["a.py"]).files == ()
        write(root, {"a.py": BRANCHES})
        await here.until(lambda: complexity(index, "a.py") == 7 and index.status.state == "ready")
        (root / "a.py").write_text("def f(): pass\n")
        await here.until(lambda: complexity(index, "a.py") == 1)


async def test_without_watches_left_it_polls_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from watchdog.observers.inotify_c import InotifyFD

    def exhausted(*_: object) -> int:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr(InotifyFD, "add_callback", exhausted)
    caplog.set_level("INFO")
    root = write(tmp_path / "project", {"a.py": "def f(): pass\n"})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        assert index.status.polling
        (root / "a.py").write_text(BRANCHES)
        await here.until(lambda: complexity(index, "a.py") == 7)
    assert "watch limit" in caplog.text


async def test_a_network_mount_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mount:
        mountpoint, fstype, opts = str(tmp_path / "project"), "fuse.sshfs", "rw"

    monkeypatch.setattr(mounts.psutil, "disk_partitions", lambda **_: [Mount])
    root = write(tmp_path / "project", {"a.py": "def f(): pass\n"})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        assert index.status.polling
        write(root, {"new/b.py": BRANCHES})
        await here.until(lambda: complexity(index, "new/b.py") == 7)
        root.rename(tmp_path / "away")
        await here.until(lambda: index.status.state == "failed")
        (tmp_path / "away").rename(root)
        await here.until(lambda: complexity(index, "new/b.py") == 7)


async def test_folders_that_are_not_indexed_are_not_watched(tmp_path: Path) -> None:
    files = {f"node_modules/p{n}/lib/index.js": "" for n in range(50)} | {"src/a.ts": "", ".cache/x/y.py": ""}
    root = write(tmp_path / "project", files)
    async with stage(tmp_path / "cache") as here:
        await here.ready(root)
        assert _watches() == 2
    assert _watches() == 0


async def test_threads_end_with_the_workspaces(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with stage(tmp_path / "cache") as here:
        for n in range(3):
            await here.ready(write(tmp_path / f"project{n}", {"a.py": ""}))
        ours = [one for one in set(threading.enumerate()) - before if "asyncio" not in one.name]
        assert len(ours) <= 3 + 2
    assert {one for one in set(threading.enumerate()) - before if "asyncio" not in one.name} == set()


@pytest.mark.parametrize("seed", range(3))
async def test_after_bursts_of_changes_the_index_is_as_one_that_is_made_anew(
    tmp_path: Path, seed: int
) -> None:
    chosen = random.Random(seed)
    root = write(tmp_path / "project", {"a/b/m1.py": BRANCHES})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        for burst in (1, 5, 40, 150):
            for _ in range(burst):
                with contextlib.suppress(OSError):
                    _change(root, chosen)
            async with stage(tmp_path / f"cache{burst}") as other:
                fresh = (await other.ready(root)).report()
            await here.until(lambda fresh=fresh: _told(index.report()) == _told(fresh))


def _told(report: CodeGraphReport) -> tuple[object, ...]:
    """What a report says of the files that are there."""
    return report.files, report.edges, report.status.skipped


def _change(root: Path, chosen: random.Random) -> None:
    """One of the things that editors, people and tools do to a tree."""
    folders = ["a", "a/b", "a/b/c", "d", "d/e", "f/g/h", "node_modules/x"]
    contents = [
        "",
        BRANCHES,
        "import a.b.m1\n",
        "class B:\n    def m(self): return self.x\n",
        "# @generated\n",
    ]
    folder, other = root / chosen.choice(folders), root / chosen.choice(folders)
    file, what = folder / f"m{chosen.randrange(5)}.py", chosen.random()
    if what < 0.6:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".tmp").write_text(chosen.choice(contents))
        os.replace(file.with_suffix(".tmp"), file)
    elif what < 0.75:
        file.unlink()
    elif what < 0.83:
        shutil.rmtree(folder)
    elif what < 0.95:
        other.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(other)
    else:
        (folder / ".gitignore").write_text(chosen.choice(["", "m1.py\n", "b/\n"]))


def _watches() -> int:
    """Watches of inotify that this process has."""
    count = 0
    for entry in Path("/proc/self/fdinfo").iterdir():
        try:
            count += entry.read_text().count("inotify wd:")
        except OSError:
            continue
    return count
