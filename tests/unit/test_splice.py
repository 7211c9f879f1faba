"""A client's own body loses turns and gets others, and keeps all the rest as the client wrote it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stage import PATH
from lynkr_desktop.engine.optimization.window import WindowStage
from lynkr_desktop.engine.wire.anthropic import AnthropicClient
from lynkr_desktop.engine.wire.calls import in_call_order
from lynkr_desktop.engine.wire.canonical import Block, Message, Request, Text, Thinking, ToolResult, ToolUse
from lynkr_desktop.engine.wire.codec import TURNS, ClientCodec, Dialect
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatClient
from lynkr_desktop.engine.wire.openai_responses import ResponsesClient
from lynkr_desktop.engine.wire.patch import patched_body

Json = dict[str, Any]
CODECS: dict[Dialect, ClientCodec] = {
    "anthropic_messages": AnthropicClient(),
    "openai_chat": OpenAIChatClient(),
    "openai_responses": ResponsesClient(),
}
SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}}
ROUNDS = 60
dialects = pytest.mark.parametrize("dialect", CODECS)


def output(number: int) -> str:
    return "\n".join(f"{number}: line {line} of what the command printed" for line in range(30))


def anthropic_body() -> Json:
    messages: list[Json] = [{"role": "user", "content": "Please clean up the module."}]
    for number in range(ROUNDS):
        call = {"type": "tool_use", "id": f"c{number}", "name": "Bash", "input": {"command": f"run {number}"}}
        thought = {"type": "thinking", "thinking": f"thought {number}", "signature": f"s{number}"}
        result = {"type": "tool_result", "tool_use_id": f"c{number}", "content": output(number)}
        content: list[Json] = [result]
        if number == ROUNDS - 1:
            result["cache_control"] = {"type": "ephemeral"}
        if number % 15 == 14:
            content.append({"type": "text", "text": f"And now part {number}.", "unheard_of": 1})
        messages += [{"role": "assistant", "content": [thought, call]}, {"role": "user", "content": content}]
    return {
        "model": "m",
        "max_tokens": 500,
        "system": "You are an agent.",
        "tools": [{"name": "Bash", "description": "Runs.", "input_schema": SCHEMA, "unheard_of": True}],
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": []},
        "messages": messages,
    }


def chat_body() -> Json:
    messages: list[Json] = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": "Please clean up the module.", "name": "dev"},
    ]
    for number in range(ROUNDS):
        function = {"name": "Bash", "arguments": f'{{"command" : "run {number}"}}'}
        call = {"id": f"c{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call], "unheard_of": number})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": output(number), "odd": 1})
        if number % 15 == 14:
            messages.append(
                {"role": "user", "content": [{"type": "text", "text": f"And now part {number}."}]}
            )
    return {
        "model": "m",
        "max_tokens": 500,
        "tools": [{"type": "function", "function": {"name": "Bash", "parameters": SCHEMA}}],
        "prompt_cache_key": "k",
        "verbosity": "low",
        "messages": messages,
    }


def responses_body() -> Json:
    def said(text: str) -> Json:
        content = [{"type": "input_text", "text": text}]
        return {"type": "message", "role": "user", "content": content}

    items = [said("Please clean up the module.")]
    for number in range(ROUNDS):
        call = {"type": "function_call", "call_id": f"c{number}", "name": "Bash", "id": f"fc{number}"}
        items += [
            {"type": "reasoning", "id": f"rs{number}", "summary": [], "encrypted_content": f"secret{number}"},
            {**call, "arguments": f'{{"command" : "run {number}"}}'},
            {"type": "function_call_output", "call_id": f"c{number}", "output": output(number)},
        ]
        if number % 15 == 14:
            items.append(said(f"And now part {number}."))
    return {
        "model": "m",
        "instructions": "You are an agent.",
        "max_output_tokens": 500,
        "tools": [{"type": "function", "name": "Bash", "parameters": SCHEMA, "strict": None}],
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "input": items,
    }


BODIES: dict[Dialect, Json] = {
    "anthropic_messages": anthropic_body(),
    "openai_chat": chat_body(),
    "openai_responses": responses_body(),
}


def cut_down(dialect: Dialect, window: int = 6_000) -> tuple[bytes, Request, Request]:
    """The client's body, what it says, and what is left of that in a small window."""
    raw = json.dumps(BODIES[dialect]).encode()
    request = CODECS[dialect].decode_request(raw)
    after = Pipeline([WindowStage()], seconds=60).run(request, window).request
    assert len(after.messages) < len(request.messages)
    return raw, request, after


def blocks(request: Request) -> list[Block]:
    """All blocks; texts that follow each other in a turn as one."""
    found: list[Block] = []
    for message in request.messages:
        for block in message.content:
            if isinstance(block, Text):
                block = replace(block, extra={})
                if found and isinstance(last := found[-1], Text):
                    block = replace(block, text=f"{last.text}\n\n{block.text}")
                    found.pop()
            found.append(block)
    return found


