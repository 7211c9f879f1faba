"""A session that outgrew its model's window, through the whole engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.fakes.openai import OpenAIFake
from tests.support.script import Call, Reply, Say

MODEL = "openai/gpt-4"
WINDOW = 8_192
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "read", "description": "Reads.", "parameters": SCHEMA}}


def turns(rounds: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": "Rename total to sum everywhere."},
    ]
    for number in range(rounds):
        function = {"name": "read", "arguments": f'{{"path":"part_{number}.py"}}'}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        text = "\n".join(f"{number}: total_{line} = part({line})" for line in range(60))
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})
    return messages


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, openai: OpenAIFake) -> AsyncIterator[Running]:
    config = config_for("http://127.0.0.1:9", optimization={"pipeline": ["sliding_window_history"]})
    config["providers"]["openai"] = {"base_url": f"{openai.url}/v1"}
    async with engine_in_process(
        tmp_path / "home", config, {"OPENAI_API_KEY": "sk-test-0123456789"}
    ) as running:
        yield running


async def ask(lynkr: Running, rounds: int, **more: Any) -> dict[str, Any]:
    body = {"model": MODEL, "messages": turns(rounds), "tools": [TOOL], **more}
    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body) as response:
        answer: dict[str, Any] = await response.json()
        assert response.status == 200, answer
        return answer


async def test_it_fits_and_the_model_may_have_back_what_was_left_out(
    lynkr: Running, openai: OpenAIFake
) -> None:
    await ask(lynkr, 40)
    sent = openai.asked[-1].json["messages"]
    whole = turns(40)
    assert sum(len(str(message)) for message in sent) < WINDOW * 4
    assert sent[0] == whole[0]
    assert whole[1]["content"] in str(sent[1])
    assert sent[-2:] == whole[-2:]
    place = next(m["content"] for m in sent if m["role"] == "tool" and "lynkr:" in m["content"])
    path = place.split('"')[1]
    openai.replies += (Reply((Call("read", {"path": path}),)), Reply((Say("Renamed."),)))
    answer = await ask(lynkr, 40, prompt_cache_key="mine")
    assert answer["choices"][0]["message"]["content"] == "Renamed."
    restored = openai.asked[-1].json["messages"][-1]["content"]
    assert restored in {message["content"] for message in whole}
    # What only OpenAI knows goes along each time, and nothing of what went before is sent otherwise.
    first, second = (asked.json for asked in openai.asked[-2:])
    assert first["prompt_cache_key"] == second["prompt_cache_key"] == "mine"
    assert second["messages"][: len(first["messages"])] == first["messages"] == sent


async def test_between_two_cuts_each_turn_begins_as_the_one_before(
    lynkr: Running, openai: OpenAIFake
) -> None:
    sent: list[list[dict[str, Any]]] = []
    for rounds in range(20, 50):
        await ask(lynkr, rounds)
        sent.append(openai.asked[-1].json["messages"])
    moves = sum(later[: len(one)] != one for one, later in pairwise(sent))
    assert moves <= 8


async def test_where_nothing_could_be_had_back_nothing_is_left_out(
    lynkr: Running, openai: OpenAIFake
) -> None:
    await ask(lynkr, 40, tool_choice="none")
    assert openai.asked[-1].json["messages"] == turns(40)
