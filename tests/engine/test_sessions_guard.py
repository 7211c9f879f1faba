"""Sessions through the engine: paused by the guard in every protocol, resumed, reset and ended by a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import Running, config_for, engine_in_process
from tests.support.openai_server import OpenAIServer, openai_server

PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "ollama": "/api/chat",
}


@pytest.fixture
async def fake() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


def conversation(
    protocol: str, results: list[str], ask: str = "Fix the build", after: str = ""
) -> dict[str, Any]:
    """A request whose tool was called once for each result."""
    if protocol == "responses":
        items: list[dict[str, Any]] = [{"role": "user", "content": ask}]
        for number, result in enumerate(results):
            call = {"type": "function_call", "call_id": f"c{number}", "name": "shell"}
            items.append({**call, "arguments": f'{{"command": "make step{number}"}}'})
            items.append({"type": "function_call_output", "call_id": f"c{number}", "output": result})
        if after:
            items.append({"role": "user", "content": after})
        tools = [{"type": "function", "name": "shell", "parameters": {"type": "object"}}]
        return {"model": "auto-route", "input": items, "tools": tools}
    schema = {"name": "shell", "parameters": {"type": "object"}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": ask}]
    for number, result in enumerate(results):
        arguments = {"command": f"make step{number}"}
        if protocol == "anthropic":
            use = {"type": "tool_use", "id": f"toolu_{number}", "name": "shell", "input": arguments}
            messages.append({"role": "assistant", "content": [use]})
            back = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": result}
            messages.append({"role": "user", "content": [back]})
        elif protocol == "chat":
            called = {"name": "shell", "arguments": f'{{"command": "make step{number}"}}'}
            calls = [{"id": f"c{number}", "type": "function", "function": called}]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": result})
        else:
            calls = [{"function": {"name": "shell", "arguments": arguments}}]
            messages.append({"role": "assistant", "content": "", "tool_calls": calls})
            messages.append({"role": "tool", "content": result})
    if after:
        messages.append({"role": "user", "content": after})
    body: dict[str, Any] = {"model": "auto-route", "messages": messages, "stream": False}
    if protocol == "anthropic":
        tool = {"name": "shell", "input_schema": {"type": "object"}}
        return {**body, "max_tokens": 100, "tools": [tool]}
    return {**body, "tools": [{"type": "function", "function": schema}]}


async def send(
    running: Running, protocol: str, body: dict[str, Any], session: str = "sess-1"
) -> tuple[int, Any]:
    headers = {"x-lynkr-session": session} if session else {}
    async with running.http.post(running.url + PATHS[protocol], json=body, headers=headers) as response:
        return response.status, await response.json()


def failures(count: int) -> list[str]:
    return [f"Exit code {number + 1}\nmake: *** step{number}" for number in range(count)]


def message_of(protocol: str, answer: Any) -> str:
    error = answer["error"]
    return error if isinstance(error, str) else error["message"]


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize("session", ["sess-1", ""])
async def test_paused_at_the_fifteenth_failure_and_resumed(
    tmp_path: Path, fake: OpenAIServer, protocol: str, session: str
) -> None:
    async with engine_in_process(tmp_path, config_for(fake.url)) as running:
        status, _ = await send(running, protocol, conversation(protocol, failures(14)), session)
        assert status == 200
        status, answer = await send(running, protocol, conversation(protocol, failures(15)), session)
        assert status == 400
        told = message_of(protocol, answer)
        assert "15 actions failed in a row" in told
        paused = (await running.admin("GET", "status"))["sessions_paused"]
        assert [entry["cause"] for entry in paused] == ["failed_actions"]
        name = paused[0]["id"]
        assert f"lynkr sessions resume {name}" in told
        # A person speaks to the agent: it stays paused until it is resumed.
        body = conversation(protocol, failures(15), after="Try something else")
        status, _ = await send(running, protocol, body, session)
        assert status == 400
        row = await running.admin("POST", f"sessions/{name}/resume")
        assert (row["state"], row["cause"], row["since"]) == ("running", "", None)
        status, _ = await send(running, protocol, conversation(protocol, failures(15)), session)
        assert status == 200
        status, _ = await send(running, protocol, conversation(protocol, failures(29)), session)
        assert status == 200
        status, _ = await send(running, protocol, conversation(protocol, failures(30)), session)
        assert status == 400
