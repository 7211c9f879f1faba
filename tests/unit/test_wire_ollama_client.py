"""Ollama's protocol as clients speak it: what they send is understood, what they get is what Ollama sends."""

from __future__ import annotations

import base64
import json
from datetime import datetime
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
    Message,
    Reasoning,
    Reply,
    Request,
    ResponseFormat,
    Started,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from lynkr_desktop.engine.wire.ollama import (
    ForwardedBody,
    OllamaChatClient,
    OllamaGenerateClient,
    OllamaStreamDecoder,
    OllamaUpstream,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"0" * 20).decode()
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather", "parameters": {"type": "object"}},
}


def chat(*messages: Any, **fields: Any) -> Any:
    turns = list(messages) or [{"role": "user", "content": "Hi"}]
    body = {"model": "llama3.2", "messages": turns, **fields}
    return OllamaChatClient().decode_request(json.dumps(body).encode())


def generate(**fields: Any) -> Any:
    return OllamaGenerateClient().decode_request(json.dumps({"model": "llama3.2", **fields}).encode())


# ---------------------------------------------------------------- requests


def test_a_conversation_with_tools_is_understood() -> None:
    request = chat(
        {"role": "system", "content": "Be brief."},
        {"role": "User", "content": "Weather?", "images": [PNG, JPEG]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "Hm.",
            "tool_calls": [
                {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}},
                {"function": {"name": "get_time", "arguments": {}}},
            ],
        },
        {"role": "tool", "tool_name": "get_time", "content": "noon"},
        {"role": "tool", "tool_name": "get_weather", "content": "4 degrees"},
        {"role": "user", "content": "And?"},
        tools=[TOOL],
        options={
            "num_predict": 50,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 20,
            "seed": 7,
            "stop": ["END"],
            "num_ctx": 8192,
            "repeat_penalty": 1.1,
        },
        keep_alive="5m",
    )
    assert request.system == (Text("Be brief."),)
    user, assistant, answers = request.messages
    assert user.content == (
        Text("Weather?"),
        Image(media_type="image/png", data=PNG),
        Image(media_type="image/jpeg", data=JPEG),
    )
    thinking, weather, time = assistant.content
    assert thinking == Thinking("Hm.")
    assert (weather.name, weather.input, time.name) == ("get_weather", {"city": "Oslo"}, "get_time")
    assert weather.id != time.id
    assert answers.content == (
        ToolResult(time.id, (Text("noon"),)),
        ToolResult(weather.id, (Text("4 degrees"),)),
        Text("And?"),
    )
    assert request.tools[0].name == "get_weather"
    assert (request.max_tokens, request.temperature, request.top_p) == (50, 0.5, 0.9)
    assert (request.top_k, request.seed, request.stop) == (20, 7, ("END",))
    assert request.extra == {"num_ctx": 8192, "repeat_penalty": 1.1, "keep_alive": "5m"}
    assert not request.inexpressible


def test_a_stream_is_what_ollama_gives_unless_told_otherwise() -> None:
    assert chat().stream is True
    assert chat(stream=None).stream is True
    assert chat(stream=False).stream is False


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [
        (None, None),
        (True, Reasoning(enabled=True)),
        (False, Reasoning(enabled=False)),
        ("high", Reasoning(enabled=True, effort="high")),
    ],
)
def test_think(think: Any, reasoning: Reasoning | None) -> None:
    assert chat(think=think).reasoning == reasoning


def test_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert chat(format="json").response_format == ResponseFormat("json_object")
    assert chat(format=schema).response_format == ResponseFormat("json_schema", schema)
    assert chat(format="").response_format is None


@pytest.mark.parametrize("limit", [-1, -2, 0])
def test_no_limit_of_tokens(limit: int) -> None:
    assert chat(options={"num_predict": limit}).max_tokens is None


