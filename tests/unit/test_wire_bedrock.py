"""Converse on the wire: what we send, which the published shapes must allow, and what its frames mean."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.wire.bedrock import BedrockUpstream, ConverseRequest, ConverseStreamDecoder
from lynkr_desktop.engine.wire.canonical import (
    Document,
    Event,
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
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from tests.support.fakes.aws import event, exception, frame, operation_input, shape_fault
from tests.support.fakes.bedrock import SIGNATURE, conversation_fault, model_fault

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWEST = "anthropic.claude-opus-4-8"
NOVA = "amazon.nova-pro-v1:0"
LLAMA = "meta.llama3-1-70b-instruct-v1:0"
PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = Tool("get_weather", "Weather of a city", SCHEMA)
CACHED = {"cache_control": {"type": "ephemeral"}}
THOUGHT = Thinking("hm", SIGNATURE)


def encode(request: Request, model: str = CLAUDE) -> dict[str, Any]:
    """The body, which the service would take."""
    body: dict[str, Any] = json.loads(ConverseRequest(request, model).body)
    faults = (
        shape_fault(body, operation_input("bedrock-runtime", "ConverseStream")),
        conversation_fault(body),
        model_fault(body, model),
    )
    assert faults == ("", "", "")
    return body


def ask(*content: Any, **fields: Any) -> Request:
    """A request of one user turn."""
    return Request(model="m", messages=(Message("user", content or (Text("Hi"),)),), **fields)


def talk(*turns: Any, **fields: Any) -> Request:
    """A conversation; the user begins, turns alternate unless one is a message."""
    roles = ("user", "assistant")
    messages = tuple(
        turn
        if isinstance(turn, Message)
        else Message(roles[n % 2], turn if isinstance(turn, tuple) else (turn,))  # type: ignore[arg-type]
        for n, turn in enumerate(turns)
    )
    return Request(model="m", messages=messages, **fields)


def dropped(request: Request, model: str = CLAUDE) -> tuple[str, ...]:
    """What the client is told was left out."""
    encode(request, model)
    return ConverseRequest(request, model).dropped


def contents(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The content of each turn."""
    return [message["content"] for message in body["messages"]]


# ---------------------------------------------------------------- requests


def test_a_plain_request() -> None:
    request = ask(
        system=(Text("Be brief."), Text(" ")),
        max_tokens=50,
        temperature=0.5,
        stop=("END",),
        metadata={"team": "blue"},
    )
    assert encode(request) == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 50, "temperature": 0.5, "stopSequences": ["END"]},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "requestMetadata": {"team": "blue"},
    }
    assert dropped(request) == ()


