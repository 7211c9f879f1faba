"""`lynkr restart` as clients, terminals and trays see it: the engine is another one, and nothing was lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.support.command import run_lynkr
from tests.support.engine import TOKEN, config_for, read_until, write_config
from tests.support.openai_server import OpenAIServer, openai_server
from tests.support.serving import Serving, ask_body, end, gone, serving_engine, start_serving

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there, an engine is restarted after its end")

CHAT = "/v1/chat/completions"
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def serving(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Serving]:
    config = config_for(upstream.url, logging={"level": "info"})
    async with serving_engine(tmp_path / "home", config) as found:
        yield found


async def test_fifty_clients_notice_nothing_of_ten_restarts(serving: Serving) -> None:
    """Half of them keep their connections, half take a new one for each request; every tenth streams."""
    wrong: list[str] = []
    answered: Counter[int] = Counter()
    enough = asyncio.Event()
    url = serving.url + CHAT

    async def client(number: int) -> None:
        connector = aiohttp.TCPConnector(force_close=number % 2 == 0)
        async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as http:
            while not enough.is_set():
                stream = number % 10 == 0
                text = f"{number} {answered[number]}"
                try:
                    async with http.post(url, data=ask_body(text, stream=stream)) as response:
                        body = await response.text()
                        if response.status != 200 or (stream and not body.rstrip().endswith("[DONE]")):
                            wrong.append(f"{number}: {response.status} {body[-300:]}")
                except (aiohttp.ClientError, OSError) as error:
                    wrong.append(f"{number}: {error!r}")
                answered[number] += 1

    clients = [asyncio.create_task(client(number)) for number in range(50)]
    pids = [serving.runtime.pid]
    try:
        for _ in range(10):
            before = sum(answered.values())
            status, told = await serving.call("POST", "restart")
            assert status == 200, told
            pids.append(serving.runtime.pid)
            assert told["pid"] == pids[-1]
            async with asyncio.timeout(30):
                while sum(answered.values()) < before + 100:
                    await asyncio.sleep(0.01)
    finally:
        enough.set()
        await asyncio.gather(*clients)
    assert wrong == []
    assert len(set(pids)) == 11
    for pid in pids[1:-1]:
        await gone(pid)
    async with asyncio.timeout(20):
        # Today's figures hold what the engines before wrote last, and the self-check is not misled by it.
        while (await serving.call("GET", "status"))[1]["totals"]["requests"] < sum(answered.values()):
            await asyncio.sleep(0.05)
    assert (await serving.call("GET", "status"))[1]["totals"]["requests"] == sum(answered.values())
    status, check = await serving.call("GET", "usage/check")
    assert (status, check["differences"]) == (200, []), check
    with closing(sqlite3.connect(serving.paths.home / "lynkr.db")) as records:
        (recorded,) = records.execute("SELECT COUNT(*) FROM requests").fetchone()
        assert recorded == sum(answered.values())
        assert records.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_stream_ends_where_it_began_and_new_requests_go_to_the_successor(
    serving: Serving, upstream: OpenAIServer
) -> None:
    upstream.gate = asyncio.Event()
    first = serving.runtime.pid
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        async with http.post(serving.url + CHAT, data=ask_body("x", stream=True)) as response:
            seen = await read_until(response, b"Hello")
            status, told = await serving.call("POST", "restart")
            assert (status, told["active"]) == (200, 1)
            second = serving.runtime.pid
            assert second == told["pid"] != first
            async with http.post(serving.url + CHAT, data=ask_body("y")) as other:
                assert other.status == 200
            upstream.gate.set()
            seen += await response.read()
        assert seen.rstrip().endswith(b"[DONE]")
    # Who started the first process still waits for it, and ends the engine through it.
    assert serving.process.returncode is None
    os.kill(first, signal.SIGTERM)
    assert await serving.ended() == 0
    await gone(second)
    assert not serving.paths.runtime.exists()


async def test_a_pause_outlives_a_restart_and_a_kill_but_not_an_end(
    serving: Serving, upstream: OpenAIServer
) -> None:
    assert (await serving.call("POST", "pause", {"seconds": 3600}))[0] == 200
    await serving.call("POST", "restart")
    status = (await serving.call("GET", "status"))[1]
    assert (status["state"], status["pid"]) == ("paused", serving.runtime.pid)
    os.kill(serving.runtime.pid, signal.SIGKILL)
    await serving.ended()
    again = await start_serving(serving.paths)
    try:
        assert (await again.call("GET", "status"))[1]["state"] == "paused"
        again.process.terminate()
        await again.ended()
        again = await start_serving(serving.paths)
        assert (await again.call("GET", "status"))[1]["state"] == "running"
    finally:
        await end(again)


async def test_whoever_waits_for_the_first_process_waits_for_its_successors(serving: Serving) -> None:
    first = serving.runtime.pid
    for _ in range(3):
        await serving.call("POST", "restart")
    last = serving.runtime.pid
    async with asyncio.timeout(20):
        # The first keeps its place as a small process; those between are gone.
        while {child.pid for child in psutil.Process(first).children()} - {last} or (
            psutil.Process(first).memory_info().rss > 30 * 1024**2
        ):
            await asyncio.sleep(0.05)
    assert "taken over" in serving.said()
    os.kill(last, signal.SIGKILL)
    assert await serving.ended() == 1


async def test_an_engine_ends_when_whoever_waited_for_it_is_killed(serving: Serving) -> None:
    first = serving.runtime.pid
    await serving.call("POST", "restart")
    second = serving.runtime.pid
    os.kill(first, signal.SIGKILL)
    await gone(second)


async def test_signals_to_every_process_of_a_group_count_once(
    serving: Serving, upstream: OpenAIServer
) -> None:
    """As systemd stops a service: the engine and the process that waits for it get SIGTERM both."""
    await serving.call("POST", "restart")
    first, second = serving.process.pid, serving.runtime.pid
    async with asyncio.timeout(20):
        while psutil.Process(first).memory_info().rss > 30 * 1024**2:
            await asyncio.sleep(0.05)
    upstream.gate = asyncio.Event()
    async with (
        aiohttp.ClientSession(headers=HEADERS) as http,
        http.post(serving.url + CHAT, data=ask_body("x", stream=True)) as response,
    ):
        await read_until(response, b"Hello")
        os.kill(second, signal.SIGTERM)
        os.kill(first, signal.SIGTERM)
        async with asyncio.timeout(10):
            while (await serving.call("GET", "status"))[1]["state"] != "draining":
                await asyncio.sleep(0.02)
        upstream.gate.set()
        assert (await response.read()).rstrip().endswith(b"[DONE]")
    assert await serving.ended() == 0


async def test_a_successor_that_cannot_start_changes_nothing(serving: Serving, tmp_path: Path) -> None:
    pid = serving.runtime.pid
    right = serving.paths.config.read_text()
    serving.paths.config.write_text(right + "\nno_such_option: 1\n")
    ran = await run_lynkr(serving.paths.home, tmp_path, "restart")
    assert ran.code == 1
    assert "goes on as it is" in ran.errors
    assert "no_such_option" in ran.errors
    assert serving.runtime.pid == pid
    assert (await serving.call("GET", "health"))[0] == 200
    serving.paths.config.write_text(right)
    ran = await run_lynkr(serving.paths.home, tmp_path, "restart")
    assert (ran.code, ran.errors) == (0, "")
    assert serving.runtime.pid != pid
    assert f"process {serving.runtime.pid} serves" in ran.out


async def test_a_port_that_was_changed_takes_effect(tmp_path: Path, upstream: OpenAIServer) -> None:
    config = config_for(upstream.url)
    config["proxy"]["port"] = 0
    home = tmp_path / "home"
    serving = await start_serving(write_config(home, config), "--config", str(home / "lynkr-routing.yaml"))
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            config["proxy"]["port"] = free.getsockname()[1]
        write_config(home, config)
        status, told = await serving.call("POST", "restart")
        assert status == 200, told
        assert told["port"] == config["proxy"]["port"]
        assert serving.runtime.port == told["port"]
        assert (await serving.call("GET", "health"))[0] == 200
    finally:
        await end(serving)


async def test_without_an_engine_there_is_nothing_to_restart(tmp_path: Path) -> None:
    ran = await run_lynkr(tmp_path / "home", tmp_path, "restart")
    assert ran.code == 3
    assert "not running" in ran.errors
