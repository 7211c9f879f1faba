"""Messages as providers speak it: bodies that the API takes, and streams read to the letter."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.wire.anthropic import AnthropicUpstream
from lynkr_desktop.engine.wire.anthropic.learned import Learned
from lynkr_desktop.engine.wire.anthropic.outgoing import compose
from lynkr_desktop.engine.wire.canonical import (
    Document,
    Failed,
    Image,
    Message,
    Reasoning,
    RedactedThinking,
    Reply,
    Request,
    ResponseFormat,
    Started,
    Stopped,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from tests.support.fakes.anthropic_rules import check_messages_body

MODEL = "claude-sonnet-4-5"
LOOK = Tool("look", "looks", {"properties": {"at": {"type": "integer"}}})
PNG = "iVBORw0KGgo="


def request(*messages: Message, **fields: Any) -> Request:
    """A request, by default of one word."""
    return Request("m", messages or (Message("user", (Text("hi"),)),), **fields)


def body_of(
    asked: Request, model: str = MODEL, learned: Learned | None = None
) -> tuple[Any, tuple[str, ...]]:
    """The body, which the API must take, and what was left out."""
    composed = compose(asked, model, learned or Learned())
    body = json.loads(json.dumps(composed.body))
    check_messages_body(body)
    return body, composed.dropped


# ---------------------------------------------------------------- turns


def test_turns_are_merged_begin_with_the_user_and_hold_no_blank_text() -> None:
    body, _ = body_of(
        request(
            Message("assistant", (Text("I was here"),)),
            Message("user", (Text(""), Text("a"))),
            Message("user", (Text("b"),)),
            Message("assistant", (Text("  "),)),
            Message("assistant", (Text("and so  \n"),)),
        )
    )
    said = [(turn["role"], [block["text"] for block in turn["content"]]) for turn in body["messages"]]
    assert said == [
        ("user", ["Continue."]),
        ("assistant", ["I was here"]),
        ("user", ["a", "b"]),
        ("assistant", ["and so"]),
    ]


def test_calls_and_results_are_paired_whatever_their_ids() -> None:
    body, _ = body_of(
        request(
            Message("user", (Text("go"),)),
            Message(
                "assistant", (ToolUse("", "look", {}), ToolUse("a:1", "look", {}), ToolUse("x", "look", {}))
            ),
            Message(
                "user",
                (
                    Text("before"),
                    ToolResult("a:1", (Text("second"), Image("image/png", PNG)), is_error=True),
                    ToolResult("gone", (Text("orphan"),)),
                    ToolResult("", (Text("first"),)),
                ),
            ),
            Message("assistant", (ToolUse("x", "look", {}),)),
            tools=(LOOK,),
        )
    )
    first, second, third = [block["id"] for block in body["messages"][1]["content"]]
    assert (second, third) == ("a_1", "x")
    answers = body["messages"][2]["content"]
    assert [block.get("tool_use_id") for block in answers] == [second, first, third, None, None]
    assert answers[0]["is_error"] is True
    assert [part["type"] for part in answers[0]["content"]] == ["text", "image"]
    assert answers[2]["is_error"] is True
    assert [answers[3]["text"], "orphan" in answers[4]["text"]] == ["before", True]
    assert body["messages"][3]["content"][0]["id"] == "x_2"
    assert body["messages"][4]["content"][0]["tool_use_id"] == "x_2"


def test_only_signed_thoughts_go_along() -> None:
    signed = "sig-e3b0c44298fc1c149afbf4c8996fb924"
    thoughts = (Thinking("local"), Thinking("", signed), RedactedThinking("xx"), Text("hm"))
    body, dropped = body_of(request(Message("user", (Text("a"),)), Message("assistant", thoughts)))
    assert [block["type"] for block in body["messages"][1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
    ]
    assert dropped == ()


def test_calls_of_earlier_turns_want_their_tools_named() -> None:
    body, _ = body_of(
        request(
            Message("user", (Text("go"),)),
            Message("assistant", (ToolUse("a", "look", {}),)),
            Message("user", (ToolResult("a"),)),
        )
    )
    assert [tool["name"] for tool in body["tools"]] == ["look"]
    assert body["tool_choice"] == {"type": "none"}


def test_documents_and_images_take_the_form_that_claude_reads() -> None:
    content = (
        Image("image/jpg", PNG),
        Image(url="https://example.org/a.png"),
        Document("application/pdf", data=PNG, title="t"),
        Document("text/csv", data="YSxi"),
        Document(text="plain", media_type="text/plain"),
    )
    body, _ = body_of(request(Message("user", content)))
    sources = [block["source"] for block in body["messages"][0]["content"]]
    assert sources[0]["media_type"] == "image/jpeg"
    assert sources[3] == {"type": "text", "media_type": "text/plain", "data": "a,b"}
    for odd in (Image("image/tiff", PNG), Document("application/zip", data=PNG)):
        with pytest.raises(Unsupported):
            body_of(request(Message("user", (odd,))))


# ---------------------------------------------------------------- settings


def test_what_messages_has_no_word_for_is_named() -> None:
    asked = request(
        seed=1,
        temperature=1.5,
        top_p=0.5,
        stop=("x", " "),
        metadata={"a": "b"},
        extra={"logit_bias": {}},
        system=(Text("s", {"cache_control": {"type": "ephemeral"}}),),
        user="u",
    )
    body, dropped = body_of(asked)
    assert dropped == ("logit_bias", "metadata", "seed", "stop", "temperature", "top_p")
    assert (body["temperature"], body["stop_sequences"]) == (1, ["x"])
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["metadata"] == {"user_id": "u"}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort"),
    [
        ("claude-opus-5-5", Reasoning(True, None, "minimal"), {"type": "adaptive"}, "low"),
        ("claude-opus-5-5", Reasoning(True, 20000), {"type": "adaptive"}, "high"),
        (MODEL, Reasoning(True, None, "low"), {"type": "enabled", "budget_tokens": 4096}, None),
        (MODEL, Reasoning(True, 2000), {"type": "enabled", "budget_tokens": 2000}, None),
        (MODEL, Reasoning(False), {"type": "disabled"}, None),
        ("claude-3-haiku-20240307", Reasoning(True, None, "high"), None, None),
        (MODEL, None, None, None),
    ],
)
def test_each_model_thinks_in_the_way_that_it_takes(
    model: str, reasoning: Reasoning | None, thinking: Any, effort: str | None
) -> None:
    learned = Learned(4096) if "3-haiku" in model else None
    body, dropped = body_of(request(reasoning=reasoning, temperature=0.1, top_k=5), model, learned)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    if thinking is not None and thinking["type"] != "disabled":
        assert {"temperature", "top_k"} <= set(dropped)
    assert ("thinking" in dropped) is (reasoning is not None and reasoning.enabled and thinking is None)


def test_a_budget_fits_into_the_limit_or_is_left_out() -> None:
    body, dropped = body_of(request(reasoning=Reasoning(True, 9000), max_tokens=4000))
    assert (body["thinking"]["budget_tokens"], dropped) == (2000, ("thinking.budget_tokens",))
    body, dropped = body_of(request(reasoning=Reasoning(True, 9000), max_tokens=1500))
    assert ("thinking" in body, dropped) == (False, ("thinking",))


def test_thinking_gives_way_to_a_forced_tool_and_to_a_loop_that_began_without() -> None:
    forced = request(
        tools=(LOOK,), tool_choice=ToolChoice("required", parallel=False), reasoning=Reasoning(True)
    )
    body, dropped = body_of(forced)
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert dropped == ("thinking",)
    loop = (
        Message("user", (Text("go"),)),
        Message("assistant", (ToolUse("a", "look", {}),)),
        Message("user", (ToolResult("a"),)),
    )
    body, dropped = body_of(request(*loop, tools=(LOOK,), reasoning=Reasoning(True, None, "high")))
    assert ("thinking" in body, dropped) == (False, ("thinking",))


def test_a_schema_is_closed_and_its_loosened_words_are_named() -> None:
    schema = {
        "$defs": {"n": {"type": "integer", "minimum": 1, "description": "a number"}},
        "type": "object",
        "properties": {"a": {"oneOf": [{"$ref": "#/$defs/n"}, {"type": "object", "properties": {}}]}},
    }
    body, dropped = body_of(request(response_format=ResponseFormat("json_schema", schema)))
    sent = body["output_config"]["format"]["schema"]
    assert sent["$defs"]["n"] == {"type": "integer", "description": "a number (minimum: 1)"}
    assert sent["properties"]["a"]["anyOf"][1]["additionalProperties"] is False
    assert dropped == ("response_format.minimum",)
    body, dropped = body_of(request(response_format=ResponseFormat("json_object")))
    assert ("JSON" in body["system"][0]["text"], dropped) == (True, ("response_format",))


def test_refusals_teach_once_and_limits_only_sink() -> None:
    known = Learned().taught(
        "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for x"
    )
    assert known is not None
    assert known.most_tokens == 8192
    assert known.taught("max_tokens: 1 > 9000, which is the maximum allowed number of output tokens") is None
    more = known.taught("`temperature` is deprecated for this model.")
    assert more is not None
    assert more.taught("`temperature` is deprecated for this model.") is None
    assert more.taught("your credit balance is too low") is None
    body, dropped = body_of(request(temperature=0.5, max_tokens=9000), MODEL, more)
    assert (body["max_tokens"], "temperature" in body, dropped) == (
        8192,
        False,
        ("max_tokens", "temperature"),
    )


# ---------------------------------------------------------------- replies


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


USAGE = {
    "input_tokens": 5,
    "cache_read_input_tokens": 3,
    "cache_creation_input_tokens": 2,
    "output_tokens": 1,
}
STREAM = b"".join(
    [
        event("message_start", message={"id": "msg_1", "model": MODEL, "usage": USAGE}),
        event("ping"),
        event(
            "content_block_start",
            index=0,
            content_block={"type": "thinking", "thinking": "", "signature": ""},
        ),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "h\u00fcm"}),
        event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "s1"}),
        event("content_block_stop", index=0),
        event("content_block_start", index=1, content_block={"type": "redacted_thinking", "data": "zz"}),
        event("content_block_stop", index=1),
        event(
            "content_block_start", index=2, content_block={"type": "server_tool_use", "id": "s", "name": "w"}
        ),
        event("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": "{}"}),
        event("content_block_stop", index=2),
        event("content_block_start", index=3, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=3, delta={"type": "text_delta", "text": "☃"}),
        event("content_block_delta", index=3, delta={"type": "citations_delta", "citation": {}}),
        event("content_block_stop", index=3),
        event(
            "content_block_start",
            index=4,
            content_block={"type": "tool_use", "id": "t", "name": "look", "input": {}},
        ),
        event("content_block_delta", index=4, delta={"type": "input_json_delta", "partial_json": ""}),
        event("content_block_delta", index=4, delta={"type": "input_json_delta", "partial_json": '{"at":'}),
        event("content_block_delta", index=4, delta={"type": "input_json_delta", "partial_json": "1}"}),
        event("content_block_stop", index=4),
        event("odd_news", anything=1),
        event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
        event("message_stop"),
    ]
)


def decoded(*chunks: bytes) -> list[Any]:
    """All events of a stream."""
    decoder = AnthropicUpstream().stream_decoder()
    events = [event for chunk in chunks for _, found in decoder.feed(chunk) for event in found]
    return events + decoder.finish()


def test_a_stream_is_read_with_all_that_is_in_it() -> None:
    events = decoded(STREAM)
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    assert reply.content == (
        Thinking("h\u00fcm", "s1"),
        RedactedThinking("zz"),
        Text("☃"),
        ToolUse("t", "look", {"at": 1}),
    )
    assert reply.stop_reason == "tool_use"
    usage = reply.usage
    assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (10, 3, 2)
    assert (usage.output_tokens, usage.estimated) == (9, False)
    assert isinstance(events[0], Started)
    assert events[0].usage is not None
    assert events[0].usage.input_tokens == 10
    assert b"".join(raw for raw, _ in AnthropicUpstream().stream_decoder().feed(STREAM)) == STREAM


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(places)]
    assert decoded(*chunks) == decoded(STREAM)


@given(st.binary(max_size=300), st.integers(0, len(STREAM)))
def test_a_stream_always_ends_and_never_twice(garbage: bytes, cut: int) -> None:
    events = decoded(STREAM[:cut], garbage)
    assert isinstance(events[-1], Stopped | Failed)
    assert sum(isinstance(event, Stopped | Failed) for event in events) == 1


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("refusal", "refusal"),
        ("pause_turn", "end_turn"),
        ("model_context_window_exceeded", "max_tokens"),
        ("something_new", "end_turn"),
        ("tool_use", "end_turn"),
    ],
)
def test_reasons_to_stop(reason: str, stop: str) -> None:
    whole = {
        "content": [{"type": "text", "text": "x"}],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": USAGE,
    }
    last = AnthropicUpstream().decode_reply(json.dumps(whole).encode())[-1]
    assert isinstance(last, Stopped)
    assert last.reason == stop


@pytest.mark.parametrize(
    "stream",
    [
        STREAM[: STREAM.index(b"event: message_stop")],
        STREAM[: STREAM.index(b"event: message_delta")],
        event("message_start", message={}) + event("message_stop"),
        event("message_start", message={})
        + event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
        + event("message_stop"),
        b"",
        b"data: [1]\n\n",
        b"data: nonsense\n\n",
    ],
)
def test_an_end_is_never_invented(stream: bytes) -> None:
    assert isinstance(decoded(stream)[-1], Failed)


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 502), ("new", 502)],
)
def test_an_error_in_the_stream_keeps_its_kind(kind: str, status: int) -> None:
    last = decoded(event("error", error={"type": kind, "message": "m"}))[-1]
    assert (last.message, last.status, last.told) == ("m", status, True)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"type":"error","error":{"type":"not_found_error","message":"m"}}', "m"),
        (b'[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]', "m"),
        (b'{"message":"m"}', "m"),
        (b"<html>", "The upstream answered 404."),
        (b"[]", "The upstream answered 404."),
        (b'{"error":{"message":5}}', "The upstream answered 404."),
    ],
)
def test_errors_of_any_shape_are_read(body: bytes, message: str) -> None:
    error = AnthropicUpstream().decode_error(404, body)
    assert (error.message, error.status, error.kind) == (message, 404, "not_found")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"content": 5}', b'{"type":"error","error":{}}']
)
def test_what_is_no_message_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError):
        AnthropicUpstream().decode_reply(body)
