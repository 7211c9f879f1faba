"""The response cache behind a real engine: what it answers, and what it must never answer."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lynkr_desktop.engine.cache.store import ReplyStore
from tests.support.command import run_lynkr
from tests.support.engine import ROOT, Running, config_for, engine_in_process, read_until
from tests.support.openai_server import OpenAIServer, chunk, completion, openai_server

STORED = Path("cache") / "replies" / "replies.sqlite"


def config(url: str, **cache: Any) -> dict[str, Any]:
    """A configuration in which every request is looked up."""
    made = config_for(url)
    made["optimization"] = {"pipeline": ["sha256_lru_cache"], "cache": cache}
    return made


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, upstream: OpenAIServer) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path, config(upstream.url)) as running:
        yield running


async def ask(
    running: Running,
    text: str = "hi",
    *,
    headers: dict[str, str] | None = None,
    path: str = "/v1/chat/completions",
    **fields: Any,
) -> str:
    """Asks, and tells what the cache did."""
    body = {"model": "tier:simple", "messages": [{"role": "user", "content": text}], **fields}
    async with running.http.post(running.url + path, json=body, headers=headers) as response:
        answer = await response.text()
        assert response.status == 200, answer
        return response.headers["x-lynkr-cache"]


async def test_the_same_request_is_answered_without_a_model(lynkr: Running, upstream: OpenAIServer) -> None:
    first, one = await lynkr.ask(model="tier:simple")
    second, two = await lynkr.ask(model="tier:simple")
    assert (first.headers["x-lynkr-cache"], second.headers["x-lynkr-cache"]) == ("miss", "hit")
    assert one["choices"][0]["message"]["content"] == two["choices"][0]["message"]["content"] == "Hello there"
    assert len(upstream.bodies) == 1
    newest, _ = await lynkr.rows()
    assert (newest["cost"], newest["status"], newest["model"]) == (0.0, 200, "simple")
    assert (newest["input_tokens"], newest["cached_tokens"], newest["output_tokens"]) == (11, 11, 5)
    assert "from the cache" in newest["reason"]


async def test_a_request_that_the_score_routes_is_answered_too(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    told = [await ask(lynkr, "What is a list?", model="auto-route") for _ in range(2)]
    assert told == ["miss", "hit"]


async def test_results_of_tools_may_be_the_newest_turn(lynkr: Running) -> None:
    messages = [
        {"role": "user", "content": "read it"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "what it says"},
    ]
    assert [await ask(lynkr, messages=messages) for _ in range(2)] == ["miss", "hit"]
    messages[-1]["content"] = "what it says now"
    assert await ask(lynkr, messages=messages) == "miss"


async def test_two_systems_two_tool_sets_and_two_tiers_never_share(lynkr: Running) -> None:
    def tool(name: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}

    system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    other = [{"role": "system", "content": "Be long."}, {"role": "user", "content": "hi"}]
    asked: list[dict[str, Any]] = [
        {},
        {"messages": system},
        {"messages": other},
        {"tools": [tool("a")]},
        {"tools": [tool("b")]},
        {"tools": [tool("a"), tool("b")]},
        {"tools": [tool("b"), tool("a")]},
        {"tools": [tool("a")], "tool_choice": "none"},
        {"model": "tier:complex"},
        {"model": "fake/simple"},
        {"temperature": 0.1},
        {"max_tokens": 7},
        {"stop": ["x"]},
        {"path": "/v1/messages", "max_tokens": 7},
    ]
    assert {await ask(lynkr, **one) for one in asked} == {"miss"}
    assert {await ask(lynkr, **one) for one in asked} == {"hit"}


async def test_a_client_may_ask_anew_or_leave_no_trace(lynkr: Running, upstream: OpenAIServer) -> None:
    assert await ask(lynkr, headers={"x-lynkr-cache": "bypass"}) == "bypass"
    assert await ask(lynkr, headers={"x-lynkr-cache": "no-store"}) == "miss"
    assert await ask(lynkr) == "miss"
    assert await ask(lynkr, headers={"x-lynkr-cache": "no-store"}) == "hit"
    upstream.words = ["Newer"]
    assert await ask(lynkr, headers={"x-lynkr-cache": "refresh"}) == "miss"
    response, body = await lynkr.ask(model="tier:simple")
    assert response.headers["x-lynkr-cache"] == "hit"
    assert body["choices"][0]["message"]["content"] == "Newer"
    asked = {"model": "tier:simple", "messages": [{"role": "user", "content": "hi"}]}
    url = f"{lynkr.url}/v1/chat/completions"
    async with lynkr.http.post(url, json=asked, headers={"x-lynkr-cache": "yes"}) as refused:
        assert refused.status == 400
        assert "refresh, no-store or bypass" in await refused.text()


async def test_it_is_off_unless_it_is_listed_or_asked_for(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config_for(upstream.url)) as running:
        assert [await ask(running) for _ in range(2)] == ["bypass", "bypass"]
        assert not (tmp_path / STORED).exists()
        on = {"x-lynkr-optimize": "sha256_lru_cache"}
        assert [await ask(running, headers=on) for _ in range(2)] == ["miss", "hit"]
        assert await ask(running) == "bypass"


async def test_a_profile_shares_nothing_with_another(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config(upstream.url)) as running:
        secure = {"x-lynkr-profile": "secure"}
        assert await ask(running) == "miss"
        assert await ask(running, headers=secure) == "miss"
        assert await ask(running, headers=secure) == "hit"
        assert await ask(running) == "hit"


async def test_a_temperature_that_wants_variety_is_left_alone(lynkr: Running) -> None:
    assert [await ask(lynkr, temperature=0.9) for _ in range(2)] == ["bypass", "bypass"]
    assert [await ask(lynkr, temperature=0.3) for _ in range(2)] == ["miss", "hit"]


async def test_what_did_not_end_well_is_asked_again(lynkr: Running, upstream: OpenAIServer) -> None:
    async def cut(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        made = completion("cut")
        made["choices"][0]["finish_reason"] = "length"
        return web.json_response(made)

    async def failed(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no"}}, status=500)

    async def broken(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "text/event-stream"
        await response.prepare(request)
        await response.write(chunk({"content": "half"}))
        return response

    async def secret(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(completion("Your key is sk-ant-api03-" + "a1B2" * 20))

    upstream.script = cut
    assert [await ask(lynkr) for _ in range(2)] == ["miss", "miss"]
    assert await ask(lynkr, max_tokens=5) == "miss"
    assert await ask(lynkr, max_tokens=5) == "hit", "the client wanted no more"
    upstream.script = failed
    response, _ = await lynkr.ask("failing", model="tier:simple")
    assert response.status == 500
    upstream.script = broken
    assert [await ask(lynkr, "broken", stream=True) for _ in range(2)] == ["miss", "miss"]
    upstream.script = secret
    assert await ask(lynkr, "which key") == "miss"
    await lynkr.admin("GET", "cache")  # after all that waits to be written
    assert await ask(lynkr, "which key") == "miss"
    assert b"sk-ant-api03" not in (lynkr.engine.paths.home / STORED).read_bytes()


@pytest.mark.parametrize("stages", ["sha256_lru_cache", "sha256_lru_cache, distill_compression"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_was_made_of_text_is_asked_for_again(
    lynkr: Running, upstream: OpenAIServer, stages: str, stream: bool
) -> None:
    upstream.words = ['<tool_call>{"name": "run", ', '"arguments": {"command": "ls"}}</tool_call>']
    tools = [{"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}]
    headers = {"x-lynkr-optimize": stages}
    told = [await ask(lynkr, tools=tools, stream=stream, headers=headers) for _ in range(2)]
    assert told == ["miss", "miss"]
    upstream.words = ["No tool is needed."]
    told = [await ask(lynkr, tools=tools, stream=stream, headers=headers) for _ in range(2)]
    assert told == ["miss", "hit"]


async def test_a_client_that_leaves_in_mid_stream_leaves_nothing(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    upstream.gate = asyncio.Event()
    body = {"model": "tier:simple", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body) as response:
        await read_until(response, b"Hello")
        response.close()
    await lynkr.idle()
    upstream.gate.set()
    assert [await ask(lynkr, stream=True) for _ in range(2)] == ["miss", "hit"]


async def test_a_huge_stream_comes_again_byte_for_byte(lynkr: Running, upstream: OpenAIServer) -> None:
    upstream.words = [f"{number} äöü " * 20 for number in range(3000)]

    async def words() -> bytes:
        body = {
            "model": "tier:simple",
            "max_tokens": 100_000,
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
        }
        async with lynkr.http.post(f"{lynkr.url}/v1/messages", json=body) as response:
            return re.sub(rb"msg_\w+", b"", await response.read())

    first = await words()
    assert await words() == first
    assert len(upstream.bodies) == 1


async def test_many_that_ask_the_same_at_once_are_all_answered(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    told = await asyncio.gather(*(ask(lynkr) for _ in range(20)))
    assert "miss" in told
    assert set(told) <= {"miss", "hit"}
    assert await ask(lynkr) == "hit"
    assert (await lynkr.admin("GET", "cache"))["replies"] == 1


async def test_replies_outlive_the_engine(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config(upstream.url)) as running:
        assert await ask(running) == "miss"
    async with engine_in_process(tmp_path, config(upstream.url)) as running:
        assert await ask(running) == "hit"
        assert await ask(running, stream=True) == "hit"


async def test_another_address_of_a_provider_is_another_model(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with engine_in_process(tmp_path, config(upstream.url)) as running:
        assert await ask(running) == "miss"
    async with openai_server() as other, engine_in_process(tmp_path, config(other.url)) as running:
        assert await ask(running) == "miss"


async def test_options_take_effect_while_it_runs(tmp_path: Path, upstream: OpenAIServer) -> None:
    import yaml

    async with engine_in_process(tmp_path, config(upstream.url, ttl="1h")) as running:
        assert [await ask(running) for _ in range(2)] == ["miss", "hit"]
        running.engine.paths.config.write_text(yaml.safe_dump(config(upstream.url, ttl="1ms")))
        await running.engine.reload()
        status = await running.admin("GET", "cache")
        assert (status["ttl_s"], status["replies"]) == (0.001, 0)
        assert await ask(running) == "miss"


@pytest.mark.parametrize("damage", ["rubbish", "a folder", "emptied"])
async def test_a_damaged_file_costs_no_answer(tmp_path: Path, upstream: OpenAIServer, damage: str) -> None:
    file = tmp_path / STORED
    file.parent.mkdir(parents=True)
    if damage == "a folder":
        file.mkdir()
    else:
        file.write_bytes(b"rubbish" * 10_000 if damage == "rubbish" else b"")
    async with engine_in_process(tmp_path, config(upstream.url)) as running:
        assert await ask(running) == "miss"
        told = [await ask(running) for _ in range(5)]
        status = await running.admin("GET", "cache")
        if damage == "a folder":
            assert "not stored" in status["problem"]
        else:
            assert told[-1] == "hit"
            assert status["problem"] == ""


async def test_a_file_that_breaks_while_it_runs_costs_no_answer(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    assert [await ask(lynkr) for _ in range(2)] == ["miss", "hit"]
    await lynkr.admin("GET", "cache")
    file = lynkr.engine.paths.home / STORED
    file.write_bytes(b"rubbish" * 10_000)
    for number in range(10):
        await ask(lynkr, f"question {number % 3}")
    assert upstream.bodies


# ---------------------------------------------------------------- control API and command


async def test_what_is_stored_is_listed_and_deleted(lynkr: Running) -> None:
    for text in ("the first question", "the second question"):
        await ask(lynkr, text)
    await ask(lynkr, "the second question")
    status = await lynkr.admin("GET", "cache")
    assert (status["active"], status["replies"], status["hits"], status["misses"]) == (True, 2, 1, 2)
    assert 0 < status["size"] <= status["max_size"]
    [newest, oldest] = (await lynkr.admin("GET", "cache/replies"))["replies"]
    assert (newest["title"], newest["hits"], newest["model"]) == ("the second question", 1, "simple")
    assert (oldest["title"], oldest["hits"], oldest["input_tokens"]) == ("the first question", 0, 11)
    assert (await lynkr.admin("DELETE", f"cache/replies/{newest['key']}"))["replies"] == 1
    assert await lynkr.refused("DELETE", "cache/replies/00") == (
        404,
        "There is no stored reply with this key. `lynkr cache list` shows the keys.",
    )
    assert await ask(lynkr, "the first question") == "hit"
    assert (await lynkr.admin("DELETE", "cache"))["replies"] == 1
    assert (await lynkr.admin("GET", "cache"))["replies"] == 0
    assert await ask(lynkr, "the first question") == "miss"
    content = b"".join(path.read_bytes() for path in (lynkr.engine.paths.home / STORED).parent.iterdir())
    assert b"second question" not in content
    assert (await lynkr.refused("GET", "cache/replies", query={"limit": "0"}))[0] == 400


async def test_a_reply_that_was_asked_for_before_a_clearing_is_not_stored_after_it(
    lynkr: Running, upstream: OpenAIServer
) -> None:
    upstream.gate = asyncio.Event()
    waiting = asyncio.create_task(ask(lynkr, stream=True))
    while not upstream.bodies:
        await asyncio.sleep(0.01)
    await lynkr.admin("DELETE", "cache")
    upstream.gate.set()
    assert await waiting == "miss"
    assert (await lynkr.admin("GET", "cache"))["replies"] == 0
    assert await ask(lynkr, stream=True) == "miss"


async def test_metrics_count_what_the_cache_did(lynkr: Running) -> None:
    for _ in range(3):
        await ask(lynkr)
    await ask(lynkr, temperature=1)
    async with lynkr.http.get(f"{lynkr.url}/metrics") as response:
        text = await response.text()
    assert 'lynkr_cache_requests_total{result="hit"} 2.0' in text
    assert 'lynkr_cache_requests_total{result="miss"} 1.0' in text
    assert 'lynkr_cache_requests_total{result="bypass"} 1.0' in text


async def test_the_command_works_with_and_without_an_engine(tmp_path: Path, upstream: OpenAIServer) -> None:
    home = tmp_path / "home"
    async with engine_in_process(home, config(upstream.url)) as running:
        await ask(running, "what was \x1b[31masked")
        status = await run_lynkr(home, tmp_path, "cache", "status")
        assert status.code == 0
        assert "1 reply" in status.out
    listed = await run_lynkr(home, tmp_path, "cache", "list")
    assert "fake/simple" in listed.out
    assert "\x1b" not in listed.out
    for arguments in (("status",), ("list",)):
        assert (await run_lynkr(home, tmp_path, "cache", *arguments, "--json")).out.startswith(("{", "["))
    key = listed.out.splitlines()[1].split()[0]
    wrong = await run_lynkr(home, tmp_path, "cache", "clear", "ffff0000")
    assert (wrong.code, "no stored reply" in wrong.errors) == (1, True)
    cleared = await run_lynkr(home, tmp_path, "cache", "clear", key)
    assert "1 stored reply is deleted" in cleared.out
    again = await run_lynkr(home, tmp_path, "cache", "clear")
    assert "0 stored replies are deleted" in again.out


# ---------------------------------------------------------------- kill -9


WRITER = """
import sys
from pathlib import Path
from lynkr_desktop.engine.cache.store import ReplyStore
from tests.unit.test_response_cache import bulk, stored
store = ReplyStore(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    assert store.put(stored(b"%d" % number, bulk(300_000)), limit=2**30, ttl=1e6)
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
async def test_a_kill_during_a_write_loses_nothing_older(tmp_path: Path) -> None:
    file = tmp_path / "replies.sqlite"
    number, written = 0, set[int]()
    for _ in range(4):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, str(file), str(number)),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            for _ in range(7):
                written.add(int(await process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        await process.wait()
        written |= {int(line) for line in rest.split(b"\n")[:-1]}
        store = ReplyStore(file)
        for key in written:
            found = store.get(b"%d" % key, 1e6)
            assert found is not None, key
            assert found.events[-1].usage.output_tokens == 7  # type: ignore[union-attr]
        assert not store.problem
        store.close()
        number = max(written) + 2  # one more may be there: it was being written
