"""telemetry.prompts: whole prompts on the disk for those who ask for it, and for nobody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run_lynkr
from tests.support.engine import config_for, engine_in_process
from tests.support.fakes.openai import OpenAIFake

ASKED = "What does the module of the blue heron do?"


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as server:
        yield server


def config(upstream: OpenAIFake, **telemetry: Any) -> Mapping[str, Any]:
    return {**config_for(f"{upstream.url}/v1"), "telemetry": telemetry}


def all_bytes(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


async def test_prompts_are_shown_after_a_restart(tmp_path: Path, upstream: OpenAIFake) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config(upstream, prompts="7d")) as running:
        response, _ = await running.ask(ASKED)
        id_ = response.headers["x-request-id"]
        view = await running.admin("GET", f"requests/{id_}/prompt")
        assert view["turns"] == [{"role": "user", "text": ASKED}]
    printed = await run_lynkr(home, tmp_path, "show", id_)
    assert ASKED in printed.out
    async with engine_in_process(home) as running:
        view = await running.admin("GET", f"requests/{id_}/prompt")
        assert view["turns"] == [{"role": "user", "text": ASKED}]


async def test_off_stores_none_and_deletes_those_that_are_there(tmp_path: Path, upstream: OpenAIFake) -> None:
    home = tmp_path / "home"
    long = "Tell me of it. " * 20 + ASKED
    async with engine_in_process(home, config(upstream, prompts="7d")) as running:
        await running.ask(long)
        (row,) = await running.rows()
        assert (await running.admin("GET", f"requests/{row['id']}/prompt"))["turns"]
        paths = running.engine.paths
        paths.config.write_text(json.dumps({**config(upstream, prompts=False)}))
        await running.admin("POST", "reload")
        response, _ = await running.ask(long)
        for id_ in (row["id"], response.headers["x-request-id"]):
            assert not (await running.admin("GET", f"requests/{id_}/prompt"))["turns"]
    assert b"blue heron" not in all_bytes(home)


async def test_they_are_exported_where_that_is_said(tmp_path: Path, upstream: OpenAIFake) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config(upstream, prompts="7d")) as running:
        await running.ask(ASKED)
        url = f"{running.url}/v1/admin/usage/export"
        for format_ in ("csv", "json", "jsonl"):
            query = {"format": format_, "titles": "false"}
            async with running.http.get(url, params=query) as response:
                assert "blue heron" not in await response.text()
            async with running.http.get(url, params={**query, "prompts": "true"}) as response:
                assert response.status == 200
                assert (await response.text()).count(ASKED) == 1
    printed = await run_lynkr(home, tmp_path, "usage", "export", "--format", "jsonl", "--prompts")
    assert json.loads(printed.out)["prompt"] == [{"role": "user", "text": ASKED}]
    printed = await run_lynkr(home, tmp_path, "usage", "export", "--format", "jsonl")
    assert "prompt" not in json.loads(printed.out)


async def test_viewers_see_none(tmp_path: Path, upstream: OpenAIFake) -> None:
    async with engine_in_process(tmp_path / "home", config(upstream, prompts="7d")) as running:
        await running.ask(ASKED)
        (row,) = await running.rows()
        made = await running.admin("POST", "access", {"name": "carol", "role": "viewer"})
        viewer = {"authorization": f"Bearer {made['key']}"}
        for path, query in (
            (f"requests/{row['id']}/prompt", None),
            ("usage/export", {"prompts": "true"}),
        ):
            status, _ = await running.refused("GET", path, query=query, headers=viewer)
            assert status == 403
