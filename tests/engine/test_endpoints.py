"""A provider with several endpoints and keys: who answers, and what happens where one is gone."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lynkr_desktop.protocol.keys import KeyList
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, openai_server

_KEYS = {"FAKE_API_KEY": "sk-of-the-provider-0001", "SECOND_API_KEY": "sk-of-the-second-00002"}


@pytest.fixture
async def servers() -> AsyncIterator[tuple[OpenAIServer, OpenAIServer]]:
    async with openai_server() as first, openai_server() as second:
        yield first, second


def spread_over(*endpoints: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A configuration whose only provider has these endpoints."""
    config = config_for("http://127.0.0.1:9/v1")
    config["providers"]["fake"] = {"kind": "openai_compatible", "endpoints": list(endpoints), **more}
    config["routing"] = {"tiers": {"simple": {"providers": ["fake/m"], "max_complexity": 1.0}}}
    return config


@asynccontextmanager
async def over(
    home: Path, first: OpenAIServer, second: OpenAIServer, **second_has: Any
) -> AsyncIterator[Running]:
    config = spread_over({"base_url": first.url}, {"base_url": second.url, **second_has})
    async with engine_in_process(home, config, _KEYS) as lynkr:
        yield lynkr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_conversation_stays_at_its_endpoint_and_conversations_are_spread(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    async with over(tmp_path, *servers) as lynkr:
        for number in range(24):
            turns: list[dict[str, str]] = [{"role": "user", "content": f"question {number}"}]
            for answer in ("one", "two", "three"):
                body = {"model": "auto-route", "messages": turns}
                async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body) as response:
                    assert response.status == 200
                turns = [
                    *turns,
                    {"role": "assistant", "content": answer},
                    {"role": "user", "content": "go on"},
                ]
    at = [Counter(each["messages"][0]["content"] for each in server.requests) for server in servers]
    assert not at[0].keys() & at[1].keys()
    assert all(count == 3 for found in at for count in found.values())
    assert min(len(found) for found in at) >= 4


async def test_each_endpoint_gets_its_own_key(
    tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]
) -> None:
    async with over(tmp_path, *servers, key="second") as lynkr:
        for number in range(20):
            response, _ = await lynkr.ask(f"question {number}")
            assert response.status == 200
        listed = await lynkr.admin("GET", "keys")
        names = {info["provider"]: info for info in listed["keys"]}
        assert names["second"]["source"] == "environment"
        assert names["second"]["used"]
        assert KeyList.__struct_fields__ == ("keyring", "keys")
    sent = [{headers["authorization"] for headers in server.headers} for server in servers]
    assert sent == [{"Bearer sk-of-the-provider-0001"}, {"Bearer sk-of-the-second-00002"}]


async def test_where_an_endpoint_is_dead_the_other_one_answers(tmp_path: Path) -> None:
    async with openai_server() as alive:
        dead = f"http://127.0.0.1:{free_port()}/v1"
        config = spread_over({"base_url": dead}, {"base_url": alive.url})
        async with engine_in_process(tmp_path, config, _KEYS) as lynkr:
            answers = await asyncio.gather(*(lynkr.ask(f"question {number}") for number in range(30)))
            assert {response.status for response, _ in answers} == {200}
        assert len(alive.bodies) == 30


async def test_weights_share_conversations(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        light = await stack.enter_async_context(openai_server())
        heavy = await stack.enter_async_context(openai_server())
        lynkr = await stack.enter_async_context(over(tmp_path, light, heavy, weight=9))
        for number in range(60):
            await lynkr.ask(f"question {number}")
        assert len(heavy.bodies) > 3 * len(light.bodies)


async def test_the_lanes_are_told(tmp_path: Path, servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    async with over(tmp_path, *servers, max_concurrent=3) as lynkr:
        lane = lynkr.engine.lanes["fake#2"]
        assert lane.try_enter("m")
        lane.learn(429, {"retry-after": "120"}, model="m")
        told = {each["name"]: each for each in (await lynkr.admin("GET", "lanes"))["lanes"]}
        assert told["fake#2"]["in_flight"] == 1
        assert told["fake#2"]["max_concurrent"] == 3
        assert told["fake#2"]["limited_models"] == ["m"]
        assert "asked for a pause" in told["fake#2"]["why"]
        assert told["fake"]["limited_until"] is None
        status = await lynkr.admin("GET", "status")
        assert [each["name"] for each in status["lanes"]] == ["fake#2"]
        async with lynkr.http.get(f"{lynkr.url}/metrics") as response:
            assert 'lynkr_lane_in_flight{lane="fake#2"} 1.0' in await response.text()
        # Conversations whose endpoint it is go to the other one meanwhile.
        for number in range(10):
            response, _ = await lynkr.ask(f"question {number}")
            assert response.status == 200
        assert len(servers[0].bodies) == 10
        lane.leave()
