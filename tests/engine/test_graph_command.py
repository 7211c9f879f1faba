"""`lynkr graph` as a person runs it, with and without a running engine."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from lynkr_desktop.engine.analysis.workspaces import FIRST_PASSES
from lynkr_desktop.protocol.code import CodeGraphReport
from tests.support.command import Ran, run_lynkr, start_lynkr
from tests.support.engine import config_for, engine_in_process, write_config
from tests.support.workspace import git, write

NOWHERE = "http://127.0.0.1:9"
CODE = {
    "shop/core.py": "def load(path):\n    if path:\n        return open(path).read()\n    return None\n",
    "shop/prices.py": "from shop.core import load\n\n\ndef price(path):\n    return load(path)\n",
    "shop/cart.py": (
        "from shop.prices import price\n\n\ndef total(items):\n"
        "    found = 0\n    for item in items:\n        if item and item.path:\n"
        "            found += price(item.path)\n    return found\n"
    ),
    "shop/a.py": "from shop import b\n\n\ndef one():\n    return b.two()\n",
    "shop/b.py": "from shop import a\n\n\ndef two():\n    return a.one()\n",
    "web/core.py": "from shop.cart import total\n\n\ndef page(items):\n    return total(items)\n",
    "tests/test_core.py": "from shop.core import load\n\n\ndef test_load():\n    assert load('') is None\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return write(tmp_path / "work", CODE)


async def graph(home: Path, cwd: Path, *arguments: str, within: float = 60.0) -> Ran:
    return await run_lynkr(home, cwd, "graph", *arguments, within=within)


def names(text: str) -> list[str]:
    """The files of a printed table, in their order."""
    found = re.findall(r"(?m)^  (\S+\.py)(?:\s|$)", text)
    return [str(name) for name in found]


async def test_hot_spots_come_first_and_the_same_with_and_without_an_engine(
    tmp_path: Path, workspace: Path
) -> None:
    home = tmp_path / "home"
    write_config(home, config_for(NOWHERE))
    alone = await graph(home, workspace)
    assert alone.code == 0, alone
    assert f"{workspace}: 7 files" in alone.out
    assert "python 7" in alone.out
    assert names(alone.out)[:3] == ["shop/core.py", "shop/prices.py", "shop/cart.py"]
    row = next(line for line in alone.out.splitlines() if line.startswith("  shop/core.py"))
    # Lines, complexity of the worst and of all, depth, cohesion, blast, tests.
    assert re.split(r"\s{2,}", row.strip()) == ["shop/core.py", "4", "2 of 2", "0", "1.00", "3", "1"]
    async with engine_in_process(home, config_for(NOWHERE)) as lynkr:
        running = await graph(home, workspace)
        assert running.out == alone.out
        assert [one["state"] for one in (await lynkr.admin("GET", "code"))["workspaces"]] == ["ready"]
        status = await run_lynkr(home, workspace, "status")
        assert re.search(rf"(?m)^Code\n  {re.escape(str(workspace))}  7 files, \d+ lines$", status.out)


async def test_files_can_be_sorted_and_cut(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    for sort, first in (("complexity", "shop/cart.py"), ("depth", "web/core.py"), ("lines", "shop/cart.py")):
        ran = await graph(home, workspace, "--sort", sort, "--top", "2")
        assert names(ran.out)[0] == first
        assert len(names(ran.out)) == 2
        assert "2 of 7 files." in ran.out


async def test_a_folder_of_a_workspace_that_the_engine_knows_shows_what_lies_in_it(
    tmp_path: Path, workspace: Path
) -> None:
    async with engine_in_process(tmp_path / "home", config_for(NOWHERE)):
        assert (await graph(tmp_path / "home", workspace)).code == 0
        ran = await graph(tmp_path / "home", workspace, "web")
        assert names(ran.out) == ["web/core.py"]
        assert "1 of 1 file in web." in ran.out
        (workspace / "docs").mkdir()
        ran = await graph(tmp_path / "home", workspace / "web", "--file", "../shop/prices.py")
        assert names(ran.out)[:2] == ["shop/prices.py", "shop/core.py"]


async def test_one_file_is_shown_with_what_it_uses_and_what_uses_it(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    for path in ("shop/prices.py", "prices.py", "./shop/prices.py", str(workspace / "shop" / "prices.py")):
        ran = await graph(home, workspace, "--file", path)
        assert ran.code == 0, ran
        head, _, rest = ran.out.partition("It depends on: 1\n")
        uses, _, used_by = rest.partition("Depend on it: 1\n")
        assert (names(head), names(uses), names(used_by)) == (
            ["shop/prices.py"],
            ["shop/core.py"],
            ["shop/cart.py"],
        )
        assert "import, call" in uses
        assert "1 more depend on it indirectly." in used_by


async def test_a_file_that_is_not_there_or_not_clear_is_said(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    ran = await graph(home, workspace, "--file", "gone.py")
    assert ran.code == 1
    assert "'gone.py' is not in the index" in ran.errors
    ran = await graph(home, workspace, "--file", "core.py")
    assert ran.code == 1
    assert "shop/core.py, web/core.py. Give more of its path." in ran.errors
    assert "\x1b" not in (await graph(home, workspace, "--file", "\x1b[2Jx.py")).errors


async def test_cycles_are_listed(tmp_path: Path, workspace: Path) -> None:
    ran = await graph(tmp_path / "home", workspace, "--cycles")
    assert ran.out.startswith("2 files\n")
    assert names(ran.out) == ["shop/a.py", "shop/b.py"]
    (workspace / "shop" / "b.py").write_text("def two():\n    return 2\n")
    ran = await graph(tmp_path / "home", workspace, "--cycles")
    assert (ran.code, ran.out) == (0, "No files depend on one another in a circle.\n")


async def test_json_is_a_whole_report_or_a_part_of_it_whose_edges_fit(
    tmp_path: Path, workspace: Path
) -> None:
    home = tmp_path / "home"
    whole = msgspec.json.decode((await graph(home, workspace, "--format", "json")).out, type=CodeGraphReport)
    assert {file.path for file in whole.files} == CODE.keys()
    edges = {
        (whole.files[edge.source].path, whole.files[edge.target].path, edge.kind) for edge in whole.edges
    }
    assert ("shop/prices.py", "shop/core.py", "call") in edges
    part = msgspec.json.decode(
        (await graph(home, workspace, "--format", "json", "--top", "3")).out, type=CodeGraphReport
    )
    assert [file.path for file in part.files] == ["shop/core.py", "shop/prices.py", "shop/cart.py"]
    kept = {(part.files[edge.source].path, part.files[edge.target].path, edge.kind) for edge in part.edges}
    shown = {file.path for file in part.files}
    assert kept == {(source, target, kind) for source, target, kind in edges if {source, target} <= shown}


async def test_drawings_hold_the_files_and_what_depends_on_what(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    drawn = (await graph(home, workspace, "--format", "dot", "--file", "shop/prices.py")).out
    labels = dict(re.findall(r'^  (n\d+) \[label="(\S+?)\\n', drawn, re.MULTILINE))
    assert set(labels.values()) == {"shop/prices.py", "shop/core.py", "shop/cart.py"}
    arrows = {(labels[a], labels[b]) for a, b in re.findall(r"^  (n\d+) -> (n\d+)", drawn, re.MULTILINE)}
    assert arrows == {("shop/prices.py", "shop/core.py"), ("shop/cart.py", "shop/prices.py")}
    drawn = (await graph(home, workspace, "--format", "mermaid", "--cycles")).out
    assert drawn.startswith("flowchart LR\n")
    assert '["shop/a.py<br/>' in drawn
    assert re.findall(r"^  (n\d+ -->? n\d+)$", drawn, re.MULTILINE) == ["n0 --> n1", "n1 --> n0"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names of files")
async def test_names_of_files_cannot_break_a_drawing_or_steer_the_terminal(tmp_path: Path) -> None:
    hostile = ['a"];b->c;"x.py', "back\\slash.py", "new\nline.py", "\x1b[31mred.py", "<script>.py", "]--x.py"]
    folder = write(tmp_path / "work", dict.fromkeys(hostile, "def f():\n    return 1\n"))
    for form in ("table", "dot", "mermaid"):
        ran = await graph(tmp_path / "home", folder, "--format", form)
        assert ran.code == 0
        assert "\x1b" not in ran.out
        if form == "dot":
            body = ran.out.splitlines()[3:-1]
            assert len(body) == len(hostile)
            for line in body:
                assert re.fullmatch(r'  n\d+ \[label="(?:[^"\\]|\\.)*"(?:, \w+=\w+)*\];', line), line
        if form == "mermaid":
            for line in ran.out.splitlines()[1:]:
                assert re.fullmatch(r'  n\d+\["[^"<>\[\]]*<br/>[\w, ]*"\]', line), line


async def test_folders_without_code_say_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "work", {"notes.txt": "hi", "data.py": "\0" * 100, "big.ts": "x" * 2_000_000})
    ran = await graph(tmp_path / "home", folder)
    assert ran.code == 0
    assert "There is no source file that could be read here" in ran.out
    assert "1 binary" in ran.out
    assert "1 too large" in ran.out
    assert (await graph(tmp_path / "home", folder, "--cycles")).code == 0
    drawn = await graph(tmp_path / "home", folder, "--format", "dot")
    assert drawn.out.splitlines()[0] == "digraph code {"


async def test_folders_that_cannot_be_read_are_refused_alike_with_and_without_an_engine(
    tmp_path: Path, workspace: Path
) -> None:
    home = tmp_path / "home"
    write_config(home, config_for(NOWHERE))
    asked = ((str(tmp_path / "gone"), "There is no folder"), (tmp_path.anchor, "never indexed"))
    asked += ((str(workspace / "shop" / "core.py"), "is not a folder"),)
    alone = [await graph(home, workspace, folder) for folder, _ in asked]
    async with engine_in_process(home, config_for(NOWHERE)):
        running = [await graph(home, workspace, folder) for folder, _ in asked]
    assert alone == running
    for ran, (_, told) in zip(alone, asked, strict=True):
        assert (ran.code, ran.out) == (1, "")
        assert told in ran.errors
        assert len(ran.errors.splitlines()) == 1


async def test_where_code_is_not_looked_at_that_is_said(tmp_path: Path, workspace: Path) -> None:
    config = config_for(NOWHERE)
    config["routing"]["analysis"] = {"graphify": {"enabled": False}}
    write_config(tmp_path / "home", config)
    ran = await graph(tmp_path / "home", workspace)
    assert (ran.code, "routing.analysis.graphify.enabled" in ran.errors) == (1, True)


async def test_a_wrong_configuration_is_told(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "lynkr-routing.yaml").write_text("routing: {tiers: 3}\n")
    ran = await graph(home, workspace)
    assert ran.code == 1
    assert "routing.tiers" in ran.errors


@pytest.mark.parametrize(
    "arguments", [("--top", "0"), ("--top", "x"), ("--sort", "size"), ("--file", "a", "--cycles")]
)
async def test_wrong_arguments_are_told(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = await graph(tmp_path / "home", tmp_path, *arguments)
    assert ran.code == 2
    assert "usage: lynkr graph" in ran.errors


async def test_an_index_that_is_not_there_yet_is_told_or_waited_for(tmp_path: Path, workspace: Path) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(NOWHERE)) as lynkr:
        assert lynkr.engine.workspaces is not None
        turns = lynkr.engine.workspaces._turn
        for _ in range(FIRST_PASSES):  # as if other workspaces were being indexed
            turns.acquire()
        ran = await graph(home, workspace)
        assert ran.code == 1
        assert "is being indexed" in ran.errors
        assert "--wait" in ran.errors
        status = await run_lynkr(home, workspace, "status")
        assert f"{workspace}  waiting to be indexed" in status.out
        waiting = asyncio.create_task(graph(home, workspace, "--wait"))
        done, _ = await asyncio.wait({waiting}, timeout=4.0)
        assert not done, "it waits longer than without --wait"
        turns.release(FIRST_PASSES)
        ran = await waiting
        assert ran.code == 0
        assert "shop/core.py" in names(ran.out)


async def test_files_that_git_ignores_are_left_out_and_counted(tmp_path: Path, workspace: Path) -> None:
    git(workspace, "init")
    write(workspace, {".gitignore": "made/\n*_gen.py\n", "made/x.py": "x = 1\n", "shop/y_gen.py": "y = 1\n"})
    ran = await graph(tmp_path / "home", workspace)
    assert not {"made/x.py", "shop/y_gen.py"} & set(names(ran.out))
    assert "ignored by git" in ran.out


async def test_a_large_workspace_is_read_by_several_processes(tmp_path: Path) -> None:
    files = {
        f"p{number // 50}/m{number}.py": f"def f{number}(x):\n"
        + "    if x:\n        x += 1\n" * 40
        + "    return x\n"
        for number in range(1500)
    }
    folder = write(tmp_path / "work", files)
    ran = await graph(tmp_path / "home", folder, "--top", "3", "--sort", "complexity")
    assert ran.code == 0
    assert "1,500 files" in ran.out
    assert "41 of 41" in ran.out


async def test_several_commands_can_read_the_same_folder_at_once(tmp_path: Path, workspace: Path) -> None:
    ran = await asyncio.gather(*(graph(tmp_path / "home", workspace) for _ in range(4)))
    assert [one.code for one in ran] == [0] * 4
    assert len({one.out for one in ran}) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
async def test_ctrl_c_ends_the_reading_of_a_large_folder(tmp_path: Path) -> None:
    source = "def f(x):\n" + "    if x:\n        x += 1\n" * 30 + "    return x\n"
    folder = write(tmp_path / "work", {f"p{n // 100}/m{n}.py": source + f"# {n}\n" for n in range(3000)})
    process = await start_lynkr(tmp_path / "home", folder, "graph")
    async with asyncio.timeout(60):
        while not (workers := psutil.Process(process.pid).children(recursive=True)):
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, errors = await process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in errors
    _, alive = await asyncio.to_thread(psutil.wait_procs, workers, 10)
    assert alive == []
