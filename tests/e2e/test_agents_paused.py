"""The real Claude Code and Codex with a model that goes round in circles: paused, resumed, at work."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.claude import run_claude
from tests.support.codex import run_codex
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import Proxy, running_proxy
from tests.support.script import Reply, text, tool_call


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an empty project in it."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    return tmp_path / "home"


def config_of(ollama: OllamaServer) -> str:
    return f"""
providers:
  ollama: {{base_url: {ollama.url}}}
routing:
  tiers:
    simple: {{providers: [ollama/auto], max_complexity: 1.0}}
"""


def words_of(body: dict[str, Any]) -> str:
    return " ".join(str(message.get("content", "")) for message in body["messages"])


async def sessions(proxy: Proxy) -> list[dict[str, Any]]:
    listed = await asyncio.to_thread(proxy.command, "sessions", "--json")
    found: list[dict[str, Any]] = json.loads(listed)["sessions"]
    return found


async def test_claude_code_is_paused_after_fifteen_failures(home: Path, tmp_path: Path) -> None:
    """Its user reads why, the requests stop at once, and after `lynkr sessions resume` it works again."""
    asked = 0

    def answer(body: dict[str, Any]) -> Reply:
        nonlocal asked
        if not body.get("tools"):
            return text("A title")
        if "take the other way" in words_of(body):
            return text("I took the other way.")
        asked += 1
        return tool_call("Bash", {"command": f"exit {asked}", "description": f"Try {asked}"})

    async with OllamaServer(FakeModel("qwen3:8b", context_length=200_000)) as ollama:
        ollama.answer = answer
        with running_proxy(tmp_path / "proxy", config_of(ollama)) as proxy:
            free = "--dangerously-skip-permissions"
            first = await run_claude(proxy, home, "Build it", free, code=1)
            assert first["is_error"] is True
            assert "15 actions failed in a row" in first["result"]
            name = first["session_id"]
            assert f"lynkr sessions resume {name}" in first["result"]
            assert asked == 15, "it was paused before another one, and was not tried again"
            (session,) = await sessions(proxy)
            assert (session["id"], session["state"]) == (name, "paused")
            assert (session["cause"], session["client"]) == ("failed_actions", "Claude Code")
            assert session["title"] == "Build it"
            # A prompt alone does not let it go on.
            refused = await run_claude(proxy, home, "Go on", free, "--resume", name, code=1)
            assert "15 actions failed in a row" in refused["result"]
            assert asked == 15
            printed = await asyncio.to_thread(proxy.command, "sessions", "resume", name[:8])
            assert printed == f"{name} goes on.\n"
            second = await run_claude(proxy, home, "Please take the other way", free, "--resume", name)
    assert second["result"] == "I took the other way."


async def test_codex_shows_why_it_is_paused_and_does_not_try_again(home: Path, tmp_path: Path) -> None:
    """The same command with the same output, four times."""
    asked = 0

    def answer(body: dict[str, Any]) -> Reply:
        nonlocal asked
        names = [tool["function"]["name"] for tool in body.get("tools", ())]
        if "exec_command" in names:
            asked += 1
            return tool_call("exec_command", {"cmd": "echo the same"})
        if "shell_command" in names:
            asked += 1
            return tool_call("shell_command", {"command": "echo the same"})
        if "shell" in names:
            asked += 1
            return tool_call("shell", {"command": ["bash", "-lc", "echo the same"]})
        return text("A title")

    async with OllamaServer(FakeModel("qwen3:8b", context_length=200_000)) as ollama:
        ollama.answer = answer
        with running_proxy(tmp_path / "proxy", config_of(ollama)) as proxy:
            events = await run_codex(proxy, home, "Say it", code=1)
            failed = [event for event in events if event["type"] == "turn.failed"]
            (session,) = await sessions(proxy)
    assert asked == 4
    assert len(failed) == 1
    assert "the same action gave the same output 4 times in a row" in failed[0]["error"]["message"]
    assert f"lynkr sessions resume {session['id']}" in failed[0]["error"]["message"]
    assert not [event for event in events if "Reconnecting" in str(event.get("message", ""))]
    assert (session["state"], session["cause"], session["client"]) == ("paused", "same_action", "Codex")
