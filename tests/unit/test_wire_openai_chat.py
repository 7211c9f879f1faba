"""OpenAI Chat on both sides: what clients send is understood, what upstreams stream is told rightly."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Image,
    Reply,
    Started,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.engine.wire.openai_chat import OpenAIChatClient, OpenAIChatUpstream

CLIENT, UPSTREAM = OpenAIChatClient(), OpenAIChatUpstream()


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"id": "c1", "model": "m", "choices": choices, **more}).encode() + b"\n\n"


def call(index: int, arguments: str, name: str | None = None, call_id: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"tool_calls": [{"index": index, "function": function} | ({"id": call_id} if call_id else {})]}


def decode(*chunks: bytes) -> list[Event]:
    decoder = UPSTREAM.stream_decoder()
    events = [event for piece in chunks for _, found in decoder.feed(piece) for event in found]
    return events + decoder.finish()


def test_a_whole_agent_conversation_is_understood() -> None:
    request = CLIENT.decode_request(
        body(
            messages=[
                {"role": "developer", "content": "be brief"},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "look"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "t1",
                            "type": "function",
                            "function": {"name": "ls", "arguments": '{"p": "."}'},
                        },
                        {"id": "t2", "type": "function", "function": {"name": "ls", "arguments": "not json"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "t1", "name": "ls", "content": "a.py"},
                {"role": "tool", "tool_call_id": "t2", "content": [{"type": "text", "text": "b.py"}]},
                {"role": "user", "content": "and now?"},
            ],
            max_tokens=5,
            max_completion_tokens=7,
            stop="END",
            reasoning_effort="high",
            prompt_cache_key="k",
        )
    )
    assert request.system == (Text("be brief"),)
    user, assistant, results = request.messages
    assert user.content == (Text("look"), Image(media_type="image/png", data="AAAA"))
    assert assistant.content == (ToolUse("t1", "ls", {"p": "."}), ToolUse("t2", "ls", {"raw": "not json"}))
    assert results.content == (
        ToolResult("t1", (Text("a.py"),)),
        ToolResult("t2", (Text("b.py"),)),
        Text("and now?"),
    )
    assert (request.max_tokens, request.stop, request.extra) == (7, ("END",), {"prompt_cache_key": "k"})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"temperature": "warm"}, "temperature"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"stream": "yes"}, "stream"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CLIENT.decode_request(body(**fields))
    assert caught.value.param == path
    assert path in caught.value.message


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":' * 5000, b"[" * 200_000])
def test_bodies_that_are_no_json_object_are_refused(broken: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CLIENT.decode_request(broken)


@pytest.mark.parametrize("fields", [{"n": 2}, {"logprobs": True}, {"functions": [{"name": "f"}]}])
def test_what_no_other_protocol_can_say_is_noted_not_dropped(fields: dict[str, Any]) -> None:
    assert CLIENT.decode_request(body(**fields)).inexpressible == tuple(fields)


def test_a_stream_of_text_becomes_one_block_and_ends_with_usage() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    events = decode(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "He"}),
        chunk({"content": "llo"}),
        chunk({}, "stop"),
        chunk(usage=usage),
        b"data: [DONE]\n\n",
    )
    assert [type(event) for event in events] == [
        Started,
        BlockStarted,
        TextDelta,
        TextDelta,
        BlockStopped,
        Stopped,
    ]
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    assert reply.content == (Text("Hello"),)
    assert (reply.usage.input_tokens, reply.usage.cached_tokens, reply.usage.output_tokens) == (9, 4, 2)


def test_parallel_calls_stay_apart_even_when_their_arguments_interleave() -> None:
    events = decode(
        chunk(call(0, "", "a", "t1")),
        chunk(call(0, '{"x"')),
        chunk(call(1, '{"y"', "b", "t2")),
        chunk(call(0, ": 1}")),
        chunk(call(1, ": 2}")),
        chunk({}, "tool_calls"),
        b"data: [DONE]\n\n",
    )
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    assert reply.content == (ToolUse("t1", "a", {"x": 1}), ToolUse("t2", "b", {"y": 2}))
    assert reply.stop_reason == "tool_use"
    opened: list[int] = []
    for event in events:
        match event:
            case BlockStarted(index=index):
                assert not opened, "a block opens only when the one before is closed"
                opened.append(index)
            case BlockStopped(index=index):
                assert opened.pop() == index


def test_arguments_stream_on_while_the_first_call_is_open() -> None:
    decoder = UPSTREAM.stream_decoder()
    decoder.feed(chunk(call(0, "", "a", "t1")))
    [(_, events)] = decoder.feed(chunk(call(0, '{"x": ')))
    assert events, "arguments are not held back to the end"


def test_servers_that_number_every_call_zero_are_understood() -> None:
    reply = Reply.of(
        decode(chunk(call(0, "{}", "a", "t1")), chunk(call(0, "{}", "b", "t2")), chunk({}, "stop"))
    )
    assert isinstance(reply, Reply)
    assert [block.name for block in reply.content if isinstance(block, ToolUse)] == ["a", "b"]
    assert reply.stop_reason == "tool_use"


def test_reasoning_comes_as_unsigned_thinking() -> None:
    reply = Reply.of(decode(chunk({"reasoning_content": "hm"}), chunk({"content": "yes"}), chunk({}, "stop")))
    assert isinstance(reply, Reply)
    assert reply.content == (Thinking("hm"), Text("yes"))


@pytest.mark.parametrize(
    "chunks",
    [
        (),
        (chunk({"content": "half"}),),
        (chunk({"role": "assistant", "content": ""}), chunk({}, "stop"), b"data: [DONE]\n\n"),
        (chunk({"content": "a"}), b"data: {broken\n\n", chunk({}, "stop")),
        (chunk({"content": "a"}), b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'),
        (chunk({"content": "a"}), b"data: [DONE]\n\n"),
    ],
    ids=["nothing", "cut off", "empty", "garbage", "error inside", "no finish reason"],
)
def test_a_stream_that_goes_wrong_never_looks_like_a_clean_end(chunks: tuple[bytes, ...]) -> None:
    events = decode(*chunks)
    assert isinstance(events[-1], Failed)
    assert not any(isinstance(event, Stopped) for event in events)


@given(st.data())
def test_any_split_of_the_stream_gives_the_same_events(data: st.DataObject) -> None:
    stream = b"".join(
        [
            chunk({"content": "grüße "}),
            chunk({"content": "👋"}),
            chunk(call(0, '{"p": "ü"}', "a", "t")),
            chunk({}, "stop"),
        ]
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert Reply.of(decode(*pieces)) == Reply.of(decode(stream))


def test_a_request_survives_the_way_out_and_in_again() -> None:
    request = CLIENT.decode_request(
        body(
            messages=[
                {"role": "system", "content": "s"},
                {"role": "user", "content": "u"},
                {
                    "role": "assistant",
                    "content": "x",
                    "tool_calls": [
                        {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a":[1,2]}'}}
                    ],
                },
                {"role": "tool", "tool_call_id": "t", "content": "r"},
            ],
            tools=[
                {
                    "type": "function",
                    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
                }
            ],
            tool_choice={"type": "function", "function": {"name": "f"}},
            parallel_tool_calls=False,
            temperature=0.5,
            seed=3,
            stop=["A", "B"],
            max_tokens=10,
            stream=True,
            stream_options={"include_usage": True},
            response_format={"type": "json_object"},
        )
    )
    assert CLIENT.decode_request(UPSTREAM.encode_request(request, "m")) == request


def test_a_client_sees_every_parallel_call_under_its_own_index() -> None:
    request = CLIENT.decode_request(body(stream=True, stream_options={"include_usage": True}))
    encoder = CLIENT.stream_encoder(request)
    events = decode(chunk(call(0, "{}", "a", "t1")), chunk(call(1, "{}", "b", "t2")), chunk({}, "tool_calls"))
    out = b"".join(encoder.encode(event) for event in events)
    *payloads, done = [line[6:] for line in out.decode().splitlines() if line.startswith("data: ")]
    assert done == "[DONE]"
    decoded = [json.loads(payload) for payload in payloads]
    assert decoded[0]["choices"][0]["delta"]["role"] == "assistant"
    assert decoded[-1]["choices"] == []
    assert decoded[-1]["usage"]["total_tokens"] >= 0
    assert decoded[-2]["choices"][0]["finish_reason"] == "tool_calls"
    indexes = [
        one["index"] for part in decoded[:-1] for one in part["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert sorted(set(indexes)) == [0, 1]
