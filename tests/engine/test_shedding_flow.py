"""Load shedding under real pressure: a loop that is kept busy, places that are taken, models that load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, openai_server


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


async def until(what: Callable[[], bool], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not what():
            await asyncio.sleep(0.02)


async def asked(lynkr: Running, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, str, str]:
    """Status, Retry-After and body of a request that is not streamed."""
    body = {"model": "auto-route", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with lynkr.http.post(lynkr.url + path, json=body, headers=headers) as response:
        return response.status, response.headers.get("retry-after", ""), await response.text()


async def test_a_loop_that_is_behind_refuses_at_once_and_takes_all_again(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url, resilience={"shedding": {"max_lag": "100ms"}})
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        assert (await asked(lynkr))[0] == 200
        over = asyncio.Event()

        async def greedy() -> None:
            while not over.is_set():
                time.sleep(0.25)  # noqa: ASYNC251 - to block the loop is the point
                await asyncio.sleep(0)

        blocking = asyncio.create_task(greedy())
        await until(lambda: lynkr.engine.pressure.level == 2)
        reached = len(upstream.bodies)
        refused = await asked(lynkr)
        anthropic = await asked(lynkr, "/v1/messages")
        status = await lynkr.admin("GET", "status")
        over.set()
        await blocking
        assert refused[0] == 503
        assert int(refused[1]) >= 1
        assert anthropic[0] == 529
        assert int(anthropic[1]) >= 1
        assert "overloaded_error" in anthropic[2]
        assert "behind" in status["pressure"]
        assert len(upstream.bodies) == reached
        await until(lambda: lynkr.engine.pressure.level == 0)
        assert (await asked(lynkr))[0] == 200
        assert (await lynkr.admin("GET", "status"))["pressure"] == ""
        async with lynkr.http.get(f"{lynkr.url}/metrics") as response:
            text = await response.text()
        assert 'lynkr_shed_requests_total{cause="loop"} 2.0' in text
        assert "lynkr_loop_lag_seconds" in text
        memory = next(line for line in text.splitlines() if line.startswith("lynkr_memory_bytes "))
        assert float(memory.split()[1]) > 10 * 1024**2


async def test_when_places_run_out_those_whom_nobody_waits_for_go_first(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url, resilience={"shedding": {"max_in_flight": 8}})
    upstream.gate = asyncio.Event()
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        streams: list[asyncio.Task[str]] = []

        async def stream(priority: str) -> str:
            body = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            headers = {"x-lynkr-priority": priority}
            url = f"{lynkr.url}/v1/chat/completions"
            async with lynkr.http.post(url, json=body, headers=headers) as response:
                return f"{response.status} {await response.text()}"

        for count in range(1, 7):
            streams.append(asyncio.create_task(stream("normal")))
            await until(lambda count=count: len(upstream.bodies) == count)  # type: ignore[misc]
        await until(lambda: lynkr.engine.pressure.level == 1)
        assert (await asked(lynkr, **{"x-lynkr-priority": "low"}))[0] == 503
        for count in (7, 8):
            streams.append(asyncio.create_task(stream("normal")))
            await until(lambda count=count: len(upstream.bodies) == count)  # type: ignore[misc]
        await until(lambda: lynkr.engine.pressure.level == 2)
        assert (await stream("high")).startswith("503 ")
        assert (await lynkr.admin("GET", "status"))["active"] == 8
        upstream.gate.set()
        for answer in await asyncio.gather(*streams):
            assert answer.startswith("200 ")
            assert "[DONE]" in answer
        await until(lambda: lynkr.engine.pressure.level == 0)
        assert (await asked(lynkr, **{"x-lynkr-priority": "low"}))[0] == 200


async def test_models_that_take_long_are_no_pressure(tmp_path: Path, upstream: OpenAIServer) -> None:
    """Many that wait for a model that loads cost next to nothing: others are taken all the while."""
    config = config_for(upstream.url, resilience={"shedding": {"max_queue_age": "200ms"}})
    config["providers"]["fake"]["max_concurrent"] = 1
    upstream.gate = asyncio.Event()
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        body = {"model": "auto-route", "stream": True, "messages": [{"role": "user", "content": "hi"}]}

        async def stream() -> str:
            async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body) as response:
                return await response.text()

        waiting = [asyncio.create_task(stream()) for _ in range(20)]
        lane = lynkr.engine.lanes["fake"]
        await until(lambda: lane.waiting == 19 and lane.oldest_wait() > 1.5)
        assert lynkr.engine.pressure.level == 0, lynkr.engine.pressure.reason
        upstream.gate.set()
        assert all("[DONE]" in answer for answer in await asyncio.gather(*waiting))


@pytest.mark.parametrize("max_memory", ["64MB"])
async def test_memory_of_the_process(tmp_path: Path, upstream: OpenAIServer, max_memory: str) -> None:
    """A process that holds more than it may refuses; the control API answers, and can raise the limit."""
    config = config_for(upstream.url, resilience={"shedding": {"max_memory": max_memory}})
    async with engine_in_process(tmp_path / "home", config) as lynkr:
        await until(lambda: lynkr.engine.pressure.level == 2)
        assert (await asked(lynkr))[0] == 503
        assert "MB of memory" in (await lynkr.admin("GET", "status"))["pressure"]
        await lynkr.admin("PATCH", "options", {"values": {"resilience.shedding.max_memory": "64GB"}})
        await until(lambda: lynkr.engine.pressure.level == 0)
        assert (await asked(lynkr))[0] == 200
