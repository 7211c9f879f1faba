"""The control API for the code of workspaces: what is indexed, how far, and the graph of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.workspace import write

CODE = {
    "app/core.py": "def load(path):\n    if path:\n        return open(path).read()\n    return None\n",
    "app/service.py": "from app.core import load\n\n\ndef serve(path):\n    return load(path)\n",
    "app/web.py": "from app.service import serve\n\n\ndef page(path):\n    return serve(path)\n",
    "tests/test_core.py": "from app.core import load\n\n\ndef test_load():\n    assert load('') is None\n",
}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return write(tmp_path / "work", CODE)


@pytest.fixture
async def lynkr(tmp_path: Path) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path / "home", config_for(NOWHERE)) as running:
        yield running


async def report_of(lynkr: Running, folder: Path) -> dict[str, Any]:
    """The graph of a folder once it is indexed."""
    url = f"{lynkr.url}/v1/admin/code/graph"
    async with asyncio.timeout(30):
        while True:
            async with lynkr.http.get(url, params={"workspace": str(folder)}) as response:
                report: dict[str, Any] = await response.json()
                assert response.status == 200, report
            if report["status"]["state"] not in ("waiting", "indexing"):
                return report
            await asyncio.sleep(0.02)


async def test_a_workspace_is_indexed_at_first_sight_and_its_graph_can_be_read(
    lynkr: Running, workspace: Path
) -> None:
    assert await lynkr.admin("GET", "code") == {"workspaces": []}
    report = await report_of(lynkr, workspace)
    assert report["status"]["state"] == "ready"
    assert report["status"]["root"] == str(workspace)
    assert report["status"]["languages"] == {"python": 4}
    files = {file["path"]: file for file in report["files"]}
    assert files.keys() == CODE.keys()
    core = files["app/core.py"]
    assert (core["blast_1"], core["blast"], core["blast_tests"], core["cyclomatic_max"]) == (1, 2, 1, 2)
    assert files["app/web.py"]["depth"] == 2
    paths = [file["path"] for file in report["files"]]
    imports = {(paths[source], paths[target]) for source, target, kind in report["edges"] if kind == "import"}
    assert imports == {
        ("app/service.py", "app/core.py"),
        ("app/web.py", "app/service.py"),
        ("tests/test_core.py", "app/core.py"),
    }
    listed = (await lynkr.admin("GET", "code"))["workspaces"]
    assert [(one["root"], one["state"], one["files"]) for one in listed] == [(str(workspace), "ready", 4)]
    assert (await lynkr.admin("GET", "status"))["workspaces"] == listed


async def test_indexing_can_be_asked_for_and_finds_what_is_new(lynkr: Running, workspace: Path) -> None:
    begun = await lynkr.admin("POST", "code/index", {"workspace": str(workspace)})
    assert begun["root"] == str(workspace)
    await report_of(lynkr, workspace)
    write(workspace, {"app/more.py": "from app.web import page\n"})
    async with asyncio.timeout(20):
        while "app/more.py" not in {file["path"] for file in (await report_of(lynkr, workspace))["files"]}:
            await lynkr.admin("POST", "code/index", {"workspace": str(workspace)})
            await asyncio.sleep(0.02)


async def test_the_configured_workspace_is_meant_where_none_is_named(tmp_path: Path, workspace: Path) -> None:
    config = config_for(NOWHERE)
    config["routing"]["workspace"] = str(workspace)
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        assert (await lynkr.admin("POST", "code/index"))["root"] == str(workspace)
        assert (await lynkr.admin("GET", "code/graph"))["status"]["root"] == str(workspace)


async def test_a_folder_that_may_not_be_indexed_is_refused_with_the_reason_and_what_to_do(
    lynkr: Running, workspace: Path, tmp_path: Path
) -> None:
    for folder, told in (
        ("work", "is not an absolute path. Give the whole path"),
        ("../work", "is not an absolute path"),
        (str(tmp_path / "gone"), "There is no folder"),
        (str(workspace / "app/core.py"), "is not a folder"),
        (str(workspace / "app/core.py" / "x"), "There is no folder"),
        (Path("/").anchor, "the root of the file system, which is never indexed"),
        (str(Path.home()), "your home or a folder above it"),
        (str(workspace) + "\0", "cannot be read"),
        ("/" + "x" * 5000, "cannot be read"),
        ("", "workspace is missing"),
    ):
        for status, message in (
            await lynkr.refused("GET", "code/graph", query={"workspace": folder}),
            await lynkr.refused("POST", "code/index", {"workspace": folder}),
        ):
            assert status == 400, folder
            assert told in message
            assert len(message) < 600
    assert await lynkr.admin("GET", "code") == {"workspaces": []}


async def test_a_folder_that_was_refused_is_taken_as_soon_as_it_is_there(
    lynkr: Running, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    assert (await lynkr.refused("GET", "code/graph", query={"workspace": str(folder)}))[0] == 400
    write(folder, {"a.py": "x = 1\n"})
    assert [file["path"] for file in (await report_of(lynkr, folder))["files"]] == ["a.py"]


async def test_another_users_folder_is_refused_unless_the_configuration_lists_it(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: workspace.stat().st_uid + 1, raising=False)
    async with engine_in_process(tmp_path / "home", config_for(NOWHERE)) as lynkr:
        _, message = await lynkr.refused("GET", "code/graph", query={"workspace": str(workspace)})
        assert "belongs to another user" in message
        assert "routing.analysis.graphify.roots" in message
    config = config_for(NOWHERE)
    config["routing"]["analysis"] = {"graphify": {"roots": [str(workspace)]}}
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        assert len((await report_of(lynkr, workspace))["files"]) == 4
        _, message = await lynkr.refused("GET", "code/graph", query={"workspace": str(tmp_path)})
        assert "lies in none of the folders" in message


async def test_bodies_that_do_not_fit_are_refused(lynkr: Running) -> None:
    for body in ({"workspace": 1}, {"folder": "/x"}, [], "x"):
        status, message = await lynkr.refused("POST", "code/index", body)
        assert status == 400
        assert "does not fit" in message


async def test_where_code_is_not_looked_at_that_is_said(tmp_path: Path, workspace: Path) -> None:
    config = config_for(NOWHERE)
    config["routing"]["analysis"] = {"graphify": {"enabled": False}}
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        status, message = await lynkr.refused("GET", "code/graph", query={"workspace": str(workspace)})
        assert (status, "routing.analysis.graphify.enabled" in message) == (409, True)
        assert await lynkr.admin("GET", "code") == {"workspaces": []}


async def test_the_calls_need_the_token(lynkr: Running, workspace: Path) -> None:
    for method, path in (
        ("GET", "code"),
        ("GET", f"code/graph?workspace={workspace}"),
        ("POST", "code/index"),
    ):
        headers = {"authorization": "Bearer wrong"}
        url = f"{lynkr.url}/v1/admin/{path}"
        async with lynkr.http.request(method, url, headers=headers) as response:
            assert response.status == 401
