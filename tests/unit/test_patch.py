"""A client's own body gets other texts and tools, and keeps all the rest as the client wrote it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lynkr_desktop.engine.wire.anthropic import AnthropicClient
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse
from lynkr_desktop.engine.wire.codec import ClientCodec, Dialect
from lynkr_desktop.engine.wire.ollama import OllamaChatClient
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatClient
from lynkr_desktop.engine.wire.openai_responses import ResponsesClient
from lynkr_desktop.engine.wire.patch import patched_body

LOG = "line\n" * 50
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}

ANTHROPIC = {
    "model": "auto-route",
    "max_tokens": 10,
    "thinking": {"type": "adaptive"},
    "unheard_of": [1, {"text": LOG}],
    "system": [{"type": "text", "text": LOG, "cache_control": {"type": "ephemeral"}}],
    "tools": [
        {"name": "Bash", "description": "d", "input_schema": SCHEMA, "defer_loading": True},
        {"name": "Web", "description": "w", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {"role": "user", "content": LOG},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "Bash", "input": {"text": LOG}}],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "text", "text": LOG}],
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "text", "text": "go on"},
            ],
        },
    ],
}
FUNCTION = {"name": "Bash", "description": "d", "parameters": SCHEMA}
CHAT = {
    "model": "auto-route",
    "unheard_of": {"content": LOG},
    "tools": [{"type": "function", "function": FUNCTION}, {"type": "function", "function": {"name": "Web"}}],
    "messages": [
        {"role": "system", "content": LOG},
        {"role": "user", "content": [{"type": "text", "text": LOG}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "Bash", "arguments": json.dumps({"text": LOG})},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": LOG},
        {"role": "user", "content": "go on"},
    ],
}
RESPONSES = {
    "model": "auto-route",
    "instructions": LOG,
    "store": False,
    "unheard_of": 1,
    "tools": [{"type": "function", **FUNCTION}, {"type": "function", "name": "Web", "parameters": SCHEMA}],
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": LOG}]},
        {"type": "function_call", "call_id": "c1", "name": "Bash", "arguments": json.dumps({"text": LOG})},
        {"type": "function_call_output", "call_id": "c1", "output": LOG},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go on"}]},
    ],
}
OLLAMA = {
    "model": "auto-route",
    "options": {"num_ctx": 4096, "unheard_of": 1},
    "tools": CHAT["tools"],
    "messages": [
        {"role": "user", "content": LOG},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "Bash", "arguments": {"text": LOG}}}],
        },
        {"role": "tool", "tool_name": "Bash", "content": LOG},
        {"role": "user", "content": "go on"},
    ],
}
CASES: list[tuple[Dialect, ClientCodec, dict[str, Any]]] = [
    ("anthropic_messages", AnthropicClient(), ANTHROPIC),
    ("openai_chat", OpenAIChatClient(), CHAT),
    ("openai_responses", ResponsesClient(), RESPONSES),
    ("ollama_chat", OllamaChatClient(), OLLAMA),
]


def shortened(request: Request) -> Request:
    """The same with the result of the tool made short; the same text elsewhere stays."""
    messages = [
        Message(
            message.role,
            tuple(
                replace(block, content=(Text("SHORT"),)) if isinstance(block, ToolResult) else block
                for block in message.content
            ),
        )
        for message in request.messages
    ]
    return replace(request, messages=tuple(messages))


@pytest.mark.parametrize(("dialect", "codec", "body"), CASES, ids=[case[0] for case in CASES])
def test_only_the_result_changes(dialect: Dialect, codec: ClientCodec, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    request = codec.decode_request(raw)
    patched = patched_body(raw, dialect, request, shortened(request))
    assert patched is not None
    text = json.dumps(json.loads(patched))
    assert text.count("SHORT") == 1
    assert json.loads(text.replace("SHORT", json.dumps(LOG)[1:-1])) == body
    assert codec.decode_request(patched) == shortened(request)


@pytest.mark.parametrize(("dialect", "codec", "body"), CASES, ids=[case[0] for case in CASES])
def test_tools_come_and_go(dialect: Dialect, codec: ClientCodec, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    request = codec.decode_request(raw)
    added = Tool("lynkr_restore", "gives back", SCHEMA)
    wanted = replace(request, tools=(request.tools[0], added))
    patched = patched_body(raw, dialect, request, wanted)
    assert patched is not None
    fields = json.loads(patched)
    assert fields["tools"][0] == body["tools"][0]
    found = codec.decode_request(patched)
    assert [tool.name for tool in found.tools] == ["Bash", "lynkr_restore"]
    assert found.tools[1].input_schema == SCHEMA
    assert found.messages == request.messages
    assert {key: value for key, value in fields.items() if key != "tools"} == {
        key: value for key, value in body.items() if key != "tools"
    }


@pytest.mark.parametrize(("dialect", "codec", "body"), CASES, ids=[case[0] for case in CASES])
def test_a_call_becomes_another(dialect: Dialect, codec: ClientCodec, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    request = codec.decode_request(raw)
    place, turn = next(
        (place, turn) for place, turn in enumerate(request.messages) if turn.role == "assistant"
    )
    call = turn.content[-1]
    assert isinstance(call, ToolUse)
    other = ToolUse(call.id, "lynkr_tools_call", {"name": call.name, "arguments": call.input})
    turns = list(request.messages)
    turns[place] = Message("assistant", (*turn.content[:-1], other))
    wanted = replace(request, messages=tuple(turns))
    patched = patched_body(raw, dialect, request, wanted)
    if dialect == "ollama_chat":  # its calls have no ids
        assert patched is None
        return
    assert patched is not None
    assert codec.decode_request(patched) == wanted
    twice = json.dumps(json.loads(raw)).encode()
    assert patched_body(twice, dialect, request, wanted) == patched


def test_a_marker_that_moves_to_another_tool_moves_in_the_body() -> None:
    raw = json.dumps(ANTHROPIC).encode()
    request = AnthropicClient().decode_request(raw)
    marked = replace(
        request.tools[0], extra={**request.tools[0].extra, "cache_control": {"type": "ephemeral"}}
    )
    patched = patched_body(raw, "anthropic_messages", request, replace(request, tools=(marked,)))
    assert patched is not None
    assert json.loads(patched)["tools"] == [{**ANTHROPIC["tools"][0], "cache_control": {"type": "ephemeral"}}]  # type: ignore[index]


@pytest.mark.parametrize(("dialect", "codec", "body"), CASES, ids=[case[0] for case in CASES])
def test_what_a_patch_cannot_tell_is_not_patched(
    dialect: Dialect, codec: ClientCodec, body: dict[str, Any]
) -> None:
    raw = json.dumps(body).encode()
    request = codec.decode_request(raw)
    words = Message("assistant", (Text("what the model never said"),))
    assert patched_body(raw, dialect, request, replace(request, messages=(*request.messages, words))) is None
    assert patched_body(raw, dialect, request, replace(request, system=(Text("other"),))) is None
    assert patched_body(b"{", dialect, request, shortened(request)) is None
    assert patched_body(raw, "ollama_generate", request, shortened(request)) is None


@given(st.lists(st.sampled_from(["a", "b", LOG, "", "c d"]), min_size=1, max_size=8), st.data())
def test_equal_texts_are_told_apart_by_their_places(texts: list[str], data: st.DataObject) -> None:
    content = [{"type": "text", "text": text or "x"} for text in texts]
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": content}]}
    raw = json.dumps(body).encode()
    request = AnthropicClient().decode_request(raw)
    new = tuple(
        replace(block, text=data.draw(st.sampled_from([block.text, "new", "other"])))
        for block in request.messages[0].content
        if isinstance(block, Text)
    )
    wanted = replace(request, messages=(Message("user", new),))
    patched = patched_body(raw, "anthropic_messages", request, wanted)
    assert patched is not None
    assert AnthropicClient().decode_request(patched) == wanted
