"""Traps of models on this machine: what Ollama does, and tool calls that weak models write as text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import Ask, Client, Function, Picture, Result, Used, assistant, user
from tests.support.fakes.ollama import OllamaFake
from tests.support.ollama_models import FakeModel
from tests.support.pairing import EACH_WAY, READ, RUN, clients
from tests.support.script import Call, ErrorLine, Reply, Say, Think, text
from tests.support.stage import OLLAMA, OPENAI, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


# ---------------------------------------------------------------- Ollama upstream


@clients()
@EACH_WAY
async def test_ollama_is_asked_natively_with_a_window_that_fits(
    lynkr: Stage, client: Client, stream: bool
) -> None:
    answer = await lynkr.ask(client, OLLAMA, Ask((user("word " * 6000),), stream=stream))
    assert answer.good
    asked = lynkr.asked(OLLAMA)
    assert asked.path in ("/api/chat", "/api/generate")
    # Thirty thousand characters do not fit into the 4,096 tokens of a server's default.
    assert asked.json["options"]["num_ctx"] > 6000


@clients("image")
async def test_what_a_model_can_do_is_asked_of_the_server(tmp_path: Path, client: Client) -> None:
    """The name says nothing: a model called `llava` is blind when its server says so."""
    model = FakeModel("llava", capabilities=("completion",))
    blind = replace(OLLAMA, fake=lambda: OllamaFake(model), model="llava")
    async with stage(tmp_path, blind) as lynkr:
        refused = await lynkr.ask(client, blind, Ask((user("look", Picture()),)))
        assert refused.status == 400
        assert refused.problem is not None
        assert "image" in refused.problem.message


@clients()
@EACH_WAY
async def test_an_error_within_http_200_is_an_error(lynkr: Stage, client: Client, stream: bool) -> None:
    answer = await lynkr.ask(client, OLLAMA, Ask(stream=stream), Reply((ErrorLine("the-runner-crashed"),)))
    assert answer.status >= 500
    assert answer.problem is not None
    assert "the-runner-crashed" in answer.problem.message


@clients("tools")
async def test_arguments_in_the_history_are_objects(lynkr: Stage, client: Client) -> None:
    turns = (
        user("go"),
        assistant(Used("call_1", "read_file", {"path": "a"})),
        user(Result("call_1", ("words",))),
    )
    assert (await lynkr.ask(client, OLLAMA, Ask(turns, tools=(READ,)))).good
    [message] = [message for message in lynkr.asked(OLLAMA).json["messages"] if message.get("tool_calls")]
    assert message["tool_calls"][0]["function"]["arguments"] == {"path": "a"}


@clients("tools", without="ollama")
@EACH_WAY
async def test_ids_that_ollama_leaves_out_are_made(lynkr: Stage, client: Client, stream: bool) -> None:
    reply = Reply((Call("read_file", {"path": "a"}), Call("read_file", {"path": "b"})))
    answer = await lynkr.ask(client, OLLAMA, Ask(tools=(READ,), stream=stream), reply)
    ids = [call.id for call in answer.calls]
    assert all(ids)
    assert len(set(ids)) == 2
    assert answer.stop == "tools", "done_reason is stop after calls too"


@clients("thinking")
@pytest.mark.parametrize("effort", ["low", "medium", "high", "off"])
async def test_levels_of_thinking_are_passed_on(lynkr: Stage, client: Client, effort: str) -> None:
    reply = Reply((Think("hm"), Say("Yes")))
    answer = await lynkr.ask(client, OLLAMA, Ask(thinking=effort, limit=50000), reply)
    assert answer.good
    think = lynkr.asked(OLLAMA).json["think"]
    assert think is (False if effort == "off" else think)
    assert think in (False, True, effort)


@clients(only="ollama")
async def test_paths_of_ollama_tell_what_is_there(lynkr: Stage, client: Client) -> None:
    http, url = lynkr.running.http, lynkr.running.url
    async with http.get(f"{url}/api/version") as got:
        assert (await got.json())["version"]
    async with http.get(f"{url}/api/tags") as got:
        names = [model["name"] for model in (await got.json())["models"]]
    assert any(name.startswith("auto-route") for name in names)
    assert "m:latest" in names
    async with http.get(f"{url}/api/ps") as got:
        assert isinstance((await got.json())["models"], list)
    async with http.post(f"{url}/api/show", json={"model": "m"}) as got:
        assert "tools" in (await got.json())["capabilities"]
    async with http.post(f"{url}/api/show", json={"model": "no-such-model/x"}) as got:
        assert client.problem(got.status, await got.json()).message


# ---------------------------------------------------------------- calls as text

CALL = {"name": "read_file", "arguments": {"path": "a.py"}}
WRITTEN = {
    "hermes": f"<tool_call>\n{json.dumps(CALL)}\n</tool_call>",
    "qwen3-coder": (
        "<tool_call>\n<function=read_file>\n<parameter=path>\na.py\n</parameter>\n</function>\n</tool_call>"
    ),
    "llama": '<|python_tag|>{"name": "read_file", "parameters": {"path": "a.py"}}',
    "mistral": f"[TOOL_CALLS][{json.dumps(CALL)}]",
    "gpt-oss": (
        '<|channel|>commentary to=functions.read_file <|constrain|>json<|message|>{"path": "a.py"}<|call|>'
    ),
    "deepseek": (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>read_file\n```json\n"
        '{"path": "a.py"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>'
    ),
    "glm": "<tool_call>read_file\n<arg_key>path</arg_key>\n<arg_value>a.py</arg_value>\n</tool_call>",
    "bare JSON": json.dumps(CALL),
    "double braces": '{{"name": "read_file", "arguments": {"path": "a.py"}}}',
    "fenced JSON": f"```json\n{json.dumps(CALL)}\n```",
}
TEXTUAL = pytest.mark.parametrize("backend", [OPENAI, OLLAMA], ids=lambda backend: backend.name)


def said(words: str, size: int = 5) -> Reply:
    """The words in small pieces, as tokens come."""
    return text(*[words[at : at + size] for at in range(0, len(words), size)])


@clients("tools")
@TEXTUAL
@EACH_WAY
@pytest.mark.parametrize("form", WRITTEN)
async def test_a_call_written_as_text_becomes_a_call(
    lynkr: Stage, client: Client, backend: Any, stream: bool, form: str
) -> None:
    answer = await lynkr.ask(client, backend, Ask(tools=(READ, RUN), stream=stream), said(WRITTEN[form]))
    assert [(call.name, call.arguments) for call in answer.calls] == [("read_file", {"path": "a.py"})]
    assert answer.stop == "tools"
    assert answer.text.strip() == ""


@clients("tools")
@TEXTUAL
@EACH_WAY
@pytest.mark.parametrize("form", WRITTEN)
async def test_a_call_of_a_tool_that_was_not_offered_stays_text(
    lynkr: Stage, client: Client, backend: Any, stream: bool, form: str
) -> None:
    ask = Ask(tools=(Function("something_else"),), stream=stream)
    answer = await lynkr.ask(client, backend, ask, said(WRITTEN[form]))
    assert answer.calls == []
    assert answer.text == WRITTEN[form]
    assert answer.stop == "end"


@clients()
@TEXTUAL
@EACH_WAY
async def test_without_tools_nothing_is_taken_for_a_call(
    lynkr: Stage, client: Client, backend: Any, stream: bool
) -> None:
    answer = await lynkr.ask(client, backend, Ask(stream=stream), said(WRITTEN["hermes"]))
    assert (answer.calls, answer.text) == ([], WRITTEN["hermes"])


LOOK_ALIKES = (
    '{"path": "a.py", "size": 3}',
    '{"name": "Ada", "arguments": "none"}',
    'A call looks like {"name": ...} in JSON.',
    "Use <tool_call> tags to call a tool.",
    "if a < b and c[TOOL] > 1: pass",
)


@clients("tools")
@TEXTUAL
@EACH_WAY
@pytest.mark.parametrize("words", LOOK_ALIKES)
async def test_look_alikes_stay_text(
    lynkr: Stage, client: Client, backend: Any, stream: bool, words: str
) -> None:
    answer = await lynkr.ask(client, backend, Ask(tools=(READ, RUN), stream=stream), said(words))
    assert (answer.calls, answer.text, answer.stop) == ([], words, "end")
