"""Responses as upstreams speak it: their streams are told rightly, what is sent to them can be read back."""

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
    Document,
    Event,
    Failed,
    Image,
    Message,
    Reasoning,
    Reply,
    Request,
    ResponseFormat,
    Started,
    Stopped,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolChoice,
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import Unsupported, WireError
from lynkr_desktop.engine.wire.openai_responses import ResponsesClient, ResponsesUpstream
from tests.support.fakes.base import OUTPUT_TOKENS, PROMPT_TOKENS, Asked
from tests.support.fakes.openai_responses import ResponsesWire, check_input
from tests.support.script import Call, Say, Think
from tests.support.script import Reply as Script

CLIENT, UPSTREAM = ResponsesClient(), ResponsesUpstream()
HI = Message("user", (Text("hi"),))
BROKEN_OFF = "The upstream's answer broke off before its end."


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def response(status: str = "in_progress", **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "model": "m", "status": status, "output": [], **fields}


CREATED = event("response.created", response=response(), sequence_number=0)
COMPLETED = event("response.completed", response=response("completed"), sequence_number=9)


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def decode(*pieces: bytes) -> list[Event]:
    decoder = UPSTREAM.stream_decoder()
    events = [event for piece in pieces for _, found in decoder.feed(piece) for event in found]
    return events + decoder.finish()


def played(*steps: Any, stream: bool = True, reason: str = "stop", **fields: Any) -> bytes:
    """What api.openai.com would send for the steps."""
    asked = Asked("POST", "/v1/responses", {}, {}, json.dumps({"stream": stream, **fields}).encode())
    wire = ResponsesWire(asked)
    if not stream:
        return wire.whole(Script(tuple(steps), done_reason=reason))
    out = wire.start()
    for step in steps:
        match step:
            case Say():
                out += wire.say(step.text)
            case Think():
                out += wire.think(step.text)
            case Call():
                out += b"".join(wire.call(step.name, step.arguments))
    return out + wire.end(reason, counts=True)


EVERYTHING = (Think("I "), Think("think"), Say("Hel"), Say("lo ☃"), Call("f", {"a": 1}), Call("g", {}))
FREEFORM = {"type": "custom", "name": "patch"}


# ---------------------------------------------------------------- answers in


def test_a_stream_of_everything() -> None:
    events = decode(played(*EVERYTHING))
    assert events[0] == Started("resp_68af4030592c81938ec0a5fbab4a3e9f", "m")
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    assert reply.content == (
        Thinking("I think"),
        Text("Hello ☃"),
        ToolUse("call_0", "f", {"a": 1}),
        ToolUse("call_1", "g", {}),
    )
    assert reply.stop_reason == "tool_use"
    assert reply.usage == Usage(PROMPT_TOKENS, output_tokens=OUTPUT_TOKENS)
    assert sum(isinstance(event, TextDelta) for event in events) == 2
    opened = [event.index for event in events if isinstance(event, BlockStarted)]
    closed = [event.index for event in events if isinstance(event, BlockStopped)]
    assert opened == closed == [0, 1, 2, 3]


def test_a_whole_answer_says_the_same_as_a_stream() -> None:
    whole = Reply.of(UPSTREAM.decode_reply(played(*EVERYTHING, stream=False)))
    assert whole == Reply.of(decode(played(*EVERYTHING)))
    cut = Reply.of(UPSTREAM.decode_reply(played(Say("half"), stream=False, reason="length")))
    assert isinstance(cut, Reply)
    assert cut.stop_reason == "max_tokens"


@given(st.lists(st.integers(0, 6000), max_size=12))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    raw = played(*EVERYTHING)
    places = sorted({0, len(raw), *(cut % len(raw) for cut in cuts)})
    assert decode(*(raw[start:end] for start, end in pairwise(places))) == decode(raw)


def test_a_freeform_call_is_a_call_with_one_argument() -> None:
    for stream in (True, False):
        raw = played(Call("patch", {"input": 'a\n"b"\\ ü'}), stream=stream, tools=[FREEFORM])
        reply = Reply.of(decode(raw) if stream else UPSTREAM.decode_reply(raw))
        assert isinstance(reply, Reply)
        assert reply.content == (ToolUse("call_0", "patch", {"input": 'a\n"b"\\ ü'}),)


