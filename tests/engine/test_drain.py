"""The end of an engine, as the clients see it whose requests are still on their way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lynkr_desktop.engine.engine import Engine
from tests.support.engine import Running, config_for, engine_in_process, read_until
from tests.support.openai_server import OpenAIServer, openai_server

CHAT, MESSAGES, RESPONSES, OLLAMA = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"
TOLD = "Lynkr was stopped before this answer was complete"
ENDS = {
    CHAT: b'"error":',
    MESSAGES: b"event: error",
    RESPONSES: b"event: response.failed",
    OLLAMA: b'{"error":',
}


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        server.gate = asyncio.Event()
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Running]:
    config = config_for(upstream.url)
    config["proxy"]["drain_timeout"] = "1s"
    async with engine_in_process(tmp_path / "home", config) as running:
        yield running


def body_for(path: str, *, stream: bool = True) -> dict[str, Any]:
    """A request of that path's protocol."""
    if path == RESPONSES:
        return {"model": "auto-route", "input": "hi", "stream": stream}
    asked = [{"role": "user", "content": "hi"}]
    return {"model": "auto-route", "messages": asked, "stream": stream, "max_tokens": 100}


async def told_streams(lynkr: Running) -> dict[str, bytes]:
    """Opens a stream of each protocol, stops the engine, and returns what came until the streams ended."""

    async def one(path: str, ready: asyncio.Event) -> bytes:
        async with lynkr.http.post(lynkr.url + path, json=body_for(path)) as response:
            assert response.status == 200
            seen = await read_until(response, b"Hello")
            ready.set()
            return seen + await response.read()

    waits = [asyncio.Event() for _ in ENDS]
    tasks = [asyncio.create_task(one(path, ready)) for path, ready in zip(ENDS, waits, strict=True)]
    async with asyncio.timeout(10):
        await asyncio.gather(*(ready.wait() for ready in waits))
        lynkr.engine.request_stop()
        return dict(zip(ENDS, await asyncio.gather(*tasks), strict=True))


async def test_streams_that_are_not_done_in_time_end_with_an_error_of_their_protocol(lynkr: Running) -> None:
    for path, seen in (await told_streams(lynkr)).items():
        assert ENDS[path] in seen, (path, seen)
        assert TOLD.encode() in seen, (path, seen)
        assert b"message_stop" not in seen
        assert b'finish_reason":"stop' not in seen


async def test_a_second_signal_ends_streams_at_once_and_with_the_same_error(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    config = config_for(upstream.url)
    config["proxy"]["drain_timeout"] = "60s"
    async with (
        engine_in_process(tmp_path / "home", config) as lynkr,
        lynkr.http.post(lynkr.url + MESSAGES, json=body_for(MESSAGES)) as response,
    ):
        await read_until(response, b"Hello")
        lynkr.engine.request_stop()
        lynkr.engine.request_stop(force=True)
        async with asyncio.timeout(5):
            assert TOLD.encode() in await response.read()


@pytest.mark.parametrize("path", list(ENDS))
async def test_whoever_waits_for_a_whole_answer_gets_an_error_too(
    lynkr: Running, upstream: OpenAIServer, path: str
) -> None:
    asked = asyncio.Event()

    async def never(*_: Any) -> Any:
        asked.set()
        await asyncio.sleep(3600)

    upstream.script = never
    asking = asyncio.create_task(lynkr.http.post(lynkr.url + path, json=body_for(path, stream=False)))
    async with asyncio.timeout(10):
        await asked.wait()
        lynkr.engine.request_stop()
        async with await asking as response:
            assert response.status == 503
            assert int(response.headers["retry-after"]) >= 1
            assert TOLD in await response.text()


async def test_what_was_cut_off_is_recorded_as_that(tmp_path: Path, upstream: OpenAIServer) -> None:
    config = config_for(upstream.url)
    config["proxy"]["drain_timeout"] = "1s"
    home = tmp_path / "home"
    async with engine_in_process(home, config) as lynkr:
        await told_streams(lynkr)
    upstream.gate = None
    async with engine_in_process(home, config) as lynkr:
        rows = await lynkr.rows()
        assert len(rows) == len(ENDS)
        assert {row["status"] for row in rows} == {503}
        assert all(row["error"].startswith(TOLD) for row in rows)


async def test_new_requests_during_the_drain_are_sent_away_with_their_connection(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    async with aiohttp.ClientSession(headers=lynkr.http.headers) as kept:
        async with kept.get(f"{lynkr.url}/v1/models") as response:
            assert response.headers.get("connection") != "close"
        async with lynkr.http.post(lynkr.url + CHAT, json=body_for(CHAT)) as stream:
            await read_until(stream, b"Hello")
            lynkr.engine.request_stop()
            for path in ENDS:
                async with kept.post(lynkr.url + path, json=body_for(path)) as response:
                    assert response.status == 503
                    assert response.headers["retry-after"]
                    assert response.headers["connection"] == "close"
                    assert "stopping" in await response.text()
            assert upstream.gate is not None
            upstream.gate.set()
            assert (await stream.read()).rstrip().endswith(b"[DONE]")


async def test_an_engine_that_cannot_start_another_says_so(lynkr: Running) -> None:
    assert lynkr.engine.restarter is None
    status, message = await lynkr.refused("POST", "restart")
    assert status == 409
    assert "Stop it and start it" in message


async def test_an_engine_that_has_handed_over_still_answers_those_who_come_to_it(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    upstream.gate = None
    engine: Engine = lynkr.engine
    async with lynkr.http.get(f"{lynkr.url}/v1/admin/health") as response:
        assert response.status == 200
    engine.gate.handing_over = True
    engine.request_stop()
    response, _ = await lynkr.ask()
    assert response.status == 200
    assert response.headers["connection"] == "close"
