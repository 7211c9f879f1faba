"""Lanes before real servers that send rate-limit headers and refuse what is too much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Call
from lynkr_desktop.engine.providers.openai_compatible import OpenAICompatibleProvider
from lynkr_desktop.engine.resilience.lanes import Lane, LaneLimits, Priority, QueueLimits
from lynkr_desktop.engine.wire.canonical import Message, Request, Text
from lynkr_desktop.engine.wire.errors import WireError
from tests.support.openai_server import OpenAIServer, completion, openai_server

_REQUEST = Request("m", (Message("user", (Text("hi"),)),))


class Strict:
    """An upstream that takes so many at once and so many a second, and refuses the rest.

    Args:
        at_once: that it takes.
        a_second: that it takes, a token bucket of that size.
        tells: whether its answers say what is left.
        takes: seconds that an answer takes.
    """

    def __init__(self, at_once: int, a_second: float, *, tells: bool, takes: float = 0.02) -> None:
        self.at_once, self.a_second, self.tells, self.takes = at_once, a_second, tells, takes
        self.answered, self.refused, self.inside, self.most = 0, 0, 0, 0
        self._left, self._at = a_second, time.monotonic()

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        now = time.monotonic()
        self._left = min(self.a_second, self._left + (now - self._at) * self.a_second)
        self._at = now
        if self.inside >= self.at_once:
            self.refused += 1
            return web.json_response({"error": {"message": "too many at once"}}, status=429)
        if self._left < 1:
            self.refused += 1
            wait = (1 - self._left) / self.a_second
            headers = {"retry-after": "1", "retry-after-ms": f"{wait * 1000:.0f}"}
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers=headers)
        self._left -= 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        left = self._left
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.inside -= 1
        self.answered += 1
        headers = {}
        if self.tells:
            headers = {
                "x-ratelimit-limit-requests": f"{self.a_second:.0f}",
                "x-ratelimit-remaining-requests": f"{int(left)}",
                "x-ratelimit-reset-requests": f"{(self.a_second - left) / self.a_second * 1000:.0f}ms",
            }
        return web.json_response(completion(), headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as running:
        yield running


async def run(server: OpenAIServer, lane: Lane, priorities: list[Priority]) -> tuple[list[Priority], int]:
    """Asks once for each priority, all at the same time; in which order they ended, and the refusals."""
    order: list[Priority] = []
    refusals = 0
    async with aiohttp.ClientSession() as session:
        options = ProviderOptions(kind="openai_compatible", base_url=server.url)
        provider = OpenAICompatibleProvider(
            name="fake", kind="openai_compatible", options=options, session=lambda: session
        )

        async def ask(priority: Priority) -> None:
            nonlocal refusals
            while True:
                await lane.enter(priority, model="m")
                try:
                    answer = await provider.send(Call(_REQUEST, "m"))
                    lane.learn(200, answer.headers, model="m")
                except WireError as error:
                    if error.status != 429:
                        raise
                    lane.learn(error.status, error.headers, retry_after=error.retry_after, model="m")
                    refusals += 1
                else:
                    order.append(priority)
                    return
                finally:
                    lane.leave()

        async with asyncio.timeout(50):
            await asyncio.gather(*map(ask, priorities))
        await provider.close()
    assert (lane.in_flight, lane.waiting) == (0, 0)
    return order, refusals


async def test_fifty_requests_pass_an_upstream_of_five_at_once_by_priority(server: OpenAIServer) -> None:
    strict = server.script = Strict(5, 1000, tells=True)
    lane = Lane("fake", LaneLimits(max_concurrent=5), QueueLimits())
    asked: list[Priority] = [("low", "normal", "high")[number % 3] for number in range(50)]  # type: ignore[misc]
    order, refusals = await run(server, lane, asked)
    assert refusals == 0
    assert (strict.answered, strict.most) == (50, 5)
    # Five went at once before anybody waited; from there on the urgent ones came first.
    waited = order[5:]
    rank = {"high": 0, "normal": 1, "low": 2}
    moved = sum(rank[a] > rank[b] for a, b in zip(waited, sorted(waited, key=rank.__getitem__), strict=True))
    assert moved <= 10
    assert waited[0] == "high"
    assert waited[-1] == "low"


async def test_what_headers_tell_of_a_rate_spares_refusals(server: OpenAIServer) -> None:
    strict = server.script = Strict(1000, 20, tells=True)
    began = time.monotonic()
    _, refusals = await run(server, Lane("fake", LaneLimits(max_concurrent=5)), ["normal"] * 60)
    assert strict.answered == 60
    assert refusals <= 6
    assert time.monotonic() - began < 20


async def test_without_any_limit_configured_all_come_through_by_what_is_learned(server: OpenAIServer) -> None:
    strict = server.script = Strict(5, 30, tells=False)
    _, refusals = await run(server, Lane("fake"), ["normal"] * 50)
    assert strict.answered == 50
    # 45 are on their way too many before the first refusal comes; finding the two limits takes some more.
    assert refusals <= 45 + 20


async def test_a_client_that_hangs_up_while_it_waits_frees_its_place(server: OpenAIServer) -> None:
    server.script = Strict(1, 1000, tells=False, takes=0.2)
    lane = Lane("fake", LaneLimits(max_concurrent=1))
    assert lane.try_enter("m")
    gone = [asyncio.create_task(run(server, lane, ["normal"])) for _ in range(5)]
    while lane.waiting < 5:
        await asyncio.sleep(0.01)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    assert lane.waiting == 0
    lane.leave()
    order, _ = await run(server, lane, ["high"])
    assert order == ["high"]
