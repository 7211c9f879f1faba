"""The real Claude Code works on a task, and what it meets is concluded of the decision at its beginning."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.support.claude import run_claude
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import running_proxy
from tests.support.script import Reply, text, tool_call

ASK = "Run the tests of this project and tell me how they end"
SUMMARY = "=== 2 failed, 5 passed in 0.10s ==="


async def test_what_claude_code_meets_is_concluded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    (home / "work" / "summary.txt").write_text(SUMMARY + "\n")

    def answer(body: dict[str, Any]) -> Reply:
        if not body.get("tools"):
            return text("A title")
        if body["messages"][-1]["role"] == "tool":
            return text("Two of them fail.")
        return tool_call("Bash", {"command": "cat summary.txt", "description": "Run the tests"})

    async with OllamaServer(FakeModel("qwen3:8b", context_length=40960)) as ollama:
        ollama.answer = answer
        config = f"""
providers:
  ollama: {{base_url: {ollama.url}}}
routing:
  tiers:
    simple: {{providers: [ollama/auto], max_complexity: 0.35}}
    complex: {{providers: [ollama/auto], max_complexity: 1.0}}
"""
        with running_proxy(tmp_path / "proxy", config) as proxy:
            await run_claude(proxy, home, ASK, "--allowedTools", "Bash")
            await run_claude(proxy, home, "It still does not work", "--continue", "--allowedTools", "Bash")
            listed = await asyncio.to_thread(proxy.command, "route", "list", "--json")
            misrouted = await asyncio.to_thread(proxy.command, "route", "list", "--misrouted")
    rows = json.loads(listed)
    first = next(row for row in rows if row["title"] == ASK and row["task"] == row["id"])
    assert first["outcome"]["tests"] == "failed"
    assert (first["outcome"]["tests_passed"], first["outcome"]["tests_failed"]) == (5, 2)
    assert first["outcome"]["retried"] == 1
    assert first["verdict"] == "under"
    assert sum(row["task"] == first["id"] for row in rows) == 2, "the ask and the turn with the result"
    assert first["id"] in misrouted
    assert all(row["task"] == "" for row in rows if row["side"])