def test_generate_is_a_chat_of_one_turn() -> None:
    request = generate(prompt="Hi", system="Be brief.", images=[PNG], options={"num_predict": 5}, think=False)
    assert request.system == (Text("Be brief."),)
    assert request.messages[0].content == (Text("Hi"), Image(media_type="image/png", data=PNG))
    assert request.max_tokens == 5
    assert request.stream is True


@pytest.mark.parametrize("field", ["suffix", "template", "context", "raw"])
def test_what_only_ollama_can_do_is_named(field: str) -> None:
    value: Any = {"context": [1, 2], "raw": True}.get(field, "x")
    assert generate(prompt="a", **{field: value}).inexpressible == (field,)
    assert chat(logprobs=True).inexpressible == ("logprobs",)


def test_a_request_without_messages_only_loads() -> None:
    assert chat_of([]).messages == ()
    assert OllamaChatClient().decode_request(b'{"model": "m"}').messages == ()
    assert generate().messages == ()
    assert generate(prompt="").messages == ()
    # A system text alone is a conversation, though only Ollama answers to it.
    alone = chat_of([{"role": "system", "content": "x"}])
    assert alone.messages
    assert alone.inexpressible


def chat_of(messages: list[Any]) -> Any:
    return OllamaChatClient().decode_request(json.dumps({"model": "m", "messages": messages}).encode())


def test_ids_are_unique_and_orphans_are_told() -> None:
    call = {"id": "same", "function": {"name": "f", "arguments": {}}}
    turn = {"role": "assistant", "content": "", "tool_calls": [call, call]}
    request = chat(
        {"role": "user", "content": "go"},
        turn,
        {"role": "tool", "content": "one"},
        {"role": "tool", "content": "two"},
        {"role": "tool", "content": "nobody asked"},
        turn,
    )
    ids = [block.id for message in request.messages for block in message.content if hasattr(block, "id")]
    assert len(set(ids)) == 4
    answers = request.messages[2].content
    assert [answer.tool_use_id for answer in answers[:2]] == ids[:2]
    assert answers[2] == Text("nobody asked")


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "content"),
        ({"messages": [{"role": "user", "images": ["not base64"]}]}, "images[0]"),
        ({"messages": [{"role": "user", "images": [3]}]}, "images[0]"),
        ({"messages": [{"role": "user", "images": ["A"]}]}, "images[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": {"a": 1}}, "tools"),
        ({"options": []}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"stop": "x"}}, "options.stop"),
        ({"options": {"num_predict": 1.5}}, "options.num_predict"),
        ({"think": "very"}, "think"),
        ({"think": 1}, "think"),
        ({"format": "yaml"}, "format"),
        ({"stream": "yes"}, "stream"),
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], where: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], **fields}
    with pytest.raises(InvalidRequest) as refused:
        OllamaChatClient().decode_request(json.dumps(body).encode())
    assert where in refused.value.message


def test_arguments_as_a_string_are_refused_as_by_ollama() -> None:
    call = {"function": {"name": "f", "arguments": '{"a": 1}'}}
    with pytest.raises(InvalidRequest, match=r"tool_calls\[0\]\.function\.arguments must be an object"):
        chat({"role": "assistant", "content": "", "tool_calls": [call]})


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_nothing_but_an_error_comes_of_garbage(value: Any) -> None:
    for codec in (OllamaChatClient(), OllamaGenerateClient()):
        for key in ("model", "messages", "prompt", "options", "tools", "images", "format", "think", "stream"):
            body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "prompt": "x", key: value}
            try:
                codec.decode_request(json.dumps(body).encode())
            except InvalidRequest:
                pass


# ---------------------------------------------------------------- answers