@pytest.mark.parametrize(
    ("reason", "stop"), [("length", "max_tokens"), ("content_filter", "refusal"), ("stop", "end_turn")]
)
def test_why_it_ended(reason: str, stop: StopReason) -> None:
    reply = Reply.of(decode(played(Say("x"), reason=reason)))
    assert isinstance(reply, Reply)
    assert reply.stop_reason == stop


def test_servers_that_send_items_without_deltas() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
    sparse = decode(
        CREATED,
        event("response.output_item.done", output_index=0, item=message("Hello")),
        event("response.output_item.done", output_index=1, item=call),
        COMPLETED,
    )
    at_the_end = decode(
        CREATED, event("response.completed", response=response("completed", output=[message("Hello"), call]))
    )
    for events in (sparse, at_the_end):
        reply = Reply.of(events)
        assert isinstance(reply, Reply)
        assert reply.content == (Text("Hello"), ToolUse("c", "f", {"a": 1}))
        assert reply.usage.estimated


def test_a_refusal_is_text_and_parts_of_reasoning_stay_apart() -> None:
    def delta(kind: str, text: str, **place: int) -> bytes:
        return event(f"response.{kind}.delta", output_index=place.pop("at"), delta=text, **place)

    events = decode(
        CREATED,
        delta("reasoning_summary_text", "one", at=0, summary_index=0),
        delta("reasoning_summary_text", "two", at=0, summary_index=1),
        delta("refusal", "I will not.", at=1, content_index=0),
        COMPLETED,
    )
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    assert reply.content == (Thinking("one\n\ntwo"), Text("I will not."))


def test_what_openais_servers_did_is_no_empty_answer() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    events = decode(
        CREATED,
        event("response.output_item.added", output_index=0, item=search),
        event("response.web_search_call.searching", output_index=0, item_id="ws_1"),
        event("response.some_event_of_tomorrow", anything=[1]),
        event("response.output_item.done", output_index=0, item=search),
        COMPLETED,
    )
    assert [type(event) for event in events] == [Started, Stopped]


def test_work_in_the_background_is_no_failure() -> None:
    body = json.dumps(response("queued", background=True)).encode()
    assert [type(event) for event in UPSTREAM.decode_reply(body)] == [Started, Stopped]


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("pieces", "message", "status"),
    [
        ((CREATED,), BROKEN_OFF, 502),
        ((CREATED, event("response.output_text.delta", output_index=0, delta="x")), BROKEN_OFF, 502),
        ((CREATED, COMPLETED), "The model returned an empty answer.", 502),
        ((), BROKEN_OFF, 502),
        ((b"data: {nonsense\n\n",), "The upstream sent a piece that is not an event of a response.", 502),
        ((b"data: \xff\xfe\n\n",), "The upstream sent a piece that is not an event of a response.", 502),
        ((b"data: [1]\n\n",), "The upstream sent a piece that is not an event of a response.", 502),
        ((b"data: " + b"[" * 100_000 + b"\n\n",), None, 502),
        ((CREATED, event("error", code="rate_limit_exceeded", message="slow")), "slow", 429),
        ((CREATED, event("error", error={"code": "server_error", "message": "broke"})), "broke", 502),
        ((CREATED, event("error", code="odd")), "The response failed with odd.", 502),
        (
            (
                event(
                    "response.failed",
                    response=response("failed", error={"code": "context_length_exceeded", "message": "long"}),
                ),
            ),
            "long",
            400,
        ),
        ((event("response.cancelled", response=response("cancelled")),), "The response was cancelled.", 502),
        ((b'data: {"error": {"message": "gateway"}}\n\n',), "gateway", 502),
    ],
)
def test_faults_are_failures_and_the_last_event(
    pieces: tuple[bytes, ...], message: str | None, status: int
) -> None:
    events = decode(*pieces, event("response.output_text.delta", output_index=0, delta="after"))
    last = [event for event in events if isinstance(event, Failed)]
    if last:
        assert events[-1] == last[0]
    else:
        last = [event for event in decode(*pieces) if isinstance(event, Failed)]
    [failed] = last
    assert failed.status == status
    if message is not None:
        assert failed.message == message