def test_tools_and_every_choice_of_them() -> None:
    tools = (WEATHER, Tool("clock"))
    body = encode(ask(tools=tools))
    assert body["toolConfig"]["tools"] == [
        {
            "toolSpec": {
                "name": "get_weather",
                "description": "Weather of a city",
                "inputSchema": {"json": SCHEMA},
            }
        },
        {"toolSpec": {"name": "clock", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
    ]
    assert "toolChoice" not in body["toolConfig"]
    required = encode(ask(tools=tools, tool_choice=ToolChoice("required")))
    assert required["toolConfig"]["toolChoice"] == {"any": {}}
    named = encode(ask(tools=tools, tool_choice=ToolChoice("named", "clock")))
    assert named["toolConfig"]["toolChoice"] == {"tool": {"name": "clock"}}
    assert "toolConfig" not in encode(ask(tools=tools, tool_choice=ToolChoice("none")))
    assert dropped(ask(tools=tools, tool_choice=ToolChoice(parallel=False))) == ("parallel_tool_calls",)
    with pytest.raises(InvalidRequest, match="'other'"):
        ConverseRequest(ask(tools=tools, tool_choice=ToolChoice("named", "other")), CLAUDE)


def test_a_tool_round_keeps_results_images_and_text_in_order() -> None:
    results = (
        ToolResult("a", (Text("sunny"), Image("image/png", PNG))),
        ToolResult("b", (Text("no such city"),), is_error=True),
        Text("and this:"),
        Image("image/jpeg", PNG),
    )
    calls = (Text("I look."), ToolUse("a", "get_weather", {"city": "Rome"}), ToolUse("b", "get_weather", {}))
    _, said, answered = contents(encode(talk(Text("?"), calls, results, tools=(WEATHER,))))
    assert said == [
        {"text": "I look."},
        {"toolUse": {"toolUseId": "a", "name": "get_weather", "input": {"city": "Rome"}}},
        {"toolUse": {"toolUseId": "b", "name": "get_weather", "input": {}}},
    ]
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    assert answered == [
        {"toolResult": {"toolUseId": "a", "content": [{"text": "sunny"}, image]}},
        {"toolResult": {"toolUseId": "b", "content": [{"text": "no such city"}], "status": "error"}},
        {"text": "and this:"},
        {"image": {"format": "jpeg", "source": {"bytes": PNG}}},
    ]


@pytest.mark.parametrize("choice", [ToolChoice("none"), ToolChoice()], ids=["none", "no tools"])
def test_without_tools_earlier_calls_are_told_as_text(choice: ToolChoice) -> None:
    """Converse refuses calls without a toolConfig, and with one the model could call what nobody offers."""
    request = talk(
        Text("?"),
        ToolUse("a", "get_weather", {"city": "Rome"}),
        ToolResult("a", (Text("sunny"), Image("image/png", PNG))),
        tools=(WEATHER,) if choice.kind == "none" else (),
        tool_choice=choice,
    )
    body = encode(request)
    assert "toolConfig" not in body
    _, said, answered = contents(body)
    assert said == [{"text": '[Call of the tool get_weather: {"city":"Rome"}]'}]
    assert answered[0] == {"text": "[Answer of a tool: sunny]"}
    assert "image" in answered[1]


@pytest.mark.parametrize(
    "request_",
    [
        talk(Message("assistant", (Text("I begin."),)), Message("user", (Text("ok"),))),
        talk(Message("user", (Text("a"),)), Message("user", (Text("b"),))),
        talk(Text("a"), Text(" \n"), Text("b")),
        talk(Text("a"), ToolUse("x", "f", {})),
        talk(Text("a"), ToolUse("", "f", {}), ToolResult("", (Text("1"),))),
        talk(Text("a"), (ToolUse("x", "f", {}), ToolUse("x", "f", {})), (ToolResult("x"), ToolResult("x"))),
        talk(Text("a"), ToolUse("x", "f", {}), (Text("b"), ToolResult("gone", (Text("2"),)))),
        talk(ToolResult("gone", (Text("2"), Image("image/png", PNG)))),
        talk(Text("a"), ToolUse("x" * 300, "f", {}), ToolResult("x" * 300)),
        talk(Text("a"), ToolUse("ä b/c", "f", {}), ToolResult("ä b/c", (Text(""),))),
        talk(Text("a"), ToolUse("x", "not offered now", {}), ToolResult("x")),
        talk(Document("application/pdf", PNG)),
        talk((Document(text="one", title="a/b:c..md"), Document(text="two", title="a b c md"))),
        talk(Text("go on"), Text("The answer is ")),
    ],
)
def test_what_clients_send_is_brought_in_order(request_: Request) -> None:
    tools = (Tool("f"), WEATHER)
    for model in (CLAUDE, NOVA):
        encode(Request(model="m", messages=request_.messages, tools=tools), model)
        encode(request_, model)


def test_an_orphan_result_is_kept_as_text() -> None:
    [[block]] = contents(encode(talk(ToolResult("gone", (Text("42"),)))))
    assert "42" in block["text"]


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        ConverseRequest(ask(Text("  ")), CLAUDE)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["user", "assistant"]),
            st.lists(
                st.one_of(
                    st.builds(Text, st.sampled_from(["", " ", "x", "y\n"])),
                    st.builds(
                        ToolUse,
                        st.sampled_from(["", "a", "b", "ü/"]),
                        st.sampled_from(["f", "ü"]),
                        st.just({}),
                    ),
                    st.builds(ToolResult, st.sampled_from(["", "a", "b", "ü/"])),
                    st.just(THOUGHT),
                    st.just(Thinking("unsigned")),
                    st.just(RedactedThinking("QUJD")),
                ),
                max_size=4,
            ),
        ),
        max_size=6,
    ),
    st.booleans(),
    st.sampled_from([CLAUDE, NOVA, LLAMA]),
)
@settings(max_examples=300, deadline=None)
def test_any_conversation_is_taken_or_refused_with_words(
    turns: list[tuple[Any, list[Any]]], with_tools: bool, model: str
) -> None:
    messages = tuple(
        Message(
            role,
            tuple(block for block in blocks if role == "assistant" or isinstance(block, Text | ToolResult)),
        )
        for role, blocks in turns
    )
    request = Request(model="m", messages=messages, tools=(Tool("f"),) if with_tools else ())
    try:
        encode(request, model)
    except InvalidRequest as refused:
        assert refused.message  # noqa: PT017 - both ends are good ones


