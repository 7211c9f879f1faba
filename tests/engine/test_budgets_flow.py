"""Budgets through the engine: what is refused, in which words, and what is known after a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from lynkr_desktop.running import find_engine
from tests.support.command import run_lynkr, start_lynkr
from tests.support.engine import TOKEN, Running, config_for, engine_in_process, write_config
from tests.support.openai_server import OpenAIServer, openai_server

SESSION = {"x-lynkr-session": "s1"}


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


def limited(upstream: OpenAIServer, **budgets: Any) -> dict[str, Any]:
    return config_for(upstream.url, budgets=budgets)


async def ask(lynkr: Running, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, Any]:
    body = {"model": "auto-route", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    async with lynkr.http.post(lynkr.url + path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_a_session_that_is_spent_is_refused_in_each_protocol_and_others_go_on(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    async with engine_in_process(tmp_path / "home", limited(upstream, session={"tokens": 1})) as lynkr:
        assert (await ask(lynkr, **SESSION))[0] == 200
        status, chat = await ask(lynkr, **SESSION)
        assert status == 402
        assert chat["error"]["type"] == "insufficient_quota"
        message = chat["error"]["message"]
        assert "session s1" in message
        assert "lynkr budgets raise session s1 --tokens 1" in message
        status, messages = await ask(lynkr, "/v1/messages", **SESSION)
        assert (status, messages["error"]["type"]) == (402, "billing_error")
        status, ollama = await ask(lynkr, "/api/chat", **SESSION)
        assert (status, set(ollama)) == (402, {"error"})
        assert (await ask(lynkr, **{"x-lynkr-session": "s2"}))[0] == 200
        assert len(upstream.bodies) == 2
        told = (await lynkr.admin("GET", "status"))["budgets"]
        assert {each["name"] for each in told} == {"s1", "s2"}


async def test_sdks_do_not_repeat_a_refusal(tmp_path: Path, upstream: OpenAIServer) -> None:
    async with engine_in_process(tmp_path / "home", limited(upstream, day={"dollars": 0})) as lynkr:
        said = [{"role": "user", "content": "hi"}]
        async with openai.AsyncOpenAI(base_url=f"{lynkr.url}/v1", api_key=TOKEN) as client:
            with pytest.raises(openai.APIStatusError) as refused:
                await client.chat.completions.create(model="auto-route", messages=said)
        assert refused.value.status_code == 402
        async with anthropic.AsyncAnthropic(base_url=lynkr.url, api_key=TOKEN) as other:
            with pytest.raises(anthropic.APIStatusError) as told:
                await other.messages.create(model="auto-route", max_tokens=9, messages=said)
        assert told.value.status_code == 402
        assert len(await lynkr.rows()) == 2
        assert not upstream.bodies


async def test_what_is_spent_and_what_a_person_changed_survives_a_restart(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home, config = tmp_path / "home", limited(upstream, session={"tokens": 1}, day={"dollars": 1000})
    async with engine_in_process(home, config) as lynkr:
        assert (await ask(lynkr, **SESSION))[0] == 200
        before = (await lynkr.admin("GET", "budgets"))["budgets"]
    async with engine_in_process(home, config) as lynkr:
        assert (await ask(lynkr, **SESSION))[0] == 402
        after = (await lynkr.admin("GET", "budgets"))["budgets"]
        assert [(each["tokens"], each["dollars"]) for each in after] == [
            (each["tokens"], each["dollars"]) for each in before
        ]
        await lynkr.admin("PATCH", "budgets", {"scope": "session", "name": "s1", "tokens": 10**6})
        assert (await ask(lynkr, **SESSION))[0] == 200
    async with engine_in_process(home, config) as lynkr:
        assert (await ask(lynkr, **SESSION))[0] == 200
        raised = await run_lynkr(home, tmp_path, "budgets", "raise", "day", "--dollars", "5", "--json")
        assert json.loads(raised.out)["dollars_limit"] == 1005
        shown = await run_lynkr(home, tmp_path, "budgets")
        assert "s1" in shown.out
        assert "of $1,005.00" in shown.out
        reset = await lynkr.admin("POST", "budgets/reset", {"scope": "session", "name": "s1"})
        assert (reset["tokens"], reset["share"]) == (0, 0)
        assert (await lynkr.refused("POST", "budgets/reset", {"scope": "key", "name": "x"}))[0] == 404
        assert (await lynkr.refused("PATCH", "budgets", {"scope": "day", "dollars": -1}))[0] == 400
        audit = await lynkr.admin("GET", "audit")
        assert "budget reset" in str(audit)


async def test_requests_in_flight_cannot_all_pass_what_is_left(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    # An unknown price counts as the worst one: an answer of 9 tokens is reserved at $0.0007.
    async with engine_in_process(tmp_path / "home", limited(upstream, day={"dollars": 0.001})) as lynkr:
        answers = await asyncio.gather(*(ask(lynkr) for _ in range(50)))
        statuses = [status for status, _ in answers]
        assert 1 <= statuses.count(200) <= 4
        assert set(statuses) <= {200, 402, 429}
        [day] = (await lynkr.admin("GET", "budgets"))["budgets"]
        assert day["in_flight"] == 0
        assert day["unpriced"] == statuses.count(200) == len(upstream.bodies)


async def test_memory_and_records_have_the_same_sums(tmp_path: Path, upstream: OpenAIServer) -> None:
    folders = [tmp_path / "w0", tmp_path / "w1"]
    for folder in folders:
        folder.mkdir()
    limits = {scope: {"tokens": 10**9} for scope in ("session", "project", "day", "key")}
    async with engine_in_process(tmp_path / "home", limited(upstream, **limits)) as lynkr:
        for number in range(12):
            headers = {"x-lynkr-session": f"s{number % 3}", "x-lynkr-workspace": str(folders[number % 2])}
            assert (await ask(lynkr, **headers))[0] == 200
        rows = await lynkr.rows()
        known = {
            (each["scope"], each["name"]): each for each in (await lynkr.admin("GET", "budgets"))["budgets"]
        }
        total = sum(row["input_tokens"] + row["output_tokens"] for row in rows)
        assert known["day", ""]["tokens"] == known["key", ""]["tokens"] == total > 0
        for name in ("s0", "s1", "s2"):
            mine = [row for row in rows if row["session"] == name]
            assert known["session", name]["tokens"] == sum(
                row["input_tokens"] + row["output_tokens"] for row in mine
            )
        assert sum(known["project", str(folder)]["tokens"] for folder in folders) == total
        # Forgotten, and read again from the records.
        budgets = lynkr.engine.budgets
        before = {status.name: status.tokens for status in budgets.statuses() if status.scope == "session"}
        budgets._accounts.clear()
        assert (await ask(lynkr, **{"x-lynkr-session": "s0", "x-lynkr-workspace": str(folders[0])}))[0] == 200
        again = {(each.scope, each.name): each.tokens for each in budgets.statuses()}
        assert again["session", "s0"] > before["s0"]
        assert again["day", ""] > total


async def test_budgets_hold_after_a_kill(tmp_path: Path, upstream: OpenAIServer) -> None:
    home = tmp_path / "home"
    paths = write_config(home, limited(upstream, session={"tokens": 1}))
    for expected in (200, 402):
        process = await start_lynkr(home, tmp_path, "serve", "--port", "0")
        try:
            assert process.stdout is not None
            async with asyncio.timeout(30):
                while (runtime := find_engine(paths)) is None:
                    await asyncio.sleep(0.05)
            url = f"http://127.0.0.1:{runtime.port}"
            async with aiohttp.ClientSession(headers={"authorization": f"Bearer {TOKEN}"}) as http:
                body = {"model": "auto-route", "messages": [{"role": "user", "content": "hi"}]}
                async with http.post(f"{url}/v1/chat/completions", json=body, headers=SESSION) as answer:
                    assert answer.status == expected, await answer.text()
                async with http.get(f"{url}/v1/admin/requests") as recorded:  # waits until it is written
                    assert recorded.status == 200
        finally:
            process.kill()
            await process.communicate()


async def test_responses_are_refused_with_the_status_that_codex_does_not_repeat(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    async with engine_in_process(tmp_path / "home", limited(upstream, day={"dollars": 0})) as lynkr:
        body = {"model": "auto-route", "input": "hi"}
        async with lynkr.http.post(f"{lynkr.url}/v1/responses", json=body) as response:
            assert response.status == 400
            error = (await response.json())["error"]
        assert (error["type"], error["code"]) == ("insufficient_quota", "budget")
        assert "The budget of the day is used up" in error["message"]
        assert not upstream.bodies


async def test_a_conversation_that_its_client_does_not_name_keeps_its_budget_over_a_restart(
    tmp_path: Path, upstream: OpenAIServer
) -> None:
    home, config = tmp_path / "home", limited(upstream, session={"tokens": 1})
    said = [
        {"role": "user", "content": "Mend the parser."},
        {"role": "assistant", "content": "It is mended."},
        {"role": "user", "content": "Now test it."},
    ]

    async def go_on(lynkr: Running) -> tuple[int, Any]:
        body = {"model": "auto-route", "max_tokens": 9, "messages": said}
        async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body) as response:
            return response.status, await response.json()

    async with engine_in_process(home, config) as lynkr:
        assert (await go_on(lynkr))[0] == 200
        [row] = await lynkr.rows()
    async with engine_in_process(home, config) as lynkr:
        status, answer = await go_on(lynkr)
        assert status == 402
        assert f"lynkr budgets reset session {row['session']}" in answer["error"]["message"]
        await lynkr.admin("POST", "budgets/reset", {"scope": "session", "name": row["session"]})
        assert (await go_on(lynkr))[0] == 200
