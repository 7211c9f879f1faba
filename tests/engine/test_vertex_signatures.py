"""Gemini's signatures of its tool calls, which come back with the calls or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.engine import config_for, engine_in_process
from tests.support.fakes import gemini_rules
from tests.support.fakes.vertex import VertexFake
from tests.support.script import text, tool_call

TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}


async def test_a_signature_that_google_takes_no_more_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another project, or another account, does not take what the first one signed."""
    async with VertexFake(tool_call("get_weather", {}), text("4 degrees")) as server:
        config = config_for(server.url)
        config["providers"] = {"fake": {"kind": "vertex", "base_url": server.url, "key_env": "KEY"}}
        async with engine_in_process(tmp_path / "home", config, {"KEY": server.key}) as lynkr:
            model = "fake/gemini-3-pro-preview"
            _, first = await lynkr.ask(model=model, tools=[TOOL])
            call = first["choices"][0]["message"]["tool_calls"][0]
            messages = [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "content": "4 C"},
            ]
            monkeypatch.setattr(gemini_rules, "sign", lambda name: f"another's {name}")
            _, second = await lynkr.ask(model=model, tools=[TOOL], messages=messages)
    assert second["choices"][0]["message"]["content"] == "4 degrees"
    signed = [asked.json["contents"][1]["parts"][0]["thoughtSignature"] for asked in server.asked[1:]]
    assert len(signed) == 2
    assert signed[1] == "skip_thought_signature_validator" != signed[0]