def test_names_that_converse_refuses_come_back_as_they_were() -> None:
    tools = (Tool("files.read"), Tool("files_read"), Tool("x" * 80), Tool("дом"))
    made = ConverseRequest(ask(tools=tools), CLAUDE)
    specs = encode(ask(tools=tools))["toolConfig"]["tools"]
    safe = [entry["toolSpec"]["name"] for entry in specs]
    assert len(set(safe)) == 4
    assert safe[1] == "files_read"
    assert [made.tool_names.get(name, name) for name in safe] == [tool.name for tool in tools]
    stream = event(
        "contentBlockStart",
        {"start": {"toolUse": {"toolUseId": "t", "name": safe[0]}}, "contentBlockIndex": 0},
    )
    decoder = BedrockUpstream().stream_decoder(made.tool_names)
    [(_, [_, started])] = decoder.feed(stream)
    assert started.block.name == "files.read"  # type: ignore[union-attr]


def test_cache_control_becomes_cache_points_where_the_model_knows_them() -> None:
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    request = talk(
        (Text("long", CACHED),),
        ToolUse("a", "get_weather", {}),
        (ToolResult("a", (Text("x"),), extra=CACHED), Text("next")),
        system=(Text("system", hour),),
        tools=(Tool("get_weather", extra=CACHED),),
    )
    body = encode(request)
    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "system"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["toolConfig"]["tools"][1] == point
    assert contents(body)[0] == [{"text": "long"}, point]
    assert contents(body)[2][1] == point
    assert dropped(request) == ()
    assert "cachePoint" not in json.dumps(encode(request, LLAMA))
    assert dropped(request, LLAMA) == ("cache_control",)
    assert encode(request, NOVA)["toolConfig"]["tools"][1:] == []
    assert dropped(request, NOVA) == ("cache_control",)


