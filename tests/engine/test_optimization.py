"""Shortened prompts through the whole engine: what goes out, what comes back, and what is told of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run_lynkr
from tests.support.engine import Running, config_for, engine_in_process
from tests.support.fakes.anthropic import AnthropicFake
from tests.support.fakes.openai import OpenAIFake
from tests.support.script import Call, Reply, Say

PASSED = "".join(
    f"tests/test_part_{number}.py::test_case_{number} PASSED   [{number // 4}%]\n" for number in range(400)
)
FAILURE = """=================================== FAILURES ===================================
___________________________________ test_sum ___________________________________

    def test_sum():
>       assert total(rows) == 4712
E       AssertionError: totals differ: 4711 != 4712

tests/test_totals.py:12: AssertionError
=========================== short test summary info ============================
FAILED tests/test_totals.py::test_sum - AssertionError: totals differ: 4711 != 4712
======================== 1 failed, 400 passed in 9.31s =========================
"""
LOG = f"============================= test session starts ==============================\n{PASSED}{FAILURE}"
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
PIPELINE = {"optimization": {"pipeline": ["distill_compression"]}}


def messages_body(**more: Any) -> dict[str, Any]:
    """A turn of an agent by Anthropic Messages: a command was run, and its output came back."""
    return {
        "max_tokens": 100,
        "service_tier": "auto",
        "system": [{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "Bash", "description": "runs", "input_schema": SCHEMA}],
        "messages": [
            {"role": "user", "content": "why is it red?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "make test"}}
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": LOG}],
            },
        ],
        **more,
    }


@pytest.fixture
async def anthropic() -> AsyncIterator[AnthropicFake]:
    async with AnthropicFake() as server:
        yield server


@pytest.fixture
async def openai() -> AsyncIterator[OpenAIFake]:
    async with OpenAIFake() as server:
        yield server


def config_of(anthropic: AnthropicFake, openai: OpenAIFake) -> dict[str, Any]:
    config = config_for(f"{openai.url}/v1", **PIPELINE)
    config["providers"]["anthropic"] = {"base_url": anthropic.url}
    return config


@pytest.fixture
async def lynkr(tmp_path: Path, anthropic: AnthropicFake, openai: OpenAIFake) -> AsyncIterator[Running]:
    environ = {"ANTHROPIC_API_KEY": "sk-ant-test-0123456789"}
    async with engine_in_process(tmp_path / "home", config_of(anthropic, openai), environ) as running:
        yield running


async def post(
    lynkr: Running, body: dict[str, Any], *, path: str = "/v1/messages", **headers: str
) -> tuple[dict[str, str], str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with lynkr.http.post(lynkr.url + path, json=body, headers=named) as response:
        text = await response.text()
        assert response.status == 200, text
        return dict(response.headers), text


async def begun(lynkr: Running, body: dict[str, Any]) -> None:
    """Sends the first turn of a conversation, as agents do before there is any result."""
    await post(lynkr, {**body, "messages": body["messages"][:1]})


async def test_the_result_goes_out_shorter_and_all_else_as_it_came(
    lynkr: Running, anthropic: AnthropicFake
) -> None:
    body = messages_body(model="anthropic/claude-haiku-4-5")
    await begun(lynkr, body)
    headers, _ = await post(lynkr, body)
    sent = anthropic.asked[-1].json
    result = sent["messages"][2]["content"][0]
    assert result["tool_use_id"] == "toolu_1"
    assert "4711 != 4712" in json.dumps(result)
    assert "tests/test_totals.py::test_sum" in json.dumps(result)
    assert len(json.dumps(result)) < len(LOG) / 4
    assert sent["system"] == body["system"]
    assert sent["messages"][:2] == body["messages"][:2]
    assert sent["service_tier"] == "auto"
    assert sent["tools"] == body["tools"]
    assert int(headers["x-lynkr-tokens-saved"]) > 1000
    row, _ = await lynkr.rows()
    assert row["saved_tokens"] == int(headers["x-lynkr-tokens-saved"])


async def test_a_conversation_that_comes_with_its_past_is_given_a_tool_and_keeps_it(
    lynkr: Running, anthropic: AnthropicFake
) -> None:
    """No provider has the beginning of its prompt in a cache, so that a tool in front of it costs little."""
    body = messages_body(model="anthropic/claude-haiku-4-5")
    await post(lynkr, body)
    later = [{"role": "assistant", "content": "One test fails."}, {"role": "user", "content": "which?"}]
    await post(lynkr, {**body, "messages": [*body["messages"], *later]})
    first, second = (asked.json for asked in anthropic.asked)
    assert [tool["name"] for tool in first["tools"]] == ["Bash", "lynkr_restore"]
    assert second["tools"] == first["tools"]
    assert second["messages"][:3] == first["messages"]
    [path] = re.findall(r"lynkr:r_[0-9a-f]{12}", json.dumps(second["messages"]))
    anthropic.replies += [Reply((Call("lynkr_restore", {"id": path}),)), Reply((Say("test_sum."),))]
    await post(lynkr, {**body, "messages": [*body["messages"], *later, *later]})
    assert LOG in json.dumps(anthropic.asked[-1].json).encode().decode("unicode_escape")


async def test_a_request_may_switch_it_off_or_choose_other_stages(
    lynkr: Running, anthropic: AnthropicFake
) -> None:
    body = messages_body(model="anthropic/claude-haiku-4-5")
    headers, _ = await post(lynkr, body, x_lynkr_optimize="off")
    assert anthropic.asked[-1].json == {**body, "model": "claude-haiku-4-5"}
    assert headers["x-lynkr-tokens-saved"] == "0"
    async with lynkr.http.post(
        lynkr.url + "/v1/messages", json=body, headers={"x-lynkr-optimize": "magic"}
    ) as response:
        assert response.status == 400
        assert "magic" in (await response.json())["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "fake/m"])
async def test_what_the_model_asks_back_is_answered_inside(
    lynkr: Running, anthropic: AnthropicFake, openai: OpenAIFake, model: str, stream: bool
) -> None:
    fake = anthropic if model.startswith("anthropic") else openai
    await post(lynkr, messages_body(model=model))
    found = re.search(r"r_[0-9a-f]{12}", fake.asked[-1].body.decode())
    assert found is not None
    handle = found[0]
    fake.replies.append(Reply((Say("I look. "), Call("Bash", {"command": f"cat lynkr:{handle}"}))))
    fake.replies.append(Reply((Say("The totals differ."),)))
    _, answer = await post(lynkr, messages_body(model=model, stream=stream))
    assert "I look." in answer
    assert "The totals differ." in answer
    assert "lynkr:" not in answer
    again = fake.asked[-1].json["messages"]
    assert "test_case_200 PASSED" in json.dumps(again[-1])
    view = await lynkr.admin("GET", f"requests/{(await lynkr.rows())[0]['id']}/prompt")
    assert view["asked"] == ["Bash"]


async def test_the_same_prompt_comes_out_the_same_in_later_turns(
    lynkr: Running, anthropic: AnthropicFake
) -> None:
    body = messages_body(model="anthropic/claude-haiku-4-5")
    await post(lynkr, body)
    first = anthropic.asked[-1].json["messages"]
    body["messages"] += [
        {"role": "assistant", "content": [{"type": "text", "text": "test_sum fails."}]},
        {"role": "user", "content": "fix it"},
    ]
    await post(lynkr, body)
    assert anthropic.asked[-1].json["messages"][:3] == first


async def test_it_is_told_what_was_done(lynkr: Running, anthropic: AnthropicFake, tmp_path: Path) -> None:
    body = messages_body(model="anthropic/claude-haiku-4-5")
    await begun(lynkr, body)
    await post(lynkr, body)
    row, _ = await lynkr.rows()
    view = await lynkr.admin("GET", f"requests/{row['id']}/prompt")
    assert view["kept"]
    [receipt] = view["receipts"]
    assert receipt["stage"] == "distill_compression"
    assert receipt["before"] - receipt["after"] >= row["saved_tokens"] > 1000
    places = {change["place"]: change for change in view["changes"]}
    assert "tools" not in places
    assert places["turn 3, result of Bash"]["before"] == LOG
    assert "4711 != 4712" in places["turn 3, result of Bash"]["after"]
    ran = await run_lynkr(tmp_path / "home", tmp_path, "show", "last")
    assert ran.code == 0
    assert "distill_compression" in ran.out
    assert "turn 3, result of Bash" in ran.out
    told = json.loads((await run_lynkr(tmp_path / "home", tmp_path, "show", row["id"], "--json")).out)
    assert told["prompt"]["receipts"] == view["receipts"]
    gone = await run_lynkr(tmp_path / "home", tmp_path, "show", "req_none")
    assert gone.code != 0
    assert "no" in gone.errors.lower()


@pytest.mark.parametrize(
    ("model", "stream"), [("anthropic/claude-haiku-4-5", False), ("fake/m", False), ("fake/m", True)]
)
async def test_a_provider_that_counts_nothing_is_taken_to_have_read_what_it_was_sent(
    lynkr: Running, anthropic: AnthropicFake, openai: OpenAIFake, model: str, stream: bool
) -> None:
    fake = anthropic if model.startswith("anthropic") else openai
    body = messages_body(model=model, stream=stream)
    fake.replies.append(Reply((Say("The totals differ."),), counts=False))
    await post(lynkr, body)
    row = (await lynkr.rows())[0]
    size = len(fake.asked[-1].body)
    assert size < len(LOG) / 3
    assert row["estimated"]
    assert size / 8 < row["input_tokens"] < size / 2.5
    handle = re.search(r"r_[0-9a-f]{12}", fake.asked[-1].body.decode())
    assert handle is not None
    fake.replies.append(Reply((Call("Bash", {"command": f"cat lynkr:{handle[0]}"}),), counts=False))
    fake.replies.append(Reply((Say("The totals differ."),), counts=False))
    await post(lynkr, body)
    both = len(fake.asked[-1].body) + len(fake.asked[-2].body)
    row = (await lynkr.rows())[0]
    assert row["estimated"]
    assert both / 5 < row["input_tokens"] < both / 2
    assert row["output_tokens"] > 15
