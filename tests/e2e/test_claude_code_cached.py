"""The real Claude Code CLI, answered from the response cache for as long as its project is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.claude import run_claude
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import running_proxy
from tests.support.script import Reply, text, tool_call

ANSWER = "It computes the area of a circle."


async def test_the_same_session_again_asks_no_model_until_a_file_changes(tmp_path: Path) -> None:
    work = tmp_path / "home" / "work"
    work.mkdir(parents=True)
    source = work / "a.py"
    source.write_text("def area(radius):\n    return 3.14159 * radius**2\n", encoding="utf-8")

    def answer(body: dict[str, Any]) -> Reply:
        if any(message["role"] == "tool" for message in body["messages"]):
            return text("It computes", " the area", " of a circle.")
        if body.get("tools"):
            return tool_call("Read", {"file_path": str(source)}, before="I read it.")
        return text("A title")

    async with OllamaServer(FakeModel("qwen3:8b", context_length=40960)) as ollama:
        ollama.answer = answer
        config = f"""
providers:
  ollama: {{base_url: {ollama.url}}}
routing:
  tiers:
    simple: {{providers: [ollama/auto], max_complexity: 1.0}}
optimization:
  pipeline: [sha256_lru_cache]
  cache: {{max_temperature: 1}}
"""
        with running_proxy(tmp_path / "proxy", config) as proxy:

            async def asked() -> int:
                """How often a session asks the model."""
                before = len(ollama.chats)
                printed = await run_claude(proxy, work.parent, "What does a.py do?")
                assert (printed["result"], printed["num_turns"]) == (ANSWER, 2)
                return len(ollama.chats) - before

            assert await asked() == 2
            # Nothing is stored before the folder is indexed, which the first session began.
            for _ in range(5):
                if await asked() == 0:
                    break
            assert await asked() == 0
            source.write_text("def area(radius):\n    return 3.1416 * radius**2\n", encoding="utf-8")
            assert await asked() > 0