def test_images_and_documents() -> None:
    request = ask(
        Text("look"),
        Image("image/webp", PNG),
        Document("application/pdf", PNG, title="Q3 report (final).pdf"),
        Document(text="plain words", title="notes"),
        Document("text/x-python", PNG),
    )
    [blocks] = contents(encode(request))
    assert blocks[1]["image"]["format"] == "webp"
    assert blocks[2]["document"]["format"] == "pdf"
    assert blocks[2]["document"]["name"] == "Q3 report (final) pdf"
    assert base64.b64decode(blocks[3]["document"]["source"]["bytes"]) == b"plain words"
    assert blocks[4]["document"] == {"format": "txt", "name": "document", "source": {"bytes": PNG}}


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (Image(url="https://example.org/a.png"), "not as a link"),
        (Image("image/tiff", PNG), "image/tiff"),
        (Document(url="https://example.org/a.pdf"), "not as a link"),
        (Document("application/zip", PNG), "application/zip"),
    ],
)
def test_what_bedrock_cannot_see_is_refused_by_name(block: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        ConverseRequest(ask(Text("look"), block), CLAUDE)


# ---------------------------------------------------------------- reasoning and sampling


def thinking_of(request: Request, model: str) -> tuple[Any, Any]:
    """What the model is asked to think, and with which effort."""
    body = encode(request, model)
    more = body.get("additionalModelRequestFields", {})
    return more.get("thinking"), body.get("outputConfig", {}).get("effort")


def test_reasoning_in_the_words_of_each_model() -> None:
    budget = Reasoning(True, 2048)
    high = Reasoning(True, effort="high")
    enabled = {"type": "enabled", "budget_tokens": 2048}
    adaptive = {"type": "adaptive"}
    assert thinking_of(ask(reasoning=budget, max_tokens=4000), CLAUDE) == (enabled, None)
    assert thinking_of(ask(reasoning=high, max_tokens=8000), CLAUDE)[0]["budget_tokens"] == 4000
    assert thinking_of(ask(reasoning=high), NEWEST) == (adaptive, "high")
    assert thinking_of(ask(reasoning=budget), NEWEST) == (adaptive, "low")
    assert thinking_of(ask(reasoning=budget), "anthropic.claude-sonnet-4-6") == (enabled, None)
    assert thinking_of(ask(reasoning=Reasoning(False)), CLAUDE) == (None, None)
    assert thinking_of(ask(), CLAUDE) == (None, None)
    nova = encode(ask(reasoning=high), "us.amazon.nova-2-lite-v1:0")
    assert nova["additionalModelRequestFields"] == {
        "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}
    }
    oss = encode(ask(reasoning=Reasoning(True, effort="minimal")), "openai.gpt-oss-120b-1:0")
    assert oss["additionalModelRequestFields"] == {"reasoning_effort": "low"}


@pytest.mark.parametrize(
    ("request_", "model"),
    [
        (ask(reasoning=Reasoning(True, effort="high"), max_tokens=1000), CLAUDE),
        (ask(reasoning=Reasoning(True, effort="high")), "anthropic.claude-3-5-haiku-20241022-v1:0"),
        (ask(reasoning=Reasoning(True, effort="high")), LLAMA),
        (
            ask(
                reasoning=Reasoning(True, effort="low"), tools=(WEATHER,), tool_choice=ToolChoice("required")
            ),
            NEWEST,
        ),
        (
            talk(
                Text("?"),
                ToolUse("a", "get_weather", {}),
                ToolResult("a"),
                tools=(WEATHER,),
                reasoning=Reasoning(True, effort="high"),
            ),
            CLAUDE,
        ),
    ],
    ids=["short answer", "old model", "other model", "forced tool", "goes on without thoughts"],
)
def test_thinking_that_would_be_refused_is_left_out_and_named(request_: Request, model: str) -> None:
    assert "thinking" in dropped(request_, model)
    assert thinking_of(request_, model) == (None, None)


def test_signed_thoughts_go_back_and_unsigned_ones_never() -> None:
    turn = (THOUGHT, RedactedThinking("QUJD"), Thinking("local"), ToolUse("a", "get_weather", {}))
    request = talk(Text("?"), turn, ToolResult("a"), tools=(WEATHER,), reasoning=Reasoning(True, 2048))
    body = encode(request)
    said = contents(body)[1]
    assert said[0] == {"reasoningContent": {"reasoningText": {"text": "hm", "signature": SIGNATURE}}}
    assert said[1] == {"reasoningContent": {"redactedContent": "QUJD"}}
    assert "local" not in json.dumps(body)
    assert thinking_of(request, CLAUDE)[0] is not None
    assert "reasoningContent" not in json.dumps(encode(request, NOVA))
    assert "signature" in dropped(request, NOVA)
    assert "signature" not in dropped(request)


def test_sampling_that_the_model_refuses_is_left_out_and_named() -> None:
    both = ask(temperature=0.2, top_p=0.9)
    assert dropped(both, CLAUDE) == ("top_p",)
    assert dropped(both, "anthropic.claude-3-haiku-20240307-v1:0") == ()
    assert dropped(both, NOVA) == ()
    assert dropped(both, NEWEST) == ("temperature", "top_p")
    assert encode(ask(temperature=1.7), NOVA)["inferenceConfig"] == {"temperature": 1.0}
    assert dropped(ask(temperature=1.7), NOVA) == ("temperature",)
    thinks = ask(temperature=0.2, top_k=5, reasoning=Reasoning(True, 2048))
    assert dropped(thinks, CLAUDE) == ("temperature", "top_k")
    assert encode(ask(top_k=5), CLAUDE)["additionalModelRequestFields"] == {"top_k": 5}
    assert encode(ask(top_k=5), NOVA)["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5}}
    assert dropped(ask(top_k=5), LLAMA) == ("top_k",)


def test_fields_without_a_word_are_named() -> None:
    request = ask(
        seed=1,
        user="u",
        stop=(" ", "END"),
        metadata={"long": "x" * 300},
        extra={"logit_bias": {}},
        response_format=ResponseFormat("json_object"),
    )
    assert dropped(request) == ("logit_bias", "metadata", "response_format", "seed", "stop", "user")
    assert "JSON" in encode(request)["system"][-1]["text"]


def test_structured_output() -> None:
    schema = {**SCHEMA, "required": ["city"], "additionalProperties": False}
    request = ask(response_format=ResponseFormat("json_schema", schema, "answer", True))
    wanted = encode(request)["outputConfig"]["textFormat"]
    assert wanted["type"] == "json_schema"
    definition = wanted["structure"]["jsonSchema"]
    assert (json.loads(definition["schema"]), definition["name"]) == (schema, "answer")


# ---------------------------------------------------------------- streams


def stream_of(*bodies: tuple[str, dict[str, Any]], reason: str = "end_turn", **usage: int) -> bytes:
    """A whole stream around these events."""
    counts = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, **usage}
    return b"".join(
        (
            event("messageStart", {"role": "assistant"}),
            *(event(kind, body) for kind, body in bodies),
            event("messageStop", {"stopReason": reason}),
            event("metadata", {"usage": counts, "metrics": {"latencyMs": 1}}),
        )
    )


def delta(index: int, **fields: Any) -> tuple[str, dict[str, Any]]:
    """A delta of a block."""
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": fields}


def stop(index: int) -> tuple[str, dict[str, Any]]:
    """The end of a block."""
    return "contentBlockStop", {"contentBlockIndex": index}


def tool(index: int, call_id: str, name: str) -> tuple[str, dict[str, Any]]:
    """The start of a call."""
    return "contentBlockStart", {
        "contentBlockIndex": index,
        "start": {"toolUse": {"toolUseId": call_id, "name": name}},
    }


RICH = stream_of(
    delta(0, reasoningContent={"text": "let me "}),
    delta(0, reasoningContent={"text": "see"}),
    delta(0, reasoningContent={"signature": SIGNATURE}),
    stop(0),
    delta(1, reasoningContent={"redactedContent": "QUI="}),
    delta(1, reasoningContent={"redactedContent": "Qw=="}),
    stop(1),
    delta(2, text="Grüße ☃"),
    stop(2),
    tool(3, "t1", "f"),
    delta(3, toolUse={"input": '{"a"'}),
    delta(3, toolUse={"input": ": 1}"}),
    stop(3),
    tool(4, "t2", "g"),
    delta(4, toolUse={"input": ""}),
    stop(4),
    reason="tool_use",
    cacheReadInputTokens=100,
    cacheWriteInputTokens=20,
)
FOLDED = Reply(
    id="",
    model="",
    content=(
        Thinking("let me see", SIGNATURE),
        RedactedThinking("QUJD"),
        Text("Grüße ☃"),
        ToolUse("t1", "f", {"a": 1}),
        ToolUse("t2", "g", {}),
    ),
    stop_reason="tool_use",
    usage=Usage(input_tokens=130, cached_tokens=100, cache_write_tokens=20, output_tokens=5),
)


def decode(*chunks: bytes) -> list[Event]:
    """All the events of a stream."""
    decoder = ConverseStreamDecoder()
    events = [event for chunk in chunks for _, events in decoder.feed(chunk) for event in events]
    return events + decoder.finish()


def failed(*chunks: bytes) -> Failed:
    """The failure that a stream ends with; nothing may follow it."""
    *before, last = decode(*chunks)
    assert isinstance(last, Failed)
    assert not any(isinstance(event, Failed | Stopped) for event in before)
    return last


def test_a_rich_stream() -> None:
    events = decode(RICH)
    assert Reply.of(events) == FOLDED
    assert [event.index for event in events if hasattr(event, "block")] == [0, 1, 2, 3, 4]  # type: ignore[union-attr]
    assert [event.json for event in events if isinstance(event, ToolInputDelta)] == ['{"a"', ": 1}"]


def test_the_same_events_however_it_is_split() -> None:
    whole = decode(RICH)
    assert decode(*(RICH[i : i + 1] for i in range(len(RICH)))) == whole
    for cut in range(0, len(RICH), 3):
        assert decode(RICH[:cut], RICH[cut:]) == whole


@given(st.lists(st.integers(0, len(RICH)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_split_gives_the_same(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(RICH)]
    assert Reply.of(decode(*(RICH[a:b] for a, b in pairwise(ends)))) == FOLDED


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("guardrail_intervened", "refusal"),
        ("content_filtered", "refusal"),
        ("tool_use", "end_turn"),
        ("something_new", "end_turn"),
    ],
)
def test_reasons_of_the_end(reason: str, expected: str) -> None:
    reply = Reply.of(decode(stream_of(delta(0, text="x"), stop(0), reason=reason)))
    assert isinstance(reply, Reply)
    assert reply.stop_reason == expected


def test_the_stop_sequence_is_told() -> None:
    frames = (
        event("messageStart", {"role": "assistant"})
        + event(*delta(0, text="x"))
        + event(
            "messageStop",
            {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}},
        )
    )
    reply = Reply.of(decode(frames))
    assert isinstance(reply, Reply)
    assert (reply.stop_sequence, reply.usage.estimated) == ("END", True)


def test_a_call_makes_it_tool_use_and_ids_are_unique() -> None:
    stream = stream_of(tool(0, "", "f"), stop(0), tool(1, "t", "f"), stop(1), tool(2, "t", "f"), stop(2))
    reply = Reply.of(decode(stream))
    assert isinstance(reply, Reply)
    assert reply.stop_reason == "tool_use"
    ids = [block.id for block in reply.content if isinstance(block, ToolUse)]
    assert all(ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize("malformed", ["malformed_model_output", "malformed_tool_use"])
def test_what_bedrock_could_not_read_is_a_failure(malformed: str) -> None:
    assert "could not read" in failed(stream_of(delta(0, text="x"), stop(0), reason=malformed)).message


def test_an_empty_answer_is_a_failure() -> None:
    assert "empty" in failed(stream_of()).message


def test_a_stream_that_just_ends_is_a_failure() -> None:
    end = RICH.index(event("messageStop", {"stopReason": "tool_use"}))
    for cut in (0, 5, 40, end - 1, end):
        assert "broke off" in failed(RICH[:cut]).message


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        ("throttlingException", 429, "rate_limit"),
        ("validationException", 400, "invalid_request"),
        ("internalServerException", 500, "internal"),
        ("serviceUnavailableException", 503, "unavailable"),
        ("modelStreamErrorException", 502, "upstream_error"),
        ("modelTimeoutException", 408, "timeout"),
        ("neverHeardOfException", 502, "upstream_error"),
    ],
)
def test_an_exception_in_the_stream(kind: str, status: int, word: str) -> None:
    begun = event("messageStart", {"role": "assistant"}) + event(*delta(0, text="Hel"))
    end = failed(begun + exception(kind, "Too many tokens, please wait."), event(*delta(0, text="more")))
    assert (end.status, end.kind) == (status, word)
    assert end.message == f"{kind}: Too many tokens, please wait."


