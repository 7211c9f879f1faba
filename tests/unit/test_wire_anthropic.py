"""Anthropic Messages towards clients: requests understood, streams in the one order that clients accept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lynkr_desktop.engine.wire.anthropic import AnthropicClient
from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Image,
    Message,
    Reasoning,
    Reply,
    Started,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolChoice,
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError

CLIENT = AnthropicClient()


def body(**fields: Any) -> bytes:
    base = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    return json.dumps({**base, **fields}).encode()


def stream(*events: Event) -> list[tuple[str, dict[str, Any]]]:
    encoder = CLIENT.stream_encoder(CLIENT.decode_request(body(stream=True)))
    out = b"".join(encoder.encode(event) for event in events).decode()
    parsed = []
    for block in out.strip().split("\n\n"):
        name, data = block.split("\n")
        parsed.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return parsed


def test_a_whole_agent_conversation_is_understood() -> None:
    request = CLIENT.decode_request(
        body(
            system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "tool_use", "id": "t", "name": "ls", "input": {"p": "."}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t",
                            "content": [{"type": "text", "text": "a.py"}],
                            "is_error": True,
                        },
                        {"type": "text", "text": "so?"},
                    ],
                },
            ],
            tools=[{"name": "ls", "description": "d", "input_schema": {"type": "object"}}],
            tool_choice={"type": "tool", "name": "ls", "disable_parallel_tool_use": True},
            thinking={"type": "enabled", "budget_tokens": 1024},
            stop_sequences=["END"],
            metadata={"user_id": "u"},
            context_management={"edits": []},
        )
    )
    assert request.system == (Text("be brief", {"cache_control": {"type": "ephemeral"}}),)
    assert request.messages == (
        Message("user", (Text("look"), Image(media_type="image/png", data="AAAA"))),
        Message("assistant", (Thinking("hm", "s"), ToolUse("t", "ls", {"p": "."}))),
        Message("user", (ToolResult("t", (Text("a.py"),), True), Text("so?"))),
    )
    assert request.tool_choice == ToolChoice("named", "ls", parallel=False)
    assert request.reasoning == Reasoning(True, 1024)
    assert (request.stop, request.user, request.extra) == (
        ("END",),
        "u",
        {"context_management": {"edits": []}},
    )


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"thinking": {"type": "loud"}}, "thinking.type"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CLIENT.decode_request(body(**fields))
    assert caught.value.param == path


def test_vendor_tools_are_noted_not_dropped() -> None:
    request = CLIENT.decode_request(body(tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    assert request.inexpressible == ("tools[0].type (web_search_20250305)",)


def test_a_stream_has_the_order_and_the_usage_that_clients_need() -> None:
    usage = Usage(input_tokens=12, cached_tokens=4, output_tokens=3)
    events = stream(
        Started("x", "m", Usage(input_tokens=12)),
        BlockStarted(0, Thinking("")),
        ThinkingDelta(0, "hm"),
        BlockStopped(0),
        BlockStarted(1, Text("")),
        TextDelta(1, "a"),
        BlockStopped(1),
        BlockStarted(2, ToolUse("t", "ls", {})),
        ToolInputDelta(2, '{"p"'),
        ToolInputDelta(2, ': "."}'),
        BlockStopped(2),
        Stopped("tool_use", usage),
    )
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(data["type"] == name for name, data in events)
    start, end = events[0][1]["message"], events[-2][1]
    assert start["usage"]["input_tokens"] == 12
    assert end["delta"]["stop_reason"] == "tool_use"
    assert end["usage"] == {
        "input_tokens": 8,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "output_tokens": 3,
    }
    assert not any(data.get("delta", {}).get("type") == "signature_delta" for _, data in events)


def test_a_failure_is_an_error_event_and_nothing_after_it() -> None:
    events = stream(Started("x", "m"), Failed("it broke", 529, "overloaded"))
    assert events[-1] == (
        "error",
        {"type": "error", "error": {"type": "overloaded_error", "message": "it broke"}},
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("invalid_request", "invalid_request_error"),
        ("authentication", "authentication_error"),
        ("permission", "permission_error"),
        ("not_found", "not_found_error"),
        ("too_large", "request_too_large"),
        ("rate_limit", "rate_limit_error"),
        ("overloaded", "overloaded_error"),
        ("unavailable", "api_error"),
    ],
)
def test_errors_carry_the_type_that_the_sdk_maps(kind: str, expected: str) -> None:
    answer = json.loads(CLIENT.encode_error(WireError("m", status=400, kind=kind), "req_1"))
    assert answer == {"type": "error", "error": {"type": expected, "message": "m"}, "request_id": "req_1"}


def test_a_whole_reply_is_a_message() -> None:
    reply = Reply(
        "chatcmpl-1", "m", (Text("hi"), ToolUse("t", "f", {"a": 1})), "tool_use", Usage(5, output_tokens=2)
    )
    message = json.loads(CLIENT.encode_reply(reply, CLIENT.decode_request(body())))
    assert message["id"].startswith("msg_")
    assert message["content"] == [
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ]
    assert message["stop_reason"] == "tool_use"
