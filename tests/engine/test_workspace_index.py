"""The index of workspaces: what is in it, how it comes about, and what it never does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis import index as index_module
from lynkr_desktop.engine.analysis import pool as pooling
from lynkr_desktop.engine.analysis import reader, reading
from lynkr_desktop.engine.analysis.index import WorkspaceIndex
from lynkr_desktop.engine.analysis.indexing import Indexing
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.pool import Pool, PoolError
from lynkr_desktop.engine.analysis.walk import Stamp
from lynkr_desktop.protocol.code import CodeGraphReport
from tests.support.workspace import DEADLINE, git, stage, write

SHOP = {
    "shop/__init__.py": "",
    "shop/config.py": "class Config:\n    def load(self, x):\n        return 1 if x else 2\n",
    "shop/cart.py": "from shop.config import Config\n\n\ndef total(c: Config):\n    return c.load(1)\n",
    "shop/web.py": "from shop import cart\n\n\ndef page():\n    return cart.total(None)\n",
    "tests/test_cart.py": "from shop.cart import total\n\n\ndef test_total():\n    assert total(None)\n",
    "web/app.ts": "import { x } from './lib';\nexport function app() { return x ? 1 : 2; }\n",
    "web/lib.ts": "export const x = 1;\n",
    "README.md": "# Shop\n",
}


@contextlib.contextmanager
def indexing(root: Path, cache: Path, limits: Limits | None = None) -> Iterator[Indexing]:
    """An index without a watch, through with its first pass."""
    chosen = limits or Limits()
    pool = Pool(1)
    one = Indexing(
        root, cache=cache, limits=chosen, pool=pool, turn=threading.Semaphore(1), notify=lambda: None
    )
    one.start()
    try:
        assert one.wait(DEADLINE)
        yield one
    finally:
        one.stop()
        pool.close()
        one.thread.join(DEADLINE)


def told(report: CodeGraphReport) -> object:
    """What a report says, apart from times."""
    files, edges = report.files, sorted((e.source, e.target, e.kind) for e in report.edges)
    status = report.status
    return files, edges, status.files, status.lines, status.languages, status.skipped, status.state


async def test_a_request_finds_the_files_and_symbols_that_it_names(tmp_path: Path) -> None:
    root = write(tmp_path / "shop", SHOP)
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        touched = index.find(["shop/config.py:2", "total()", "web/app.ts", "unknown.py", "update"])
        assert touched.complete
        assert [file.path for file in touched.files] == ["shop/config.py", "web/app.ts", "shop/cart.py"]
        assert [(one.name, one.path, one.complexity) for one in touched.symbols] == [
            ("total", "shop/cart.py", 1)
        ]
        config = touched.files[0]
        assert (config.cyclomatic_max, config.blast_1, config.blast, config.blast_tests) == (2, 1, 2, 1)
        assert touched.files[2].depth == 1
        status = index.status
        assert (status.state, status.files, status.done, status.total) == ("ready", 7, 7, 7)
        assert status.languages == {"python": 5, "typescript": 2}
        report = index.report()
        assert {file.path for file in report.files} == set(SHOP) - {"README.md"}
        assert {report.files[edge.target].path for edge in report.edges} >= {"shop/config.py", "web/lib.ts"}


async def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {"a.py": "x = 1\n", "gen.py": "# @generated\n", "big.py": "#" * 5000})
    (root / "data.py").write_bytes(b"x = '\0'")
    (root / "broken.py").write_bytes(b"def f(:\n  \xff\xfe )]}" * 50)
    async with stage(tmp_path / "cache", Limits(file_bytes=4000)) as here:
        index = await here.ready(root)
        assert index.status.skipped == {"generated": 1, "too large": 1, "binary": 1}
        assert index.status.files == 2
        assert index.find(["gen.py", "data.py", "big.py"]).files == ()


async def test_a_workspace_over_the_limit_is_limited_not_failed(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {f"m{n}.py": "" for n in range(10)})
    async with stage(tmp_path / "cache", Limits(files=6)) as here:
        index = await here.ready(root)
        assert (index.status.state, index.status.files) == ("limited", 6)
        assert index.status.skipped == {"over the limit of files": 4}
        (root / "m0.py").unlink()
        await here.until(lambda: index.status.skipped == {"over the limit of files": 3})
        assert index.status.files == 6


async def test_until_it_is_ready_named_files_are_parsed_on_the_spot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_SPOT_SECONDS", 5.0)  # which files it may read, not how fast
    root = write(tmp_path / "shop", SHOP | {"huge.py": "x = 1\n" * 10_000, "node_modules/x.js": "let x\n"})
    outside = write(tmp_path / "outside", {"secret.py": "def f(): pass\n"})
    (root / "link").symlink_to(outside)
    reading.parse("a.py", b"", Stamp(0, 0))
    async with stage(tmp_path / "cache") as here:
        with here.workspaces._turn, here.workspaces._turn:  # as if others were in their first passes
            index = here.workspaces.at(root)
            assert index is not None
            names = [
                "shop/config.py",
                "huge.py",
                "link/secret.py",
                "node_modules/x.js",
                "../outside/secret.py",
                "no.py",
            ]
            touched = index.find([*names, "Config"])
            assert not touched.complete
            assert [(file.path, file.cyclomatic_max) for file in touched.files] == [("shop/config.py", 2)]
            assert index.status.state == "waiting"
        await here.until(lambda: index.status.state == "ready")
        assert index.find(["huge.py"]).complete


async def test_a_restart_reads_no_file_again_that_looks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "shop", SHOP)
    for file in root.rglob("*.*"):
        os.utime(file, (1, 1))
    with indexing(root, tmp_path / "cache") as one:
        before = told(WorkspaceIndex(one).report())
    monkeypatch.setattr(reader, "read", lambda *_: pytest.fail("a file was read"))
    with indexing(root, tmp_path / "cache") as one:
        assert told(WorkspaceIndex(one).report()) == before


async def test_content_that_was_seen_before_is_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "shop", SHOP)
    with indexing(root, tmp_path / "cache") as one:
        before = told(WorkspaceIndex(one).report())
    for file in root.rglob("*.*"):
        os.utime(file, (7, 7))
    monkeypatch.setattr(reading, "parse", lambda *_: pytest.fail("a file was parsed"))
    with indexing(root, tmp_path / "cache") as one:
        assert told(WorkspaceIndex(one).report()) == before


def test_a_large_workspace_is_read_by_other_processes_with_the_same_result(tmp_path: Path) -> None:
    root = write(
        tmp_path / "shop",
        SHOP | {f"lib/m{n}.py": f"import shop.cart\nx = {n}\n" + "y = x\n" * 2500 for n in range(60)},
    )
    with indexing(root, tmp_path / "cache") as one:
        assert one._pool.pids
        by_pool = told(WorkspaceIndex(one).report())
        workers = [psutil.Process(pid) for pid in one._pool.pids]
        if sys.platform != "win32":
            nice = min(psutil.Process().nice() + 10, 19)  # there is nothing above
            assert all(worker.nice() == nice for worker in workers)
    assert not [worker for worker in workers if worker.is_running()]
    with indexing(root, tmp_path / "nothing", Limits()) as one:
        assert told(WorkspaceIndex(one).report()) == by_pool


def test_a_file_that_kills_its_worker_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "_MODULE", "tests.support.hostile_worker")
    monkeypatch.setattr(pooling, "_SILENCE", 5.0)  # a process must start within it, however busy the machine
    files = [f"m{n}.py" for n in range(40)] + ["crash1.py", "crash2.py", "hang.py"]
    root = write(tmp_path, dict.fromkeys(sorted(files), "def f(): pass\n"))
    with contextlib.closing(Pool(2)) as pool:
        readings = list(pool.read(str(root), [(path, 14) for path in sorted(files)], 1000))
    assert sorted(one.path for one in readings) == sorted(files)
    assert {one.path for one in readings if one.reason == "the parser failed"} == set(files[-3:])
    assert all(one.facts for one in readings if not one.reason)


def test_source_that_takes_long_to_parse_is_left_to_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_LONGEST_PARSE", 0.000_001)
    root = write(tmp_path / "shop", SHOP | {"long.py": "def f(x):\n    return x\n" * 2000})
    with indexing(root, tmp_path / "cache") as one:
        assert one._pool.pids
        by_pool = told(WorkspaceIndex(one).report())
    monkeypatch.undo()
    with indexing(root, tmp_path / "other") as one:
        assert told(WorkspaceIndex(one).report()) == by_pool


def test_without_worker_processes_the_files_are_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "_MODULE", "no.such.module")
    root = write(tmp_path / "big", {f"m{n}.py": "def f(): pass\n" + "y = x\n" * 5000 for n in range(30)})
    with contextlib.closing(Pool(1)) as pool, pytest.raises(PoolError):
        list(pool.read(str(root), [("m1.py", 30_000)], 10**6))
    with indexing(root, tmp_path / "cache") as one:
        assert one.status.files == 30


def test_workers_end_when_there_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "_IDLE", 0.05)
    root = write(tmp_path, {"a.py": ""})
    with contextlib.closing(Pool(1)) as pool:
        readings = pool.read(str(root), [("a.py", 0), ("b.py", 0)], 1000)
        next(readings)
        worker = psutil.Process(pool.pids[0])
        list(readings)
        worker.wait(DEADLINE)
        assert [one.path for one in pool.read(str(root), [("a.py", 0)], 1000)] == ["a.py"]


def test_workers_end_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    root = write(tmp_path, {f"m{n}.py": "def f(): pass\n" * 2000 for n in range(300)})
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from lynkr_desktop.engine.analysis.pool import Pool
        pool = Pool(2)
        files = [(path.name, path.stat().st_size) for path in Path(sys.argv[1]).glob("*.py")]
        readings = pool.read(sys.argv[1], files, 10**6)
        next(readings)
        print(*pool.pids, flush=True)
        sys.stdin.read()
    """)
    engine = subprocess.Popen(
        [sys.executable, "-c", script, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert engine.stdout is not None
    assert engine.stdin is not None
    workers = [psutil.Process(int(pid)) for pid in engine.stdout.readline().split()]
    engine.kill()
    engine.wait()
    engine.stdout.close()
    engine.stdin.close()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=DEADLINE)
    assert not alive


async def test_folders_that_may_not_be_indexed_have_no_index(tmp_path: Path) -> None:
    home = write(Path.home(), {"a.py": "", "code/b.py": ""})
    file = write(tmp_path, {"a.py": ""}) / "a.py"
    async with stage(tmp_path / "cache") as here:
        at = here.workspaces.at
        refused = [
            "/",
            str(home),
            str(home.parent),
            "relative",
            "",
            str(file),
            str(tmp_path / "no"),
            "a\0b",
        ]
        assert [folder for folder in refused if at(Path(folder)) is not None] == []
        assert at(home / "code") is not None
        assert [Path(status.root).name for status in here.workspaces.statuses()] == ["code"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give a folder away"
)
async def test_folders_of_others_are_indexed_only_where_the_configuration_says_so(tmp_path: Path) -> None:
    theirs = write(tmp_path / "theirs", {"a.py": ""})
    ours = write(tmp_path / "ours", {"a.py": ""})
    os.chown(theirs, 12345, 12345)
    async with stage(tmp_path / "cache") as here:
        assert here.workspaces.at(theirs) is None
        assert here.workspaces.at(ours) is not None
    async with stage(tmp_path / "cache", Limits(roots=(theirs,))) as here:
        assert here.workspaces.at(theirs) is not None
        assert here.workspaces.at(ours) is None


async def test_one_folder_has_one_index_however_it_is_spelled(tmp_path: Path) -> None:
    root = write(tmp_path / "shop", SHOP)
    (tmp_path / "link").symlink_to(root)
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        for spelling in (tmp_path / "link", root / ".", root / "shop" / "..", Path(f"{root}/")):
            again = here.workspaces.at(spelling)
            assert again is not None
            assert again.root == index.root
        linked = here.workspaces.at(tmp_path / "link")
        assert linked is not None
        assert [file.path for file in linked.find([f"{tmp_path}/link/web/lib.ts"]).files] == ["web/lib.ts"]
        assert len(here.workspaces.statuses()) == 1


async def test_a_folder_inside_an_indexed_one_uses_its_index(tmp_path: Path) -> None:
    root = write(tmp_path / "shop", SHOP | {"node_modules/x/lib.js": "", "web/app/lib.ts": ""})
    git(root, "init")
    async with stage(tmp_path / "cache") as here:
        await here.ready(root)
        web = here.workspaces.at(root / "web")
        assert web is not None
        assert web.root == root
        assert [file.path for file in web.find(["lib.ts"]).files] == ["web/lib.ts"]
        assert [file.path for file in web.find(["../shop/cart.py"]).files] == ["shop/cart.py"]
        foreign = await here.ready(root / "node_modules" / "x")
        assert [file.path for file in foreign.find(["lib.js"]).files] == ["lib.js"]
    async with stage(tmp_path / "cache") as here:
        web = await here.ready(root / "web")
        assert web.root == root / "web"


async def test_the_workspace_that_was_asked_for_longest_ago_is_closed(tmp_path: Path) -> None:
    roots = [write(tmp_path / f"p{n}", {f"a{n}.py": "def f(): pass\n"}) for n in range(3)]
    async with stage(tmp_path / "cache", Limits(workspaces=2)) as here:
        for root in (roots[0], roots[1], roots[0], roots[2]):
            await here.ready(root)
        statuses = {Path(one.root).name: one for one in here.workspaces.statuses()}
        assert {name: one.state for name, one in statuses.items()} == {
            "p2": "ready",
            "p0": "ready",
            "p1": "waiting",
        }
        assert next(iter(statuses)) == "p2"
        assert len([one for one in threading.enumerate() if one.name.startswith("code index of")]) <= 3
        again = await here.ready(roots[1])
        assert again.find(["a1.py"]).files


async def test_what_a_closed_index_held_is_given_back(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, {"a.py": "def f(): pass\n"}) for name in ("first", "second"))
    async with stage(tmp_path / "cache", Limits(workspaces=1)) as here:
        index = await here.ready(first)
        graph = weakref.ref(index._indexing.view.graph)
        assert graph() is not None
        del index
        await here.ready(second)
        thread = next((one for one in threading.enumerate() if one.name == "code index of first"), None)
        if thread is not None:
            await asyncio.to_thread(thread.join, DEADLINE)
        assert graph() is None


