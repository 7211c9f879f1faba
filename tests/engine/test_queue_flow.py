"""Queues as clients meet them: limits, priorities, clients that leave, endpoints that are full."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from lynkr_desktop.engine.resilience.lanes import Lane
from tests.engine.test_lane_upstream import Strict
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, completion, openai_server


def limited(url: str, resilience: dict[str, Any] | None = None, **provider: Any) -> dict[str, Any]:
    """A configuration with one model, at a provider with these limits."""
    config = config_for(url, resilience=resilience or {})
    config["providers"]["fake"].update(provider)
    config["routing"] = {"tiers": {"simple": {"providers": ["fake/m"], "max_complexity": 1.0}}}
    return config


async def ask(lynkr: Running, text: str, priority: str = "normal") -> tuple[int, str]:
    """Status and body of one request."""
    body = {"model": "auto-route", "messages": [{"role": "user", "content": text}]}
    headers = {"x-lynkr-priority": priority}
    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body, headers=headers) as response:
        return response.status, await response.text()


async def until_waiting(lane: Lane, count: int) -> None:
    """Waits until so many requests stand in the queue."""
    async with asyncio.timeout(10):
        while lane.waiting != count:
            await asyncio.sleep(0.01)


class Gate:
    """An upstream whose answers wait until it is opened; it notes the order of what it was asked."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked: list[str] = []

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self.asked.append(body["messages"][0]["content"])
        await self.open.wait()
        return web.json_response(completion())


def gated(server: OpenAIServer) -> Gate:
    gate = Gate()
    server.script = gate
    return gate


async def test_fifty_requests_at_once_all_end_well_before_an_upstream_that_takes_five(tmp_path: Path) -> None:
    async with openai_server() as server:
        strict = server.script = Strict(5, 40, tells=True)
        config = limited(server.url, max_concurrent=5)
        async with engine_in_process(tmp_path, config) as lynkr:
            answers = await asyncio.gather(*(ask(lynkr, f"question {number}") for number in range(50)))
            assert {status for status, _ in answers} == {200}
            assert strict.answered == 50
            assert strict.most <= 5
            lane = lynkr.engine.lanes["fake"]
            assert (lane.in_flight, lane.waiting) == (0, 0)


async def test_the_urgent_go_first(tmp_path: Path) -> None:
    async with openai_server() as server:
        gate = gated(server)
        async with engine_in_process(tmp_path, limited(server.url, max_concurrent=1)) as lynkr:
            lane = lynkr.engine.lanes["fake"]
            tasks = [asyncio.create_task(ask(lynkr, "first"))]
            async with asyncio.timeout(10):
                while not gate.asked:
                    await asyncio.sleep(0.01)
            for number, priority in enumerate(("low", "normal", "high", "low", "high")):
                tasks.append(asyncio.create_task(ask(lynkr, f"{priority} {number}", priority)))
                await until_waiting(lane, number + 1)
            gate.open.set()
            assert {status for status, _ in await asyncio.gather(*tasks)} == {200}
            assert gate.asked == ["first", "high 2", "high 4", "normal 1", "low 0", "low 3"]


async def test_a_client_that_hangs_up_while_it_waits_leaves_the_queue(tmp_path: Path) -> None:
    async with openai_server() as server:
        gate = gated(server)
        async with engine_in_process(tmp_path, limited(server.url, max_concurrent=1)) as lynkr:
            lane = lynkr.engine.lanes["fake"]
            first = asyncio.create_task(ask(lynkr, "first"))
            async with asyncio.timeout(10):
                while not gate.asked:
                    await asyncio.sleep(0.01)
            leaving = [asyncio.create_task(ask(lynkr, "leaves")) for _ in range(10)]
            await until_waiting(lane, 10)
            for task in leaving:
                task.cancel()
            await until_waiting(lane, 0)
            gate.open.set()
            assert (await first)[0] == 200
            assert (await ask(lynkr, "last"))[0] == 200
            assert gate.asked == ["first", "last"]
            await lynkr.idle()
            assert lane.in_flight == 0


async def test_a_full_queue_is_told_with_the_option_that_bounds_it(tmp_path: Path) -> None:
    async with openai_server() as server:
        gate = gated(server)
        queue = {"queue": {"max_waiting": 1}, "retry": {"attempts": 1}}
        async with engine_in_process(tmp_path, limited(server.url, queue, max_concurrent=1)) as lynkr:
            lane = lynkr.engine.lanes["fake"]
            first = asyncio.create_task(ask(lynkr, "first"))
            async with asyncio.timeout(10):
                while not gate.asked:
                    await asyncio.sleep(0.01)
            second = asyncio.create_task(ask(lynkr, "second"))
            await until_waiting(lane, 1)
            status, text = await ask(lynkr, "third")
            assert status == 429
            assert "resilience.queue.max_waiting" in text
            gate.open.set()
            assert [(await task)[0] for task in (first, second)] == [200, 200]


async def test_what_finds_one_endpoint_full_goes_to_the_other(tmp_path: Path) -> None:
    async with openai_server() as small, openai_server() as large:
        gate = gated(small)
        config = limited(small.url)
        config["providers"]["fake"] = {
            "kind": "openai_compatible",
            "endpoints": [{"base_url": small.url, "max_concurrent": 2}, {"base_url": large.url}],
        }
        async with engine_in_process(tmp_path, config) as lynkr:
            tasks = [asyncio.create_task(ask(lynkr, f"question {number}")) for number in range(40)]
            async with asyncio.timeout(20):
                while sum(task.done() for task in tasks) < 38:
                    await asyncio.sleep(0.01)
            assert len(gate.asked) == 2
            gate.open.set()
            assert {status for status, _ in await asyncio.gather(*tasks)} == {200}
            assert len(large.bodies) == 38
