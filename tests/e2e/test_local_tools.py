"""The built-in Qwen2.5-Coder, which writes its tool calls as text, with Anthropic's and OpenAI's clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pytest

from lynkr_desktop.engine.providers.embedded.catalog import QWEN
from tests.support.models import install_model
from tests.support.proxy import Proxy, running_proxy

MODEL = f"embedded/{QWEN.id}"
QUESTION = "What does a.py do?"
SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string", "description": "Path of the file"}},
    "required": ["path"],
}
DESCRIPTION = "Read a file from the workspace"
ANTHROPIC_TOOL: Any = {"name": "read_file", "description": DESCRIPTION, "input_schema": SCHEMA}
OPENAI_TOOL: Any = {
    "type": "function",
    "function": {"name": "read_file", "description": DESCRIPTION, "parameters": SCHEMA},
}
FILE = (
    "import smtplib\n\ndef main():\n    smtplib.SMTP('localhost').sendmail('a@b.org', 'c@d.org', 'hello')\n"
)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    home = tmp_path_factory.mktemp("proxy")
    install_model(home / "models", QWEN.id)
    config = f"""
embedded: {{model: {QWEN.id}, context: 4096}}
routing:
  tiers:
    simple: {{providers: [embedded/auto], max_complexity: 1.0}}
"""
    with running_proxy(home, config) as running:
        yield running


@pytest.fixture
async def claude(proxy: Proxy) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=proxy.url, auth_token=proxy.token, api_key=None, max_retries=0, timeout=180
    ) as client:
        yield client


@pytest.fixture
async def gpt(proxy: Proxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{proxy.url}/v1", api_key=proxy.token, max_retries=0, timeout=180
    ) as client:
        yield client


async def test_anthropic_client_gets_a_tool_call_and_gives_its_result(
    claude: anthropic.AsyncAnthropic,
) -> None:
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    asked: Any = {
        "model": MODEL,
        "max_tokens": 200,
        "tools": [ANTHROPIC_TOOL],
        "extra_body": {"temperature": 0},
    }
    async with claude.messages.stream(messages=messages, **asked) as stream:
        first = await stream.get_final_message()
    assert first.stop_reason == "tool_use"
    [block] = first.content
    assert block.type == "tool_use"
    assert (block.name, block.input) == ("read_file", {"path": "a.py"})
    messages += [
        {"role": "assistant", "content": [item.model_dump() for item in first.content]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": block.id, "content": FILE},
                # Left to itself, so small a model calls again and again.
                {"type": "text", "text": "Now answer in one sentence."},
            ],
        },
    ]
    second = await claude.messages.create(messages=messages, **asked)
    assert second.stop_reason == "end_turn"
    said = "".join(item.text for item in second.content if item.type == "text")
    assert "mail" in said.lower()


@pytest.mark.parametrize("streamed", [True, False])
async def test_openai_client_gets_a_tool_call(gpt: openai.AsyncOpenAI, streamed: bool) -> None:
    """Its bytes would otherwise be passed on as llama.cpp wrote them."""
    asked: Any = {
        "model": MODEL,
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": [OPENAI_TOOL],
        "temperature": 0,
        "max_tokens": 200,
    }
    if streamed:
        async with gpt.chat.completions.stream(**asked) as stream:
            completion: Any = await stream.get_final_completion()
    else:
        completion = await gpt.chat.completions.create(**asked)
    [choice] = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    [call] = choice.message.tool_calls
    assert call.id
    assert call.function.name == "read_file"
    assert json.loads(call.function.arguments) == {"path": "a.py"}


async def test_an_answer_without_a_call_is_text(gpt: openai.AsyncOpenAI) -> None:
    completion = await gpt.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Explain in one sentence what a Python decorator is."}],
        tools=[OPENAI_TOOL],
        temperature=0,
        max_tokens=100,
    )
    assert completion.choices[0].finish_reason == "stop"
    assert "function" in (completion.choices[0].message.content or "")
    assert not completion.choices[0].message.tool_calls