@pytest.mark.parametrize(
    ("body", "message", "status"),
    [
        (b"", "not a response", 502),
        (b"<html>", "not a response", 502),
        (b"[]", "not a response", 502),
        (b"{}", "not a response", 502),
        (b'{"output": {}}', "not a response", 502),
        (b'{"error": {"message": "broke", "code": "server_error"}}', "broke", 502),
        (
            json.dumps(response("failed", error={"message": "m", "code": "rate_limit_exceeded"})).encode(),
            "m",
            429,
        ),
        (json.dumps(response("completed")).encode(), "empty answer", 502),
    ],
)
def test_bodies_that_are_no_answer(body: bytes, message: str, status: int) -> None:
    with pytest.raises(WireError, match=message) as refused:
        UPSTREAM.decode_reply(body)
    assert refused.value.status == status


def test_an_error_response_keeps_the_upstreams_words() -> None:
    body = (
        b'{"error": {"message": "No such model", "type": "invalid_request_error", "code": "model_not_found"}}'
    )
    error = UPSTREAM.decode_error(404, body)
    assert (error.message, error.status, error.kind) == ("No such model", 404, "not_found")


def test_a_failure_is_told_in_the_upstreams_own_stream() -> None:
    decoder = UPSTREAM.stream_decoder()
    decoder.feed(CREATED + event("response.output_text.delta", output_index=0, delta="x", sequence_number=4))
    [failed] = decoder.finish()
    assert isinstance(failed, Failed)
    error, last = [
        json.loads(block.split("data: ")[1]) for block in decoder.failure(failed).decode().split("\n\n")[:-1]
    ]
    assert (error["type"], error["sequence_number"], error["message"]) == ("error", 5, BROKEN_OFF)
    assert (last["type"], last["sequence_number"]) == ("response.failed", 6)
    assert (last["response"]["id"], last["response"]["status"]) == ("resp_1", "failed")


# ---------------------------------------------------------------- requests out


def sent(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(UPSTREAM.encode_request(request, "gpt"))
    return body


def test_a_conversation_keeps_its_order() -> None:
    turns = (
        HI,
        Message(
            "assistant",
            (Thinking("hm"), Text("I look."), *(ToolUse(name, "f", {}) for name in ("c1", "c2", "c3"))),
        ),
        Message(
            "user",
            (
                Text("before"),
                ToolResult("c1", (Text("one"),)),
                ToolResult("c2", (Text("two"), Image("image/png", "AAAA"))),
                ToolResult("c3", (Text("no such file"),), is_error=True),
                Text("after"),
            ),
        ),
    )
    body = sent(Request(model="m", messages=turns, system=(Text("rules"), Text("more"))))
    assert body["instructions"] == "rules\n\nmore"
    kinds = [(item["type"], item.get("role") or item.get("call_id")) for item in body["input"]]
    assert kinds == [
        ("message", "user"),
        ("message", "assistant"),
        ("function_call", "c1"),
        ("function_call", "c2"),
        ("function_call", "c3"),
        ("function_call_output", "c1"),
        ("function_call_output", "c2"),
        ("function_call_output", "c3"),
        ("message", "user"),
    ]
    outputs = [item.get("output") for item in body["input"][5:8]]
    assert outputs[0] == "one"
    assert outputs[1][1]["image_url"] == "data:image/png;base64,AAAA"
    assert outputs[2][0]["text"] == "Error:"
    assert [part["text"] for part in body["input"][8]["content"]] == ["before", "after"]
    assert check_input(body) is None
    assert body["store"] is False
    assert "stream" not in body


def test_what_responses_cannot_say() -> None:
    with pytest.raises(Unsupported) as refused:
        UPSTREAM.encode_request(Request(model="m", messages=(HI,), stop=("x",)), "m")
    assert refused.value.param == "stop"
    request = Request(
        model="m",
        messages=(HI, Message("assistant", (Thinking("hm"), Text("x", {"cache_control": {}}))), HI),
        top_k=3,
        seed=4,
        extra={"logit_bias": {}, "verbosity": "low", "prompt_cache_key": "k"},
    )
    assert UPSTREAM.dropped(request) == ("cache_control", "logit_bias", "seed", "thinking", "top_k")
    body = sent(request)
    assert (body["text"], body["prompt_cache_key"]) == ({"verbosity": "low"}, "k")


# ---------------------------------------------------------------- there and back

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-9, 9) | WORDS, max_size=3)
IDS = st.from_regex(r"call_[a-z0-9]{1,8}", fullmatch=True)
IMAGES = st.builds(Image, media_type=st.just("image/png"), data=st.just("AAAA")) | st.builds(
    Image, url=st.just("https://example.com/a.png")
)
DOCUMENTS = st.builds(
    Document, media_type=st.just("application/pdf"), data=st.just("BBBB"), title=st.just("a.pdf")
)
TEXTS = st.builds(Text, WORDS)
USER_TURN = st.lists(TEXTS | IMAGES | DOCUMENTS, min_size=1, max_size=3)
OUTPUTS = st.lists(TEXTS | IMAGES, min_size=1, max_size=3).map(tuple)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """A turn of the user, one of the model with calls, and their answers with more behind them."""
    calls = [
        ToolUse(call_id, "f", draw(ARGUMENTS)) for call_id in draw(st.lists(IDS, max_size=3, unique=True))
    ]
    said = [Text(text) for text in draw(st.lists(WORDS, min_size=1, max_size=2))]
    answers = [ToolResult(call.id, draw(OUTPUTS)) for call in calls]
    return (
        Message("user", tuple(draw(USER_TURN))),
        Message("assistant", (*said, *calls)),
        Message("user", (*answers, *draw(USER_TURN))),
    )