def test_an_error_frame() -> None:
    headers = {
        ":message-type": "error",
        ":error-code": "InternalError",
        ":error-message": "An internal error",
    }
    assert failed(frame(headers, b"")).message == "InternalError: An internal error"


def test_a_damaged_frame_is_a_failure_after_what_was_good() -> None:
    good = event("messageStart", {"role": "assistant"}) + event(*delta(0, text="Hello"))
    broken = bytearray(event(*delta(0, text=" there")))
    broken[20] ^= 0xFF
    events = decode(good + bytes(broken) + RICH)
    assert [type(event).__name__ for event in events] == ["Started", "BlockStarted", "TextDelta", "Failed"]


def _with_checksums(lengths: bytes, rest: bytes) -> bytes:
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + rest
    return message + struct.pack(">I", zlib.crc32(message))


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html><body>502 Bad Gateway</body></html>",
        b'{"message": "not a frame at all, and long enough"}',
        b"\xff" * 64,
        bytes(64),
        frame({":event-type": "contentBlockDelta", ":message-type": "event"}, b"not json"),
        frame({":event-type": "contentBlockDelta", ":message-type": "event"}, b"[1, 2]"),
        frame({":event-type": "contentBlockDelta", ":message-type": "event"}, b"\xff\xfe"),
        frame({":event-type": "contentBlockDelta"}, b"[" * 100_000),
        frame({":event-type": "contentBlockDelta"}, b'{"contentBlockIndex": "0", "delta": {"text": 5}}'),
        _with_checksums(struct.pack(">II", 20, 4), b"\x01a\x63\x00"),
        _with_checksums(struct.pack(">II", 20, 4), b"\x09abc"),
    ],
)
def test_garbage_is_a_failure(garbage: bytes) -> None:
    failed(garbage)
    failed(event("messageStart", {"role": "assistant"}) + garbage)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes_never_crash(data: bytes) -> None:
    failed(data)