async def test_changes_are_told_at_most_four_times_a_second(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {"a.py": ""})
    async with stage(tmp_path / "cache") as here:
        index = await here.ready(root)
        for n in range(8):
            (root / "a.py").write_text(f"x = {n}\n" * (n + 1))
            lines = n + 1
            await here.until(lambda lines=lines: index.status.lines == lines)
        gaps = [after - before for before, after in zip(here.told, here.told[1:], strict=False)]
        assert min(gaps) >= 0.24


async def test_closing_in_the_middle_of_a_first_pass_ends_everything(tmp_path: Path) -> None:
    root = write(tmp_path / "project", {f"m{n}.py": "def f(): pass\n" * 3000 for n in range(200)})
    before = set(threading.enumerate())
    async with stage(tmp_path / "cache") as here:
        index = here.workspaces.at(root)
        assert index is not None
        await here.until(lambda: index.status.state == "indexing")
    assert [one for one in set(threading.enumerate()) - before if "asyncio" not in one.name] == []
    assert not [
        child for child in psutil.Process().children() if "analysis.worker" in " ".join(child.cmdline())
    ]


NAMES = st.sampled_from(
    ["a.py", "b.py", "pkg/__init__.py", "pkg/c.py", "pkg/deep/d.py", "web/e.ts", "web/f.ts"]
)
CONTENTS = st.sampled_from(
    [
        "",
        "def f(x):\n    return 1 if x else 2\n",
        "from pkg import c\n\nc.g()\n",
        "import a\n\nclass C(a.B): pass\n",
        "def g(): pass\n",
        "class B:\n    def m(self): return self.x\n",
        "import { h } from './f';\nh();\n",
        "export function h() {}\n",
        "# @generated\n",
        "def broken(:\n",
        "from a import *\nf()\n",
        "\0",
    ]
)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, CONTENTS),
        st.tuples(
            st.just("delete"), st.one_of(NAMES, st.sampled_from(["pkg", "web", "pkg/deep"])), st.just("")
        ),
        st.tuples(
            st.just("move"), st.sampled_from(["pkg", "web", "other"]), st.sampled_from(["other", "pkg"])
        ),
        st.tuples(st.just("ignore"), st.just(".gitignore"), st.sampled_from(["b.py\n", "pkg/deep/\n", ""])),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=st.lists(EDITS, min_size=1, max_size=3), whole=st.booleans())
