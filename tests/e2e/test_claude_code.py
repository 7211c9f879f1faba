"""The real Claude Code CLI through the real proxy: to an Ollama, and to a model that really runs here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.claude import run_claude
from tests.support.models import install_model
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import running_proxy
from tests.support.script import Reply, text, tool_call

MODEL_TIMEOUT_S = 480


def prompt_tokens(usage: dict[str, Any]) -> int:
    """All tokens that the CLI says it sent."""
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(usage.get(name) or 0 for name in names)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a small project in it."""
    work = tmp_path / "home" / "work"
    work.mkdir(parents=True)
    (work / "a.py").write_text("def area(radius):\n    return 3.14159 * radius**2\n", encoding="utf-8")
    return work.parent


async def test_through_ollama_with_a_tool(home: Path, tmp_path: Path) -> None:
    """It asks what a.py does; the model reads the file by the CLI's own tool, then answers."""

    def answer(body: dict[str, Any]) -> Reply:
        results = [message for message in body["messages"] if message["role"] == "tool"]
        if results:
            assert "3.14159" in results[-1]["content"]
            return text("It computes", " the area", " of a circle.")
        if body.get("tools"):
            return tool_call("Read", {"file_path": str(home / "work" / "a.py")}, before="I read it.")
        return text("A title")

    async with OllamaServer(FakeModel("qwen3:8b", context_length=40960)) as ollama:
        ollama.answer = answer
        config = f"""
providers:
  ollama: {{base_url: {ollama.url}}}
routing:
  tiers:
    simple: {{providers: [ollama/auto], max_complexity: 1.0}}
"""
        with running_proxy(tmp_path / "proxy", config) as proxy:
            printed = await run_claude(proxy, home, "What does a.py do?")
            records = await asyncio.to_thread(proxy.records, len(ollama.chats))
            usage = json.loads(await asyncio.to_thread(proxy.command, "usage", "--json"))
    assert printed["is_error"] is False
    assert printed["subtype"] == "success"
    assert printed["result"] == "It computes the area of a circle."
    assert printed["num_turns"] == 2
    # The whole prompt reached the model, far beyond the window that Ollama takes by itself.
    main = [chat for chat in ollama.chats if chat.body.get("tools")]
    assert all(chat.prompt_tokens > 4096 for chat in main)
    assert all(chat.evaluated == chat.prompt_tokens for chat in ollama.chats)
    assert len({num_ctx for _, num_ctx in ollama.loads}) == len(ollama.loads)
    assert prompt_tokens(printed["usage"]) == sum(chat.evaluated for chat in main)
    assert printed["usage"]["output_tokens"] > 0
    assert len(records) == len(ollama.chats)
    assert {record["status"] for record in records} == {200}
    assert sum(record["input_tokens"] for record in records) == sum(chat.evaluated for chat in ollama.chats)
    assert usage["totals"]["requests"] == len(records)
    assert usage["totals"]["input_tokens"] == sum(record["input_tokens"] for record in records)


async def test_through_the_embedded_gemma_and_again_from_its_prefix_cache(home: Path, tmp_path: Path) -> None:
    """A real model reads a prompt of an agent's size and answers; the second turn finds it in the cache.

    Gemma 270M cannot call tools and is not given the CLI's, three quarters of its prompt; a piped file makes
    up for them. As a base model it does not end its answers: the provider ends them after 200 tokens.
    """
    install_model(tmp_path / "proxy" / "models")
    config = """
routing:
  tiers:
    simple: {providers: [embedded/gemma-3-270m], max_complexity: 1.0}
"""
    source = "\n".join(f"def square_{n}(side):\n    return side * side + {n}\n" for n in range(760))
    with running_proxy(tmp_path / "proxy", config) as proxy:
        first = await run_claude(proxy, home, "What is this?", piped=source, within=MODEL_TIMEOUT_S)
        second = await run_claude(proxy, home, "Say it again.", "--continue", within=MODEL_TIMEOUT_S)
        later, earlier = await asyncio.to_thread(proxy.records, 2)
    for printed, record in ((first, earlier), (second, later)):
        assert printed["is_error"] is False
        assert printed["subtype"] == "success"
        assert printed["result"]
        assert (record["status"], record["provider"], record["estimated"]) == (200, "embedded", False)
        assert record["input_tokens"] == prompt_tokens(printed["usage"]) > 15_000
        assert record["output_tokens"] == printed["usage"]["output_tokens"] > 0
    assert earlier["session"] == later["session"] == first["session_id"] == second["session_id"]
    assert earlier["cached_tokens"] == 0
    assert later["cached_tokens"] == second["usage"]["cache_read_input_tokens"]
    assert later["cached_tokens"] > 0.95 * earlier["input_tokens"]
    assert later["ttft_ms"] < earlier["ttft_ms"] / 4