EVENTS: list[Event] = [
    Started("id", "m"),
    BlockStarted(0, Thinking("")),
    ThinkingDelta(0, "Hm."),
    BlockStopped(0),
    BlockStarted(1, Text("")),
    TextDelta(1, "Hel"),
    TextDelta(1, "lo"),
    BlockStopped(1),
    BlockStarted(2, ToolUse("c1", "get_weather", {})),
    ToolInputDelta(2, '{"city": "O'),
    BlockStarted(3, ToolUse("c2", "get_time", {"zone": "UTC"})),
    ToolInputDelta(2, 'slo"}'),
    BlockStopped(2),
    BlockStopped(3),
    Stopped("tool_use", Usage(input_tokens=11, output_tokens=5)),
]
CALLS = [
    {"id": "c1", "function": {"index": 0, "name": "get_weather", "arguments": {"city": "Oslo"}}},
    {"id": "c2", "function": {"index": 1, "name": "get_time", "arguments": {"zone": "UTC"}}},
]


def lines(codec: Any, events: list[Event]) -> list[Any]:
    encoder = codec.stream_encoder(chat())
    sent = b"".join(encoder.encode(event) for event in events)
    assert sent.endswith(b"\n")
    return [json.loads(line) for line in sent.splitlines()]


def check_end(line: dict[str, Any], reason: str) -> None:
    assert line["done"] is True
    assert line["done_reason"] == reason
    assert (line["prompt_eval_count"], line["eval_count"]) == (11, 5)
    for name in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"):
        assert isinstance(line[name], int)
    assert line["eval_duration"] > 0


def test_a_stream_of_chat() -> None:
    sent = lines(OllamaChatClient(), EVENTS)
    *middle, last = sent
    assert [line["message"] for line in middle] == [
        {"role": "assistant", "content": "", "thinking": "Hm."},
        {"role": "assistant", "content": "Hel"},
        {"role": "assistant", "content": "lo"},
        {"role": "assistant", "content": "", "tool_calls": CALLS[:1]},
        {"role": "assistant", "content": "", "tool_calls": CALLS[1:]},
    ]
    assert all(line["done"] is False and line["model"] == "m" for line in middle)
    for line in sent:
        assert datetime.fromisoformat(line["created_at"]).tzinfo is not None
    assert last["message"] == {"role": "assistant", "content": ""}
    check_end(last, "stop")


def test_a_stream_of_generate() -> None:
    sent = lines(OllamaGenerateClient(), [*EVENTS[:8], Stopped("max_tokens", Usage(11, 0, 0, 5))])
    assert [line["response"] for line in sent] == ["", "Hel", "lo", ""]
    assert sent[0]["thinking"] == "Hm."
    check_end(sent[-1], "length")


def test_a_failure_ends_a_stream_as_a_line() -> None:
    sent = lines(OllamaChatClient(), [Started("", "m"), Failed("It broke.")])
    assert sent == [{"error": "It broke."}]
    assert OllamaChatClient().encode_stream_error(WireError("No.")) == b'{"error":"No."}\n'
    assert OllamaChatClient().encode_error(WireError("No."), "req_1") == b'{"error":"No."}'


def test_a_whole_answer() -> None:
    reply = Reply.of(EVENTS)
    assert isinstance(reply, Reply)
    sent = json.loads(OllamaChatClient().encode_reply(reply, chat()))
    assert sent["message"] == {
        "role": "assistant",
        "content": "Hello",
        "thinking": "Hm.",
        "tool_calls": CALLS,
    }
    check_end(sent, "stop")
    sent = json.loads(OllamaGenerateClient().encode_reply(reply, chat()))
    assert (sent["response"], sent["thinking"]) == ("Hello", "Hm.")