def test_after_any_edits_the_index_is_as_one_that_is_made_anew(
    rounds: list[list[tuple[str, str, str]]], whole: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder).resolve() / "root", {"a.py": "class B: pass\n", "pkg/c.py": "import a\n"})
        with indexing(root, Path(folder) / "cache") as one:
            for edits in rounds:
                changed = [path for edit in edits for path in _apply(root, *edit)]
                ignoring = any(path == ".gitignore" for path in changed)
                one.refresh(None if whole or ignoring else changed)
                assert one.wait(DEADLINE)
                with indexing(root, Path(folder) / "other") as fresh:
                    assert told(WorkspaceIndex(one).report()) == told(WorkspaceIndex(fresh).report())
                    names = ["c.py", "f", "f()", "B", "a.B", "pkg.c", "h", "C", "pkg/c.py"]
                    for name in names:
                        mine, its = WorkspaceIndex(one).find([name]), WorkspaceIndex(fresh).find([name])
                        assert set(mine.files) == set(its.files)
                        assert set(mine.symbols) == set(its.symbols)


def _apply(root: Path, what: str, path: str, content: str) -> list[str]:
    """Makes an edit; returns the paths of which a watch would tell."""
    place = root / path
    if what in ("write", "ignore"):
        missing = [
            str(one.relative_to(root))
            for one in place.parents
            if one != root and root in one.parents and not one.exists()
        ]
        if any(one.is_file() for one in place.parents) or place.is_dir():
            return []
        write(root, {path: content})
        return [path, *missing]
    if what == "delete":
        if place.is_dir():
            shutil.rmtree(place)
        elif place.exists():
            place.unlink()
        return [path]
    if not place.is_dir() or (root / content).exists():
        return []
    place.rename(root / content)
    return [path, content]