@pytest.mark.parametrize("window", [2_500, 6_000, 12_000])
@dialects
def test_turns_go_and_all_else_stays_as_it_was(dialect: Dialect, window: int) -> None:
    raw, request, after = cut_down(dialect, window)
    patched = patched_body(raw, dialect, request, after)
    assert patched is not None
    fields, whole, turns = json.loads(patched), BODIES[dialect], TURNS[dialect]
    for name, value in whole.items():
        if name != turns:
            assert fields[name] == value, name
    assert blocks(CODECS[dialect].decode_request(patched)) == blocks(after)
    # What was not changed is there with all its fields; results were, and text came in.
    old = [json.dumps(turn) for turn in whole[turns]]
    same = [turn for turn in fields[turns] if json.dumps(turn) in old]
    others = [turn for turn in fields[turns] if json.dumps(turn) not in old]
    assert len(same) > 5
    assert all(PATH in json.dumps(turn) for turn in others)
    places = [old.index(json.dumps(turn)) for turn in same]
    assert places == sorted(places)
    if dialect == "openai_chat":
        roles = [turn["role"] for turn in fields[turns]]
        assert ("user", "user") not in pairwise(roles)


@dialects
def test_no_reasoning_stays_without_the_call_that_it_led_to(dialect: Dialect) -> None:
    raw, request, after = cut_down(dialect)
    patched = patched_body(raw, dialect, request, after)
    assert patched is not None
    text = patched.decode()
    left = {block.id for block in blocks(after) if isinstance(block, ToolUse)}
    marks = {"anthropic_messages": '"s{}"', "openai_chat": '"unheard_of":{},', "openai_responses": '"rs{}"'}
    for number in range(ROUNDS):
        mark = marks[dialect].format(number)
        there = mark in text or mark.replace(",", "}") in text
        assert there == (f"c{number}" in left), number


@dialects
def test_turns_that_the_engine_answered_itself_come_behind(dialect: Dialect) -> None:
    for raw, request, after in (cut_down(dialect), (*cut_down(dialect)[:2], None)):
        base = after or request
        call = ToolUse("inner_1", "Bash", {"command": "cat lynkr:r_000000000000"})
        more = (
            Message("assistant", (Text("I look."), call)),
            Message("user", (ToolResult("inner_1", (Text("what was left out"),)),)),
        )
        wanted = replace(base, messages=(*base.messages, *more))
        patched = patched_body(raw, dialect, request, wanted)
        assert patched is not None
        fields = json.loads(patched)
        for name in BODIES[dialect].keys() - {TURNS[dialect]}:
            assert fields[name] == BODIES[dialect][name], name
        assert blocks(CODECS[dialect].decode_request(patched))[-3:] == blocks(wanted)[-3:]
        first = patched_body(raw, dialect, request, base)
        assert first is not None
        # All before it is as it was, so that the provider's cache of it goes on serving.
        assert (
            fields[TURNS[dialect]][: len(json.loads(first)[TURNS[dialect]])]
            == json.loads(first)[TURNS[dialect]]
        )


@dialects
def test_what_cannot_be_told_apart_is_not_patched(dialect: Dialect) -> None:
    raw, request, after = cut_down(dialect)
    repeated = json.loads(raw.decode().replace('"c1"', '"c0"'))
    body = json.dumps(repeated).encode()
    again = CODECS[dialect].decode_request(body)
    assert patched_body(body, dialect, again, after) is None
    thoughts = Message("assistant", (Thinking("what the model never thought", "s"),))
    assert patched_body(raw, dialect, request, replace(after, messages=(*after.messages, thoughts))) is None
    odd = {**BODIES[dialect], TURNS[dialect]: ["text", 7, None]}
    assert patched_body(json.dumps(odd).encode(), dialect, request, after) is None
    assert patched_body(b'{"model": "m"}', dialect, request, after) is None


@dialects
def test_results_that_came_in_another_order_than_their_calls_are_not_mixed_up(dialect: Dialect) -> None:
    whole = json.loads(json.dumps(BODIES[dialect]))
    turns = whole[TURNS[dialect]]
    if dialect == "anthropic_messages":
        # The last two calls become parallel ones; the second result comes first.
        turns[-3]["content"] += turns[-1]["content"]
        turns[-3]["content"][0], turns[-3]["content"][1] = turns[-3]["content"][1], turns[-3]["content"][0]
        turns[-4]["content"] += turns[-2]["content"]
        del turns[-2:]
    else:
        call = next(place for place, turn in enumerate(turns) if "c58" in json.dumps(turn))
        own = turns[call + 1 :]
        turns[call + 1 :] = [turn for turn in own if not _answers(turn)] + [t for t in own if _answers(t)][
            ::-1
        ]
    raw = json.dumps(whole).encode()
    request = in_call_order(CODECS[dialect].decode_request(raw))
    after = Pipeline([WindowStage()], seconds=60).run(request, 6_000).request
    patched = patched_body(raw, dialect, request, after)
    if patched is None:  # it is encoded anew then
        return
    for block in blocks(CODECS[dialect].decode_request(patched)):
        if isinstance(block, ToolResult) and PATH not in block.text:
            assert block.text == output(int(block.tool_use_id.removeprefix("c")))


def _answers(turn: Json) -> bool:
    return turn.get("role") == "tool" or turn.get("type") == "function_call_output"