def test_what_is_sent_is_understood_again() -> None:
    for codec in (OllamaChatClient(), OllamaGenerateClient()):
        encoder = codec.stream_encoder(chat())
        decoder = OllamaStreamDecoder()
        sent = b"".join(encoder.encode(event) for event in EVENTS)
        events = [event for _, found in decoder.feed(sent) for event in found] + decoder.finish()
        before, after = Reply.of(EVENTS), Reply.of(events)
        assert isinstance(before, Reply)
        assert isinstance(after, Reply)
        assert after.content == before.content
        assert after.stop_reason == "tool_use"
        assert after.usage == before.usage


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
OBJECTS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS, max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> Request:
    """Requests that Ollama's protocol can say whole."""
    turns: list[Message] = []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        pictures = st.lists(st.just(Image(media_type="image/png", data=PNG)), max_size=2)
        turns.append(Message("user", (Text(draw(WORDS)), *draw(pictures))))
        if draw(st.booleans()):
            calls = [
                ToolUse(f"c{number + index}", draw(WORDS), draw(OBJECTS))
                for index in range(draw(st.integers(1, 2)))
            ]
            number += len(calls)
            turns.append(Message("assistant", (Thinking(draw(WORDS)), Text(draw(WORDS)), *calls)))
            turns.append(Message("user", tuple(ToolResult(call.id, (Text(draw(WORDS)),)) for call in calls)))
        turns.append(Message("assistant", (Text(draw(WORDS)),)))
    return Request(
        model="m",
        messages=tuple(turns),
        system=(Text(draw(WORDS)),),
        tools=tuple(Tool(name, "does", {"type": "object"}) for name in draw(st.lists(WORDS, max_size=2))),
        max_tokens=draw(st.none() | st.integers(1, 10**6)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_k=draw(st.none() | st.integers(0, 100)),
        seed=draw(st.none() | st.integers(0, 2**31)),
        stop=tuple(draw(st.lists(WORDS, max_size=2))),
        stream=draw(st.booleans()),
        reasoning=draw(st.sampled_from([None, Reasoning(enabled=False), Reasoning(True, None, "high")])),
        response_format=draw(st.sampled_from([None, ResponseFormat("json_object")])),
    )


@given(conversations())
def test_what_is_said_to_ollama_is_understood_from_its_clients(request: Request) -> None:
    understood = OllamaChatClient().decode_request(OllamaUpstream().encode_request(request, "m"))
    assert understood == request


@given(st.lists(st.integers(1, 400), max_size=8), st.sampled_from(["chat", "generate"]))
def test_any_split_of_a_stream_gives_the_same_events(sizes: list[int], kind: str) -> None:
    codec = OllamaChatClient() if kind == "chat" else OllamaGenerateClient()
    encoder = codec.stream_encoder(chat())
    sent = b"".join(encoder.encode(event) for event in EVENTS)
    decoder = OllamaStreamDecoder()
    events: list[Event] = []
    for size in [*sizes, len(sent)]:
        piece, sent = sent[:size], sent[size:]
        events += [event for _, found in decoder.feed(piece) for event in found]
    whole = Reply.of(events + decoder.finish())
    assert isinstance(whole, Reply)
    before = Reply.of(EVENTS)
    assert isinstance(before, Reply)
    assert whole.content == before.content


# ---------------------------------------------------------------- forwarding


def forwarded(body: dict[str, Any], **fields: Any) -> Any:
    return json.loads(ForwardedBody(json.dumps(body).encode(), "llama3.2").encode(**fields))


def test_a_body_goes_on_as_it_came() -> None:
    body = {"model": "LLAMA3.2:latest", "messages": [{"role": "user", "content": "ü"}], "new_field": [1.50]}
    assert forwarded(body, think=None) == {**body, "model": "llama3.2"}


def test_window_and_time_to_live_are_added_where_the_client_says_nothing() -> None:
    body = {"model": "m", "options": {"seed": 1}}
    assert forwarded(body, think=None, num_ctx=8192, keep_alive="5m") == {
        "model": "llama3.2",
        "options": {"num_ctx": 8192, "seed": 1},
        "truncate": False,
        "shift": False,
        "keep_alive": "5m",
    }
    own = {"model": "m", "options": {"num_ctx": 2048}, "keep_alive": 0}
    assert ForwardedBody(json.dumps(own).encode(), "m").num_ctx == 2048
    assert forwarded(own, think=None, num_ctx=8192, keep_alive="5m") == {**own, "model": "llama3.2"}
    assert (
        forwarded({"model": "m", "truncate": True, "options": None}, think=None, num_ctx=1)["truncate"]
        is True
    )