REQUESTS = st.builds(
    Request,
    model=st.just("gpt"),
    messages=conversations(),
    system=st.lists(TEXTS, max_size=1).map(tuple),
    tools=st.just((Tool("f", "does f", {"type": "object", "properties": {}}),)),
    tool_choice=st.builds(
        ToolChoice, st.sampled_from(["auto", "none", "required"]), parallel=st.none() | st.booleans()
    )
    | st.just(ToolChoice("named", "f")),
    max_tokens=st.none() | st.integers(1, 99),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    stream=st.booleans(),
    reasoning=st.none() | st.sampled_from(["low", "high"]).map(lambda effort: Reasoning(True, None, effort)),
    response_format=st.none()
    | st.just(ResponseFormat("json_object"))
    | st.just(ResponseFormat("json_schema", {"type": "object"}, "answer", True)),
    user=st.sampled_from(["", "u"]),
    metadata=st.just({}) | st.just({"k": "v"}),
)


@given(REQUESTS)
def test_a_request_comes_back_as_it_was(request: Request) -> None:
    back = CLIENT.decode_request(UPSTREAM.encode_request(request, "gpt"))
    as_before = {name: getattr(back, name) for name in Request.__struct_fields__ if name != "origin"}
    assert Request(**as_before) == request


BLOCKS = st.lists(
    st.builds(lambda words: Thinking("".join(words)), st.lists(WORDS, min_size=1, max_size=3))
    | st.builds(lambda words: Text("".join(words)), st.lists(WORDS, min_size=1, max_size=3))
    | st.builds(ToolUse, IDS, st.just("f"), ARGUMENTS),
    min_size=1,
    max_size=5,
)


def events_of(blocks: list[Any]) -> list[Event]:
    events: list[Event] = [Started("resp_7", "m")]
    for index, block in enumerate(blocks):
        match block:
            case Text():
                events += [BlockStarted(index, Text("")), TextDelta(index, block.text)]
            case Thinking():
                events += [BlockStarted(index, Thinking("")), ThinkingDelta(index, block.text)]
            case ToolUse():
                events += [BlockStarted(index, ToolUse(block.id, block.name, {}))]
                events += [ToolInputDelta(index, json.dumps(block.input))]
        events.append(BlockStopped(index))
    called = any(isinstance(block, ToolUse) for block in blocks)
    return [*events, Stopped("tool_use" if called else "end_turn", Usage(9, 1, 2, 5, 3))]


@given(BLOCKS)
def test_a_stream_comes_back_as_it_was(blocks: list[Any]) -> None:
    events = events_of(blocks)
    encoder = CLIENT.stream_encoder(Request(model="m", messages=(HI,)))
    assert decode(b"".join(encoder.encode(event) for event in events)) == events


@given(BLOCKS)
def test_a_whole_reply_comes_back_as_it_was(blocks: list[Any]) -> None:
    reply = Reply.of(events_of(blocks))
    assert isinstance(reply, Reply)
    body = CLIENT.encode_reply(reply, Request(model="m", messages=(HI,)))
    assert Reply.of(UPSTREAM.decode_reply(body)) == reply
