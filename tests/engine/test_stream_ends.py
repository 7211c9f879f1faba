"""The end of a stream: the last event says that an answer is complete, whatever the connections do then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clients import Ask, Function, OpenAIChat
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.fakes.openai import ChatWire, OpenAIFake
from tests.support.script import Raw, Reply, Say, Stall

LAST = {"/v1/messages": b"message_stop", "/v1/chat/completions": b"[DONE]"}


class Lingering(OpenAIFake):
    """Sends a whole answer and keeps the connection open, as some servers do."""

    async def __aenter__(self) -> Lingering:
        await super().__aenter__()
        self.brain = lambda asked: Reply(
            (Say("Hello"), Raw(ChatWire(asked).end("stop", counts=True)), Stall())
        )
        return self


@pytest.fixture
async def upstream() -> AsyncIterator[Lingering]:
    async with Lingering() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: Lingering) -> AsyncIterator[Running]:
    config = config_for(f"{upstream.url}/v1")
    config["providers"]["fake"]["stall_timeout"] = 0.5
    async with engine_in_process(tmp_path / "home", config) as running:
        yield running


@pytest.mark.parametrize("path", LAST)
async def test_a_client_that_leaves_at_the_last_event_has_its_answer(lynkr: Running, path: str) -> None:
    body = {"model": "auto-route", "max_tokens": 9, "stream": True}
    body["messages"] = [{"role": "user", "content": "hi"}]
    got = b""
    async with lynkr.http.post(lynkr.url + path, json=body) as response:
        async for piece in response.content.iter_any():
            got += piece
            if LAST[path] in got:
                response.close()
                break
    await lynkr.idle()
    (row,) = await lynkr.rows()
    assert (row["status"], row["error"]) == (200, "")
    assert row["output_tokens"] == 5


@pytest.mark.parametrize("path", LAST)
async def test_nothing_follows_the_last_event(lynkr: Running, path: str) -> None:
    body = {"model": "auto-route", "max_tokens": 9, "stream": True}
    body["messages"] = [{"role": "user", "content": "hi"}]
    async with lynkr.http.post(lynkr.url + path, json=body) as response:
        got = await response.read()
    assert got.rstrip().splitlines()[-1].removeprefix(b"data: ") in (b"[DONE]", b'{"type":"message_stop"}')
    await lynkr.idle()
    (row,) = await lynkr.rows()
    assert (row["status"], row["error"]) == (200, "")


async def test_what_was_held_back_at_a_failure_has_the_head_of_what_went_before(
    lynkr: Running, upstream: Lingering
) -> None:
    broken = Reply((Say("Hello"), Say(" <tool_ca"), Raw(b"data: {broken\n\n")))
    upstream.brain = lambda asked: broken
    ask = Ask(tools=(Function("note"),), stream=True)
    answer = await OpenAIChat().send(lynkr.http, lynkr.url, ask)
    assert answer.problem is not None
    assert answer.text == "Hello <tool_ca"
