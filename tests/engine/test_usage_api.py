"""Usage over the control API: reports, exports that stream, and records that agree with the metrics."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from lynkr_desktop.engine.telemetry import check, metrics, store
from tests.support.command import run_lynkr
from tests.support.engine import ROOT, Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, Script, begin, chunk, completion, openai_server


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


def faulty() -> Script:
    """Refuses some requests and breaks off some streams; answers the others."""

    async def script(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        said = body["messages"][-1]["content"]
        if "refuse" in said:
            return web.json_response({"error": {"message": "too long"}}, status=400)
        if not body.get("stream"):
            return web.json_response(completion("Hello"))
        response = await begin(request)
        for word in ("Hello", " there"):
            await response.write(chunk({"content": word}))
            if "break" in said and request.transport is not None:
                request.transport.abort()
                return response
        await response.write(chunk({}, "stop") + b"data: [DONE]\n\n")
        return response

    return script


async def one(running: Running, number: int, chance: random.Random) -> None:
    """A request of any kind: whole, streamed, left by its client, or one that must fail."""
    kind = chance.choice(("whole", "whole", "stream", "left", "no model", "no json", "no messages"))
    word = chance.choice(("say", "say", "say", "refuse", "break"))
    body: dict[str, Any] = {
        "model": chance.choice(("auto-route", f"fake/made-up-{number}", f"fake/made-up-{number}")),
        "messages": [] if kind == "no messages" else [{"role": "user", "content": f"{word} {number}"}],
        "stream": kind in ("stream", "left"),
    }
    if kind == "no model":
        body["model"] = "nobody/has-this"
    data = b"{" if kind == "no json" else json.dumps(body).encode()
    headers = {"content-type": "application/json", "x-lynkr-session": f"s-{number % 7}"}
    url = f"{running.url}/v1/chat/completions"
    async with running.http.post(url, data=data, headers=headers) as response:
        if kind != "left":
            with suppress(aiohttp.ClientPayloadError):
                await response.read()


async def agreed(running: Running) -> Any:
    found = await running.admin("GET", "usage/check")
    assert found["agree"], found["differences"]
    return found


def requests_of(found: Any) -> dict[str, float]:
    return {one["name"]: one["records"] for one in found["sums"]}


async def test_records_and_metrics_agree_to_the_last_request(
    tmp_path: Path, upstream: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BATCH_ROWS", 50)
    monkeypatch.setattr(metrics, "MOST_MODELS", 40)  # the others are counted together
    upstream.script = faulty()
    chance = random.Random(3)
    home = tmp_path / "home"
    config = config_for(upstream.url)
    async with engine_in_process(home, config) as running:
        assert (await agreed(running))["sums"][0]["records"] == 0

        async def client(part: int) -> None:
            for number in range(15):
                await one(running, part * 100 + number, chance)

        clients = [asyncio.create_task(client(part)) for part in range(16)]
        checks = 0
        while not all(task.done() for task in clients):  # while they come and go
            await agreed(running)
            checks += 1
        await asyncio.gather(*clients)
        await running.idle()
        found = await agreed(running)
        assert checks > 1
        assert requests_of(found)["lynkr_requests_total"] == 240
        rows = await running.rows()
        assert {row["status"] // 100 for row in rows} >= {2, 4}
        assert any(row["error"] and row["stream"] for row in rows)
        async with running.http.get(f"{running.url}/metrics") as response:
            assert 'model="other"' in await response.text()

        # A reload changes nothing of it.
        config["providers"]["fake"]["models"] = ["m", "n"]
        running.engine.paths.config.write_text(yaml.safe_dump(config))
        assert not (await running.admin("POST", "reload"))["error"]
        await asyncio.gather(*(client(part) for part in range(20, 24)))
        await running.idle()
        assert requests_of(await agreed(running))["lynkr_requests_total"] == 300

        ran = await run_lynkr(home, ROOT, "usage", "check")
        assert ran.code == 0
        assert "agree" in ran.out.splitlines()[0]
    ran = await run_lynkr(home, ROOT, "usage", "check")
    assert (ran.code, "not running" in ran.out) == (3, True)
    async with engine_in_process(home) as running:  # the records of the engine before are not its own
        await running.ask()
        assert requests_of(await agreed(running))["lynkr_requests_total"] == 1


async def test_a_difference_is_found_and_named(tmp_path: Path, upstream: OpenAIServer) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(upstream.url)) as running:
        for _ in range(3):
            await running.ask()
        rows = await running.rows()
        with store.open_for_writing(home / "lynkr.db") as connection:
            connection.execute("DELETE FROM requests WHERE id = ?", (rows[1]["id"],))
        connection.close()
        found = await running.admin("GET", "usage/check")
        assert not found["agree"]
        differing = {one["name"]: (one["records"], one["metrics"]) for one in found["differences"]}
        assert differing["lynkr_requests_total"] == (2, 3)
        assert set(differing) <= set(check.NAMES)
        ran = await run_lynkr(home, ROOT, "usage", "check")
        assert ran.code == 1
        assert "do not agree" in ran.out
        assert "provider=fake" in ran.out


async def test_reports_and_exports_of_a_running_engine(tmp_path: Path, upstream: OpenAIServer) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config_for(upstream.url)) as running:
        for number in range(5):
            await running.ask(f"please count to {number}")
        report = await running.admin("GET", "usage?by=hour&since=1h")
        assert report["totals"]["requests"] == 5
        assert report["latency"]["count"] == 5
        assert 0 < report["latency"]["p50"] <= report["latency"]["p99"]
        assert report["exact"]
        assert len(report["rows"]) in (1, 2)

        ran = await run_lynkr(home, ROOT, "usage", "export", "--format", "jsonl")
        rows = [json.loads(line) for line in ran.out.splitlines()]
        assert [row["title"] for row in rows] == [f"please count to {number}" for number in range(5)]
        assert all(row["decision"]["task"] for row in rows)
        target = tmp_path / "rows.csv"
        ran = await run_lynkr(home, ROOT, "usage", "export", "--no-titles", "--output", str(target))
        assert ran.code == 0, ran.errors
        table = list(csv.DictReader(io.StringIO(target.read_text("utf-8"), newline="")))
        assert [row["id"] for row in table] == [row["id"] for row in rows]
        assert {row["title"] for row in table} == {""}
        ran = await run_lynkr(home, ROOT, "usage", "--by", "provider", "--since", "1h")
        assert "fake" in ran.out
        assert "Time to the end of the reply" in ran.out

        for path, part in (
            ("usage?since=soon", "since: 'soon' is not a time"),
            ("usage?range=7d&since=1h", "range goes without"),
            ("usage?by=colour", "by must be one of"),
            ("usage/export?format=xml", "format must be one of"),
            ("usage/export?since=1h&until=2h", "ends before it begins"),
        ):
            status, message = await running.refused("GET", path)
            assert (status, part in message) == (400, True), message


async def test_an_export_that_breaks_off_leaves_no_file(
    tmp_path: Path, upstream: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, target = tmp_path / "home", tmp_path / "rows.json"
    async with engine_in_process(home, config_for(upstream.url)) as running:
        await running.ask()
        real = running.engine.records.read
        reads = 0

        async def read(query: Any) -> Any:
            nonlocal reads
            reads += 1
            if reads > 1:
                raise store.RecordsError("the disk is gone")
            return await real(query)

        monkeypatch.setattr(running.engine.records, "read", read)
        ran = await run_lynkr(home, ROOT, "usage", "export", "--format", "json", "--output", str(target))
        assert ran.code == 1
        assert "broke off" in ran.errors
        assert [name for name in os.listdir(tmp_path) if "rows" in name] == []
