"""generateContent as Google speaks it: bodies that it takes, and streams read to the letter."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.wire.canonical import (
    Document,
    Failed,
    Image,
    Message,
    Reasoning,
    Reply,
    Request,
    ResponseFormat,
    Stopped,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.gemini import GeminiUpstream, Signatures
from lynkr_desktop.engine.wire.gemini.outgoing import compose
from tests.support.fakes.gemini_rules import check_gemini_body

NEW, OLD = "gemini-3-pro-preview", "gemini-2.5-flash"
LOOK = Tool("look", "looks", {"$schema": "x", "type": "object", "additionalProperties": False})
PNG = "iVBORw0KGgo="


def request(*messages: Message, **fields: Any) -> Request:
    """A request, by default of one word."""
    return Request("m", messages or (Message("user", (Text("hi"),)),), **fields)


def body_of(asked: Request, model: str = NEW) -> tuple[Any, tuple[str, ...]]:
    """The body, which Google must take, and what was left out."""
    composed = compose(asked, model, Signatures())
    body = json.loads(json.dumps(composed.body))
    check_gemini_body(body, model, vertex=True)
    return body, composed.dropped


def test_turns_calls_and_results_take_googles_form() -> None:
    body, dropped = body_of(
        request(
            Message("assistant", (Text("I began"),)),
            Message("user", (Text("go"), Image("image/png", PNG), Document(url="https://x.org/a.pdf?b"))),
            Message(
                "assistant", (Thinking("hm", "sig"), ToolUse("a", "look", {}), ToolUse("b", "see", {"x": 1}))
            ),
            Message(
                "user",
                (
                    ToolResult("b", (Text("bad"), Image("image/png", PNG)), is_error=True),
                    Text("and"),
                    ToolResult("a", (Text("fine"),)),
                ),
            ),
            system=(Text("s1"), Text(""), Text("s2")),
            tools=(LOOK,),
            tool_choice=ToolChoice("named", "look", parallel=False),
        )
    )
    roles = [content["role"] for content in body["contents"]]
    assert roles == ["user", "model", "user", "model", "user"]
    assert body["contents"][2]["parts"][2]["fileData"]["mimeType"] == "application/pdf"
    answers = body["contents"][4]["parts"]
    assert answers[0]["functionResponse"] == {"name": "see", "response": {"error": "bad"}}
    assert answers[1]["functionResponse"] == {"name": "look", "response": {"output": "fine"}}
    assert [next(iter(part)) for part in answers[2:]] == ["inlineData", "text"]
    assert body["systemInstruction"] == {"parts": [{"text": "s1"}, {"text": "s2"}]}
    [declared] = body["tools"][0]["functionDeclarations"]
    assert declared["parametersJsonSchema"] == {"type": "object", "additionalProperties": False}
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["look"]}
    assert dropped == ("parallel_tool_calls", "signature")


def test_settings_go_along_or_are_named() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    body, dropped = body_of(
        request(
            max_tokens=5,
            temperature=1.7,
            top_p=0.5,
            top_k=3,
            seed=2**40,
            stop=("x",),
            user="u",
            extra={"presence_penalty": 0.5, "logit_bias": {}},
            response_format=ResponseFormat("json_schema", schema),
        )
    )
    assert body["generationConfig"] == {
        "maxOutputTokens": 5,
        "temperature": 1.7,
        "topP": 0.5,
        "topK": 3,
        "stopSequences": ["x"],
        "presencePenalty": 0.5,
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }
    assert dropped == ("logit_bias", "seed", "user")
    assert body_of(request(seed=7))[0]["generationConfig"] == {"seed": 7}


@pytest.mark.parametrize(
    "asked",
    [
        request(stop=tuple("abcdef")),
        request(Message("user", (Image(),))),
    ],
)
def test_what_gemini_cannot_be_told_is_refused(asked: Request) -> None:
    with pytest.raises(Unsupported):
        body_of(asked)


def test_older_models_take_no_format_beside_tools() -> None:
    asked = request(tools=(LOOK,), response_format=ResponseFormat("json_object"))
    assert body_of(asked)[0]["generationConfig"] == {"responseMimeType": "application/json"}
    with pytest.raises(Unsupported):
        body_of(asked, OLD)


@pytest.mark.parametrize(
    ("model", "reasoning", "config", "dropped"),
    [
        (NEW, Reasoning(True, None, "low"), {"includeThoughts": True, "thinkingLevel": "LOW"}, ()),
        (NEW, Reasoning(True, None, "max"), {"includeThoughts": True, "thinkingLevel": "HIGH"}, ("effort",)),
        (
            NEW,
            Reasoning(True, 9000),
            {"includeThoughts": True, "thinkingLevel": "MEDIUM"},
            ("thinking.budget_tokens",),
        ),
        (NEW, Reasoning(False), {"thinkingLevel": "LOW"}, ("thinking",)),
        (OLD, Reasoning(True), {"includeThoughts": True}, ()),
        (OLD, Reasoning(True, 2000), {"includeThoughts": True, "thinkingBudget": 2000}, ()),
        (
            OLD,
            Reasoning(True, 99999),
            {"includeThoughts": True, "thinkingBudget": 24576},
            ("thinking.budget_tokens",),
        ),
        (OLD, Reasoning(False), {"thinkingBudget": 0}, ()),
        ("gemini-2.5-pro", Reasoning(False), {"thinkingBudget": 128}, ("thinking",)),
        ("gemini-2.0-flash", Reasoning(True, None, "high"), None, ("thinking",)),
    ],
)
def test_each_generation_thinks_in_the_way_that_it_takes(
    model: str, reasoning: Reasoning, config: Any, dropped: tuple[str, ...]
) -> None:
    body, left_out = body_of(request(reasoning=reasoning), model)
    assert body.get("generationConfig", {}).get("thinkingConfig") == config
    assert left_out == dropped


# ---------------------------------------------------------------- replies


def chunk(*parts: Any, **more: Any) -> bytes:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if "finish" in more:
        candidate["finishReason"] = more.pop("finish")
    return f"data: {json.dumps({'candidates': [candidate], **more}, ensure_ascii=False)}\r\n\r\n".encode()


STREAM = b"".join(
    [
        chunk({"text": "h\u00fcm", "thought": True}, usageMetadata={"promptTokenCount": 11}, responseId="r"),
        chunk({"text": "☃"}, {"executableCode": {"code": "1"}}),
        chunk({"functionCall": {"name": "look", "args": {"at": 1}}, "thoughtSignature": "sig"}),
        chunk({"functionCall": {"name": "look"}}),
        chunk(
            {"text": "", "thoughtSignature": "z"},
            finish="STOP",
            usageMetadata={"promptTokenCount": 11, "candidatesTokenCount": 3, "thoughtsTokenCount": 2},
        ),
    ]
)


def decoded(*chunks: bytes) -> list[Any]:
    """All events of a stream."""
    decoder = GeminiUpstream().stream_decoder()
    events = [event for chunk in chunks for _, found in decoder.feed(chunk) for event in found]
    return events + decoder.finish()


def shape(events: list[Any]) -> list[Any]:
    """Events without the ids of calls, which are new each time."""
    return [
        ToolUse("", event.block.name, {}) if isinstance(getattr(event, "block", None), ToolUse) else event
        for event in events
    ]


def test_a_stream_is_read_with_all_that_is_in_it() -> None:
    codec = GeminiUpstream()
    decoder = codec.stream_decoder()
    events = [event for _, found in decoder.feed(STREAM) for event in found] + decoder.finish()
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    thought, said, first, second = reply.content
    assert (thought, said) == (Thinking("h\u00fcm"), Text("☃"))
    assert isinstance(first, ToolUse)
    assert isinstance(second, ToolUse)
    assert (first.input, second.input, first.id != second.id) == ({"at": 1}, {}, True)
    assert (codec.signatures.of(first.id), codec.signatures.of(second.id)) == ("sig", None)
    assert reply.stop_reason == "tool_use"
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.reasoning_tokens) == (11, 5, 2)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    chunks = [STREAM[start:end] for start, end in pairwise([0, *sorted(cuts), len(STREAM)])]
    assert shape(decoded(*chunks)) == shape(decoded(STREAM))


@given(st.binary(max_size=300), st.integers(0, len(STREAM)))
def test_a_stream_always_ends_and_never_twice(garbage: bytes, cut: int) -> None:
    events = decoded(STREAM[:cut], garbage)
    assert isinstance(events[-1], Stopped | Failed)
    assert sum(isinstance(event, Stopped | Failed) for event in events) == 1


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", "end_turn"),
        ("MAX_TOKENS", "max_tokens"),
        ("SAFETY", "refusal"),
        ("RECITATION", "refusal"),
        ("IMAGE_SAFETY", "refusal"),
        ("MALFORMED_FUNCTION_CALL", None),
        ("OTHER", None),
        ("A_NEW_ONE", None),
    ],
)
def test_reasons_to_stop(reason: str, stop: str | None) -> None:
    last = decoded(chunk({"text": "x"}, finish=reason))[-1]
    assert (last.reason if isinstance(last, Stopped) else None) == stop


@pytest.mark.parametrize(
    "stream",
    [
        STREAM[: STREAM.rindex(b"data:")],
        chunk({"text": ""}, finish="STOP"),
        chunk({"text": "only a thought", "thought": True}, finish="STOP"),
        b"",
        b"data: nonsense\n\n",
        b'data: {"error": {"code": 503, "message": "busy"}}\n\n',
    ],
)
def test_an_end_is_never_invented(stream: bytes) -> None:
    assert isinstance(decoded(stream)[-1], Failed)


@pytest.mark.parametrize("listed", [False, True])
def test_errors_say_when_to_come_back(listed: bool) -> None:
    details = [{"@type": "x"}, "odd", {"retryDelay": "7.5s"}]
    body: Any = {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": details}}
    error = GeminiUpstream().decode_error(429, json.dumps([body] if listed else body).encode())
    assert (error.message, error.status, error.kind, error.retry_after) == ("m", 429, "rate_limit", 7.5)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"candidates": 5}', b'[{"error":{"code":500}}]']
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError):
        GeminiUpstream().decode_reply(body)


def test_signatures_are_forgotten_in_their_order() -> None:
    kept = Signatures()
    kept.keep("first", "a")
    for number in range(4095):
        kept.keep(str(number), "b")
    assert kept.of("first") == "a"
    kept.keep("last", "c")
    assert (kept.of("first"), kept.of("0"), kept.of("last")) == ("a", None, "c")
