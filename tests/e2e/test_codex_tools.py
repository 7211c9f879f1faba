"""Codex's tools of kinds that only OpenAI has, with models that have never heard of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.codex import run_codex
from tests.support.fakes.openai import OpenAIFake
from tests.support.ollama_models import FakeModel
from tests.support.ollama_server import OllamaServer
from tests.support.proxy import running_proxy
from tests.support.script import ErrorLine, Reply, Say, text, tool_call

PATCH = "*** Begin Patch\n*** Update File: a.py\n@@\n-x = 1\n+x = 2\n*** End Patch\n"
RUN_PATCH = f"text(await tools.apply_patch({PATCH!r}));\n"
CONFIG = """
providers:
  {provider}
routing:
  tiers:
    simple: {{providers: [{model}], max_complexity: 1.0}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a file to change."""
    work = tmp_path / "home" / "work"
    work.mkdir(parents=True)
    (work / "a.py").write_text("x = 1\n", encoding="utf-8")
    return work.parent


def check(home: Path, events: Any) -> None:
    assert (home / "work" / "a.py").read_text(encoding="utf-8") == "x = 2\n"
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    [change] = [item for item in items if item["type"] == "file_change"]
    assert change["status"] == "completed"
    assert items[-1]["text"] == "It is two now."
    assert events[-1]["type"] == "turn.completed"


@pytest.mark.parametrize(
    ("model", "tool", "argument"),
    [("gpt-5.5", "apply_patch", PATCH), ("gpt-6.1-sol", "exec", RUN_PATCH)],
)
async def test_freeform_tools_through_ollama(
    home: Path, tmp_path: Path, model: str, tool: str, argument: str
) -> None:
    """What Codex believes its model to be decides on its tools; the model behind is another."""

    def answer(body: dict[str, Any]) -> Reply:
        results = [message for message in body["messages"] if message["role"] == "tool"]
        if results:
            return text("It is two now.")
        offered = {entry["function"]["name"]: entry["function"] for entry in body["tools"]}
        assert offered[tool]["parameters"]["required"] == ["input"]
        return tool_call(tool, {"input": argument})

    async with OllamaServer(FakeModel("qwen3:8b", context_length=131072)) as ollama:
        ollama.answer = answer
        provider = f"ollama: {{base_url: {ollama.url}, max_context: 131072}}"
        with running_proxy(
            tmp_path / "proxy", CONFIG.format(provider=provider, model="ollama/auto")
        ) as proxy:
            check(home, await run_codex(proxy, home, "Set x to 2 in a.py", model=model))


async def test_freeform_tools_through_openai(home: Path, tmp_path: Path) -> None:
    """OpenAI knows them: its own items go to Codex untouched."""
    async with OpenAIFake() as openai:
        openai.replies += [tool_call("apply_patch", {"input": PATCH}), text("It is two now.")]
        provider = f"openai: {{base_url: {openai.url}/v1}}"
        with running_proxy(
            tmp_path / "proxy", CONFIG.format(provider=provider, model="openai/gpt-5.5")
        ) as proxy:
            check(home, await run_codex(proxy, home, "Set x to 2 in a.py", model="gpt-5.5"))
    assert {asked.path for asked in openai.asked} == {"/v1/responses"}
    last = openai.asked[-1].json["input"]
    assert [item["type"] for item in last[-2:]] == ["custom_tool_call", "custom_tool_call_output"]


async def test_a_fault_reaches_the_person_at_codex(home: Path, tmp_path: Path) -> None:
    """Codex asks again where a stream breaks, and tells what was wrong when that does not help."""
    async with OllamaServer(FakeModel("qwen3:8b", context_length=131072)) as ollama:
        ollama.answer = lambda _body: Reply((Say("Half a"), ErrorLine("the runner has stopped")))
        provider = f"ollama: {{base_url: {ollama.url}}}"
        with running_proxy(
            tmp_path / "proxy", CONFIG.format(provider=provider, model="ollama/auto")
        ) as proxy:
            retries = ("-c", "model_providers.lynkr.stream_max_retries=1")
            with pytest.raises(AssertionError, match="the runner has stopped"):
                await run_codex(proxy, home, *retries, "Set x to 2 in a.py")
    assert len(ollama.chats) == 2
