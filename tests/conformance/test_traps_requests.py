"""Traps of the way out: what clients send reaches the model, or is refused or reported by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import PNG, Ask, Client, Picture, Result, Thought, Used, assistant, user
from tests.support.fakes.ollama import OllamaFake
from tests.support.ollama_models import FakeModel
from tests.support.pairing import READ, RUN, backends, clients, pairs, told, translated, words
from tests.support.stage import OLLAMA, SPARE, Backend, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCHEMA = {"name": "s", "schema": {"type": "object", "properties": {"mark_of_schema": {"type": "string"}}}}
TOOL = {
    "type": "function",
    "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}},
}

# Each field of OpenAI Chat, a value, and words of which one stands in the body when it arrived.
CHAT_FIELDS: list[tuple[str, Any, tuple[str, ...]]] = [
    ("n", 2, ()),
    ("stop", ["HALT-MARK"], ("HALT-MARK",)),
    ("stop", "HALT-MARK", ("HALT-MARK",)),
    ("response_format", {"type": "json_schema", "json_schema": SCHEMA}, ("mark_of_schema",)),
    ("response_format", {"type": "json_object"}, ("json_object", "json", "application/json")),
    ("max_completion_tokens", 4321, ("4321",)),
    ("max_tokens", 4321, ("4321",)),
    ("seed", 987654, ("987654",)),
    ("logprobs", True, ()),
    ("top_logprobs", 3, ()),
    ("logit_bias", {"50256": -100}, ("50256",)),
    ("presence_penalty", 0.625, ("0.625",)),
    ("frequency_penalty", 0.875, ("0.875",)),
    ("temperature", 0.375, ("0.375",)),
    ("top_p", 0.125, ("0.125",)),
    ("reasoning_effort", "high", ("high", "thinking", "thinkingConfig")),
    ("prompt_cache_key", "KEY-MARK", ("KEY-MARK",)),
    ("user", "USER-MARK", ("USER-MARK",)),
    ("x_vendor_field", {"deep": "VENDOR-MARK"}, ("VENDOR-MARK",)),
]


@clients(only="openai_chat")
@backends()
@pytest.mark.parametrize(("field", "value", "marks"), CHAT_FIELDS, ids=lambda value: str(value)[:24])
async def test_no_field_of_openai_chat_is_dropped_in_silence(
    lynkr: Stage, client: Client, backend: Backend, field: str, value: Any, marks: tuple[str, ...]
) -> None:
    limit = None if field.startswith("max_") else 9000
    answer = await lynkr.ask(client, backend, Ask(limit=limit, more={field: value}))
    fake = lynkr.fakes[backend.name]
    if client.name in backend.speaks:
        assert fake.asked[0].json[field] == value
        return
    arrived = fake.asked and any(mark in fake.asked[0].body.decode() for mark in marks)
    assert arrived or told(answer, field, "response_format" if "format" in field else "thinking"), (
        answer.headers
    )


@clients(only="openai_chat")
@backends()
async def test_the_newer_limit_wins_where_both_are_sent(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    ask = Ask(limit=None, more={"max_tokens": 1111, "max_completion_tokens": 2222})
    assert (await lynkr.ask(client, backend, ask)).good
    assert b"2222" in lynkr.asked(backend).body


@clients(only="openai_chat")
@backends()
async def test_the_developer_role_is_the_system(lynkr: Stage, client: Client, backend: Backend) -> None:
    messages = [{"role": "developer", "content": "rule-words"}, {"role": "user", "content": "question-words"}]
    assert (await lynkr.ask(client, backend, Ask(more={"messages": messages}))).good
    body = lynkr.asked(backend).body
    assert b"rule-words" in body
    if client.name not in backend.speaks:
        assert b"developer" not in body


@clients(only="openai_chat")
@backends()
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"content": None},
        {"content": ""},
        {"content": []},
        {"content": [{"type": "text", "text": "said"}]},
    ],
    ids=["absent", "null", "empty", "no parts", "parts"],
)
async def test_a_tool_turn_may_have_no_content(
    lynkr: Stage, client: Client, backend: Backend, content: dict[str, Any]
) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "read_file", "arguments": '{"path": "a"}'},
    }
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "go"}]},
        {"role": "assistant", "tool_calls": [call], **content},
        {"role": "tool", "tool_call_id": "call_1", "name": "read_file", "content": "file-words"},
    ]
    answer = await lynkr.ask(client, backend, Ask(more={"messages": messages, "tools": [TOOL]}))
    assert answer.good, answer.problem
    body = lynkr.asked(backend).body
    assert b"file-words" in body
    assert b"read_file" in body


@clients(only="openai_chat")
@backends()
async def test_what_openhands_sends_is_understood(lynkr: Stage, client: Client, backend: Backend) -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    more = {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "rule-words", **cached}]},
            {"role": "user", "content": [{"type": "text", "text": "question-words", **cached}]},
        ],
        "tools": [{**TOOL, **cached}],
        "reasoning_effort": "high",
        "prompt_cache_key": "key",
        "max_tokens": 9000,
        "max_completion_tokens": 9000,
    }
    answer = await lynkr.ask(client, backend, Ask(more=more))
    assert answer.good, answer.problem
    body = lynkr.asked(backend).body
    assert b"rule-words" in body
    assert b"question-words" in body
    if b"cache_control" not in body and b"cachePoint" not in body:
        assert told(answer, "cache_control")


@pairs("tools")
async def test_no_field_of_any_client_is_dropped_in_silence(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    answer = await lynkr.ask(client, backend, Ask(tools=(READ,), more={"x_vendor_field": "VENDOR-MARK"}))
    fake = lynkr.fakes[backend.name]
    arrived = fake.asked and b"VENDOR-MARK" in fake.asked[0].body
    assert arrived or told(answer, "x_vendor_field")


@clients(only="anthropic")
@backends()
async def test_cache_marks_of_anthropic_go_on_or_are_told(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    block = {"type": "text", "text": "question-words", "cache_control": {"type": "ephemeral"}}
    answer = await lynkr.ask(client, backend, Ask(more={"messages": [{"role": "user", "content": [block]}]}))
    assert answer.good
    body = lynkr.asked(backend).body
    assert b"cache_control" in body or b"cachePoint" in body or told(answer, "cache_control")


@clients(only="anthropic")
@backends()
async def test_top_k_goes_on_or_is_told(lynkr: Stage, client: Client, backend: Backend) -> None:
    answer = await lynkr.ask(client, backend, Ask(more={"top_k": 37}))
    assert b"37" in lynkr.asked(backend).body or told(answer, "top_k")


@clients(only="anthropic")
@backends()
async def test_a_tool_of_the_vendors_own_is_refused_where_it_cannot_run(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]
    answer = await lynkr.ask(client, backend, Ask(more={"tools": tools}))
    fake = lynkr.fakes[backend.name]
    arrived = fake.asked and b"web_search_20250305" in fake.asked[0].body
    assert arrived or told(answer, "web_search_20250305", "tools")


# ---------------------------------------------------------------- tools


@pairs("tools", where=translated)
async def test_an_orphan_tool_result_is_repaired(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (user("go"), user(Result("call_gone", ("orphan-words",), name="read_file")), user("on"))
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ,)))
    assert answer.good, answer.problem
    assert b"orphan-words" in lynkr.asked(backend).body


@pairs("tools", where=translated)
async def test_blank_ids_are_repaired(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (
        user("go"),
        assistant(Used("", "read_file", {"path": "a"})),
        user(Result("", ("result-words",), name="read_file")),
        user("on"),
    )
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ,)))
    assert answer.good, answer.problem
    assert b"result-words" in lynkr.asked(backend).body


@pairs("tools", where=translated)
async def test_a_call_without_its_result_is_repaired(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (user("go"), assistant(Used("call_1", "read_file", {"path": "a"})), user("never-mind-words"))
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ,)))
    assert answer.good, answer.problem
    assert b"never-mind-words" in lynkr.asked(backend).body


@pairs("tools")
async def test_a_failed_tool_is_told_to_the_model(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (
        user("go"),
        assistant(Used("call_1", "read_file", {"path": "a"})),
        user(Result("call_1", ("no-such-file",), error=True)),
    )
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ,)))
    assert answer.good
    body = lynkr.asked(backend).body
    assert b"no-such-file" in body
    if client.name == "anthropic_messages":
        assert b"rror" in body


@pairs("tools", where=translated)
async def test_an_empty_tool_result_is_no_trouble(lynkr: Stage, client: Client, backend: Backend) -> None:
    turns = (
        user("go"),
        assistant(Used("call_1", "read_file", {"path": "a"})),
        user(Result("call_1", ("",))),
    )
    answer = await lynkr.ask(client, backend, Ask(turns, tools=(READ,)))
    assert answer.good, answer.problem


@pairs("tools")
async def test_schemas_of_tools_arrive_whole(lynkr: Stage, client: Client, backend: Backend) -> None:
    schema = {
        "type": "object",
        "properties": {
            "mode": {"type": "string", "enum": ["enum-one", "enum-two"], "description": "about-mode"},
            "items": {
                "type": "array",
                "items": {"type": "object", "properties": {"inner_name": {"type": "integer"}}},
            },
        },
        "required": ["mode"],
    }
    function = type(READ)("shape", "describes-itself", schema)
    assert (await lynkr.ask(client, backend, Ask(tools=(function,)))).good
    seen = words(lynkr.asked(backend).json)
    for word in ("enum-one", "about-mode", "inner_name", "describes-itself", "required"):
        assert word in seen, word


@pairs("parallel", "tools")
async def test_one_call_at_a_time_is_kept_or_told(lynkr: Stage, client: Client, backend: Backend) -> None:
    answer = await lynkr.ask(client, backend, Ask(tools=(READ, RUN), choice="auto", parallel=False))
    seen = words(lynkr.asked(backend).json)
    assert {"parallel_tool_calls", "disable_parallel_tool_use"} & set(seen) or told(
        answer, "parallel_tool_calls", "disable_parallel_tool_use"
    )


@pairs("thinking")
async def test_thinking_of_earlier_turns_is_no_trouble(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    turns = (user("go"), assistant(Thought("old-thought"), "said-words"), user("on"))
    answer = await lynkr.ask(client, backend, Ask(turns, thinking="low", limit=9000))
    assert answer.good, answer.problem
    if client.name != "ollama_generate":
        assert b"said-words" in lynkr.asked(backend).body


@pairs("thinking")
async def test_thinking_can_be_switched_off(lynkr: Stage, client: Client, backend: Backend) -> None:
    answer = await lynkr.ask(client, backend, Ask(thinking="off"))
    assert answer.good, answer.problem


# ---------------------------------------------------------------- images


BLIND = replace(OLLAMA, fake=lambda: OllamaFake(FakeModel("m", capabilities=("completion", "tools"))))


@clients("image")
async def test_a_text_only_model_refuses_an_image_and_another_candidate_takes_it(
    tmp_path: Path, client: Client
) -> None:
    ask = Ask((user("look", Picture()),))
    async with stage(tmp_path, BLIND) as lynkr:
        refused = await lynkr.ask(client, BLIND, ask)
        assert (refused.status, lynkr.fakes[BLIND.name].asked) == (400, [])
        assert refused.problem is not None
        assert "image" in refused.problem.message
        answer = await lynkr.ask_tier(client, "simple", ask)
        assert answer.good
        assert answer.headers["x-lynkr-provider"] == SPARE
        assert PNG.encode() in lynkr.fakes[SPARE].asked[0].body


# ---------------------------------------------------------------- untouched


@pairs(where=lambda client, backend: client.name in backend.speaks)
async def test_an_unchanged_request_goes_out_byte_for_byte(
    lynkr: Stage, client: Client, backend: Backend
) -> None:
    fake = lynkr.fakes[backend.name]
    fake.forget()
    body = client.body(Ask((user("h\u00fc"),), model=backend.target))
    text = json.dumps(body, indent=3, separators=(" ,", " : "))
    async with lynkr.running.http.post(lynkr.running.url + client.path, data=text.encode()) as response:
        assert response.status == 200
    # Only the model's name may differ, and the spaces between the fields that were taken apart for it.
    field = "prompt" if "prompt" in body else "input" if "input" in body else "messages"
    inner = json.dumps(body[field], indent=3, separators=(" ,", " : ")).replace("\n", "\n   ")
    assert inner in text
    assert inner.encode() in fake.asked[0].body
    assert fake.asked[0].json["model"] == backend.model


async def test_the_model_that_is_named_alike_leaves_every_byte_as_it_is(lynkr: Stage) -> None:
    fake = lynkr.fakes[SPARE]
    fake.forget()
    body = (
        b'{ "messages" : [{"role":"user","content":"h\\u00fc"}],\n "x": {"a":[1.50]}, "model":"known-name"}'
    )
    async with lynkr.running.http.post(lynkr.running.url + "/v1/chat/completions", data=body) as response:
        assert response.status == 200
    assert fake.asked[0].body == body
