"""Health, for people and for probes: what is told at once, and what is tried."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lynkr_desktop.engine import health
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, openai_server


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path / "home", config_for(upstream.url)) as running:
        yield running


async def asked(lynkr: Running, path: str) -> tuple[int, dict[str, Any]]:
    async with lynkr.http.get(f"{lynkr.url}/v1/admin/{path}") as response:
        return response.status, await response.json()


async def test_health_is_open_and_deep_health_is_not(lynkr: Running) -> None:
    async with aiohttp.ClientSession() as stranger:
        for path, status in (
            ("health", 200),
            ("health?deep=true", 401),
            ("health/deep", 401),
            ("ready", 401),
        ):
            async with stranger.get(f"{lynkr.url}/v1/admin/{path}") as response:
                assert (path, response.status) == (path, status)


async def test_what_is_well_is_told_of_each_part(lynkr: Running) -> None:
    status, ready = await asked(lynkr, "ready")
    assert (status, ready["ready"], ready["reasons"], ready["store"]) == (200, True, [], "ok")
    assert [provider["name"] for provider in ready["providers"]]
    status, deep = await asked(lynkr, "health?deep=true")
    assert (status, deep["ok"]) == (200, True), deep
    assert {"engine", "records", "index", "disk", "provider fake"} <= {one["name"] for one in deep["checks"]}
    assert deep == {**(await asked(lynkr, "health/deep"))[1], "uptime_s": deep["uptime_s"]} | {
        "checks": deep["checks"]
    }


async def test_a_paused_engine_lives_and_is_not_ready(lynkr: Running) -> None:
    await lynkr.admin("POST", "pause", {})
    assert (await asked(lynkr, "health"))[0] == 200
    status, ready = await asked(lynkr, "ready")
    assert (status, ready["ready"], ready["state"]) == (503, False, "paused")
    assert "paused" in ready["reasons"][0]


async def test_without_a_model_it_is_not_ready_and_says_why(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:9/v1")
    config["providers"]["fake"] = {"kind": "openai", "models": ["m"]}
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        status, ready = await asked(lynkr, "ready")
        assert status == 503
        assert any("key" in reason.lower() for reason in ready["reasons"])
        status, deep = await asked(lynkr, "health/deep")
        wrong = [check for check in deep["checks"] if not check["ok"]]
        assert (status, [check["name"] for check in wrong]) == (503, ["provider fake"])


async def test_a_provider_that_is_silent_does_not_hold_up_the_answer(
    lynkr: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LIMIT_S", 0.2)
    silent = asyncio.Event()

    async def models() -> Any:
        await silent.wait()

    monkeypatch.setattr(lynkr.engine.snapshot.providers["fake"], "models", models)
    status, deep = await asked(lynkr, "health/deep")
    found = next(check for check in deep["checks"] if check["name"] == "provider fake")
    assert (status, found["ok"]) == (503, False)
    assert "no answer within" in found["detail"]


async def test_records_that_cannot_be_written_are_told_and_do_not_make_it_unready(
    lynkr: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.name != "posix":
        pytest.skip("folders cannot take the place of open files there")
    await lynkr.ask()
    await lynkr.engine.records.flush()
    path = lynkr.engine.paths.home / "lynkr.db"
    path.rename(path.with_name("away.db"))
    path.mkdir()
    await lynkr.ask()
    await lynkr.engine.records.flush()
    status, ready = await asked(lynkr, "ready")
    assert (status, ready["ready"]) == (200, True)
    assert "cannot be written" in ready["store"]
    status, deep = await asked(lynkr, "health/deep")
    found = next(check for check in deep["checks"] if check["name"] == "records")
    assert (status, found["ok"]) == (503, False)
    path.rmdir()
    async with asyncio.timeout(10):
        while (await asked(lynkr, "ready"))[1]["store"] != "ok":
            await lynkr.engine.records.flush()
    assert (await asked(lynkr, "health/deep"))[0] == 200
    assert len(await lynkr.rows()) == 1, "what waited was written"


async def test_a_full_disk_is_told(lynkr: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_FREE", 2**62)
    status, deep = await asked(lynkr, "health/deep")
    found = next(check for check in deep["checks"] if check["name"] == "disk")
    assert (status, found["ok"]) == (503, False)
    assert "Make room" in found["detail"]
