"""Tool calls that a model writes as text, through the whole engine: real calls for every client protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.fakes.openai import OpenAIFake
from tests.support.script import Reply, Say

SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
OPENAI_TOOL = {"type": "function", "function": {"name": "read_file", "parameters": SCHEMA}}
ANTHROPIC_TOOL = {"name": "read_file", "input_schema": SCHEMA}
CALL = ("I look. <tool", "_call>\n", '{"name": "read_file", "argu', 'ments": {"path": "a.py"}}\n</tool_call>')


@pytest.fixture
async def fake() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as server:
        yield server


@pytest.fixture
async def lynkr(tmp_path: Path, fake: OpenAIFake) -> AsyncIterator[Running]:
    async with engine_in_process(tmp_path / "home", config_for(f"{fake.url}/v1")) as running:
        yield running


def said(*pieces: str) -> Reply:
    return Reply(tuple(map(Say, pieces)))


async def stream(lynkr: Running, path: str, **fields: Any) -> list[dict[str, Any]]:
    """The decoded events of a stream."""
    body = {"model": "fake/m", "stream": True, "messages": [{"role": "user", "content": "x"}], **fields}
    async with lynkr.http.post(lynkr.url + path, json=body) as response:
        assert response.status == 200
        text = await response.text()
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def test_a_stream_of_the_same_protocol_turns_to_a_real_call(lynkr: Running, fake: OpenAIFake) -> None:
    fake.replies.append(said(*CALL))
    chunks = await stream(lynkr, "/v1/chat/completions", tools=[OPENAI_TOOL])
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas).strip() == "I look."
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert calls[0]["function"]["name"] == "read_file"
    assert json.loads("".join(call["function"].get("arguments", "") for call in calls)) == {"path": "a.py"}
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-9"}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["tool_calls"]


async def test_a_stream_of_another_protocol_turns_to_a_real_call(lynkr: Running, fake: OpenAIFake) -> None:
    fake.replies.append(said(*CALL))
    events = await stream(lynkr, "/v1/messages", max_tokens=99, tools=[ANTHROPIC_TOOL])
    started = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert [block["type"] for block in started] == ["text", "tool_use"]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_an_answer_in_one_piece_turns_to_a_real_call(
    lynkr: Running, fake: OpenAIFake, path: str
) -> None:
    fake.replies.append(said('{"name": "read_file", "arguments": {"path": "a.py"}}'))
    tool = ANTHROPIC_TOOL if path == "/v1/messages" else OPENAI_TOOL
    _, body = await lynkr.ask(model="fake/m", path=path, tools=[tool])
    if path == "/v1/messages":
        assert body["stop_reason"] == "tool_use"
        assert [(block["type"], block["input"]) for block in body["content"]] == [
            ("tool_use", {"path": "a.py"})
        ]
    else:
        [call] = body["choices"][0]["message"]["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"path": "a.py"}
        assert body["choices"][0]["finish_reason"] == "tool_calls"


LOOK_ALIKES = [
    pytest.param(CALL, [], id="no tool was offered"),
    pytest.param(
        ('<tool_call>{"name": "delete_all", "arguments": {}}</tool_call>',), [OPENAI_TOOL], id="another tool"
    ),
    pytest.param(
        ('It writes `<tool_call>{"name": "read_file", "arguments": {"path": "a"}}</tool_call>`, for one.',),
        [OPENAI_TOOL],
        id="an example",
    ),
    pytest.param(("a <tool of the trade", " and < more"), [OPENAI_TOOL], id="the beginning of a mark"),
]


@pytest.mark.parametrize(("pieces", "tools"), LOOK_ALIKES)
async def test_look_alikes_come_back_byte_for_byte(
    lynkr: Running, fake: OpenAIFake, pieces: tuple[str, ...], tools: list[Any]
) -> None:
    fake.default = said(*pieces)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    body |= {"tools": tools} if tools else {}
    async with lynkr.http.post(f"{fake.url}/v1/chat/completions", json=body) as direct:
        wanted = await direct.read()
    async with lynkr.http.post(f"{lynkr.url}/v1/chat/completions", json=body) as through:
        assert await through.read() == wanted