@given(st.integers(0, len(RICH) - 1), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_never_passes_unseen(position: int, change: int) -> None:
    """Every byte is under a checksum, so what was changed ends in a failure, not in another answer."""
    mutated = bytearray(RICH)
    mutated[position] ^= change
    assert isinstance(decode(bytes(mutated))[-1], Failed) or Reply.of(decode(bytes(mutated))) == FOLDED


def test_unknown_events_and_fields_are_passed_over() -> None:
    stream = stream_of(
        ("somethingNew", {"a": 1}),
        delta(0, citation={"title": "x"}),
        delta(0, text="x"),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "y", "new": [1]}, "q": None}),
        stop(0),
    )
    reply = Reply.of(decode(stream))
    assert isinstance(reply, Reply)
    assert reply.content == (Text("xy"),)


def test_arguments_of_no_call_are_a_failure() -> None:
    assert "had not begun" in failed(stream_of(delta(0, toolUse={"input": "{}"}))).message


# ---------------------------------------------------------------- whole replies and errors


def test_a_whole_reply() -> None:
    body = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": SIGNATURE}}},
                    {"reasoningContent": {"redactedContent": "QUJD"}},
                    {"text": "Hello"},
                    {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": {"b": [1, None]}}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7, "cacheReadInputTokens": 5},
        "metrics": {"latencyMs": 1},
    }
    events = BedrockUpstream().decode_reply(json.dumps(body).encode())
    assert isinstance(events[0], Started)
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    assert reply.content == (
        Thinking("hm", SIGNATURE),
        RedactedThinking("QUJD"),
        Text("Hello"),
        ToolUse("t", "f", {"a": {"b": [1, None]}}),
    )
    assert reply.stop_reason == "tool_use"
    assert reply.usage == Usage(input_tokens=8, cached_tokens=5, output_tokens=4)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"<html>", b'{"output": {}}', b'{"output": null, "stopReason": "end_turn"}', b"\xff"],
)
def test_what_is_no_reply_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError) as caught:
        BedrockUpstream().decode_reply(body)
    assert caught.value.status == 502


def test_an_empty_whole_reply_is_a_failure() -> None:
    body = {"output": {"message": {"content": [{"text": ""}]}}, "stopReason": "end_turn", "usage": {}}
    assert isinstance(Reply.of(BedrockUpstream().decode_reply(json.dumps(body).encode())), Failed)


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (400, b'{"message": "Malformed input"}', 400, "Malformed input"),
        (403, b'{"Message": "User is not authorized"}', 403, "User is not authorized"),
        (
            403,
            b'{"__type": "com.amazon.coral#ExpiredTokenException", "message": "The token is expired"}',
            403,
            "ExpiredTokenException: The token is expired",
        ),
        (424, b'{"message": "Model broke", "originalStatusCode": 503}', 503, "Model broke"),
        (424, b'{"message": "Model broke"}', 502, "Model broke"),
        (429, b"<html>", 429, "The upstream answered 429."),
        (500, b"", 500, "The upstream answered 500."),
        (400, b'{"message": 5}', 400, "The upstream answered 400."),
        (404, b'["x"]', 404, "The upstream answered 404."),
    ],
)
def test_errors(status: int, body: bytes, expected: int, message: str) -> None:
    error = BedrockUpstream().decode_error(status, body)
    assert (error.status, error.message) == (expected, message)
