"""Ollama's wire format: what we send it, and what its lines mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
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
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError
from lynkr_desktop.engine.wire.ollama import (
    ChatBody,
    OllamaStreamDecoder,
    OllamaUpstream,
    dropped_fields,
    think_of,
)
from tests.support.ollama_checks import check_chat

PNG = "iVBORw0KGgo="
WEATHER = Tool(
    "get_weather", "Weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}}
)
CLOCK = Tool("clock")


def encode(request: Request) -> dict[str, Any]:
    """The body as Ollama reads it; it must pass Ollama's own checks."""
    body: dict[str, Any] = json.loads(OllamaUpstream().encode_request(request, "m"))
    check_chat(body)
    return body


def ask(*content: Any, **fields: Any) -> Request:
    """A request of one user turn."""
    return Request(model="m", messages=(Message("user", content),), **fields)


def line(content: str = "", **fields: Any) -> bytes:
    """A line of the stream."""
    message = {"role": "assistant", "content": content}
    for name in ("thinking", "tool_calls"):
        if name in fields:
            message[name] = fields.pop(name)
    body = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False, **fields}
    return json.dumps(body, ensure_ascii=False).encode() + b"\n"


def done(reason: str = "stop", **fields: Any) -> bytes:
    """The last line."""
    return line(done=True, done_reason=reason, prompt_eval_count=12, eval_count=3, **fields)


def call(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    """A tool call of a line."""
    return {"function": {"name": name, "arguments": arguments}, **fields}


def decode(*chunks: bytes) -> list[Event]:
    """The events of a stream that came in these chunks."""
    decoder = OllamaStreamDecoder()
    events = [event for chunk in chunks for _, piece in decoder.feed(chunk) for event in piece]
    return events + decoder.finish()


def reply(*chunks: bytes) -> Reply:
    """The reply of a stream that ended well."""
    folded = Reply.of(decode(*chunks))
    assert isinstance(folded, Reply), folded
    return folded


def failure(*chunks: bytes) -> Failed:
    """How a stream failed; nothing may follow."""
    events = decode(*chunks)
    assert isinstance(events[-1], Failed), events
    assert not any(isinstance(event, Stopped | Failed) for event in events[:-1])
    return events[-1]


# ---------------------------------------------------------------- requests


def test_a_plain_question() -> None:
    body = encode(ask(Text("Hi"), system=(Text("Be brief."), Text("Be kind."))))
    assert body["messages"] == [
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        {"role": "user", "content": "Hi"},
    ]
    assert body["stream"] is False
    assert body["options"] == {}
    assert not {"tools", "format", "think", "keep_alive", "truncate"} & body.keys()


def test_sampling_options() -> None:
    body = encode(
        ask(
            Text("Hi"),
            max_tokens=64,
            temperature=0.0,
            top_p=0.5,
            top_k=7,
            seed=0,
            stop=("END",),
            stream=True,
            extra={"presence_penalty": 0.5, "frequency_penalty": "high", "min_p": 0.1},
        )
    )
    assert body["stream"] is True
    assert body["options"] == {
        "num_predict": 64,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 7,
        "seed": 0,
        "stop": ["END"],
        "presence_penalty": 0.5,
        "min_p": 0.1,
    }


def test_the_window_comes_with_the_wish_not_to_be_cut() -> None:
    request = ask(Text("Hi"), seed=3)
    body = json.loads(ChatBody(request, "m").encode(num_ctx=8192, keep_alive="10m", think="high"))
    check_chat(body)
    assert body["options"] == {"num_ctx": 8192, "seed": 3}
    assert (body["truncate"], body["shift"]) == (False, False)
    assert (body["keep_alive"], body["think"]) == ("10m", "high")


def test_a_tool_round_trip_has_objects_as_arguments() -> None:
    request = Request(
        model="m",
        tools=(WEATHER,),
        messages=(
            Message("user", (Text("Weather in Oslo and Rome?"),)),
            Message(
                "assistant",
                (
                    Thinking("Two cities."),
                    Text("I look."),
                    ToolUse("a", "get_weather", {"city": "Oslo"}),
                    ToolUse("b", "get_weather", {"city": "Rome"}),
                ),
            ),
            Message(
                "user",
                (
                    ToolResult("b", (Text("warm"),)),
                    ToolResult("a", (Text("no station"),), is_error=True),
                    Text("And now?"),
                ),
            ),
        ),
    )
    body = encode(request)
    assert body["messages"][1] == {
        "role": "assistant",
        "content": "I look.",
        "thinking": "Two cities.",
        "tool_calls": [
            {"id": "a", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}},
            {"id": "b", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}},
        ],
    }
    assert body["messages"][2:] == [
        {"role": "tool", "content": "warm", "tool_name": "get_weather", "tool_call_id": "b"},
        {
            "role": "tool",
            "content": "Error:\n\nno station",
            "tool_name": "get_weather",
            "tool_call_id": "a",
        },
        {"role": "user", "content": "And now?"},
    ]
    assert body["tools"][0]["function"]["parameters"] == WEATHER.input_schema


def test_what_stands_around_tool_results_keeps_its_place() -> None:
    result = ToolResult("x", (Text("shot"), Image("image/png", PNG)))
    body = encode(ask(Text("before"), result, Image("image/png", PNG), Text("after")))
    assert [message["role"] for message in body["messages"]] == ["user", "tool", "user"]
    assert body["messages"][1] == {
        "role": "tool",
        "content": "shot",
        "images": [PNG],
        "tool_call_id": "x",
    }
    assert body["messages"][2] == {"role": "user", "content": "after", "images": [PNG]}


def test_images_as_data_urls_and_as_links() -> None:
    body = encode(ask(Image(url=f"data:image/png;base64,{PNG}"), Text("What is it?")))
    assert body["messages"][0]["images"] == [PNG]
    with pytest.raises(InvalidRequest, match="base64"):
        encode(ask(Image(url="https://example.com/a.png")))
    with pytest.raises(InvalidRequest, match="base64"):
        encode(ask(Image(url="data:image/svg+xml,<svg/>")))


def test_documents_are_text_or_refused_by_name() -> None:
    body = encode(ask(Document("text/plain", text="a b c", title="notes.txt"), Text("Sum up.")))
    assert body["messages"][0]["content"] == "notes.txt\n\na b c\n\nSum up."
    with pytest.raises(InvalidRequest, match="application/pdf"):
        encode(ask(Document("application/pdf", data="JVBERg==")))


@pytest.mark.parametrize(
    ("choice", "offered", "dropped"),
    [
        (ToolChoice(), ["get_weather", "clock"], ()),
        (ToolChoice("none"), None, ()),
        (ToolChoice("required"), ["get_weather", "clock"], ("tool_choice",)),
        (ToolChoice("named", "clock"), ["clock"], ("tool_choice",)),
        (ToolChoice(parallel=False), ["get_weather", "clock"], ("parallel_tool_calls",)),
    ],
)
def test_tool_choice(choice: ToolChoice, offered: list[str] | None, dropped: tuple[str, ...]) -> None:
    request = ask(Text("Hi"), tools=(WEATHER, CLOCK), tool_choice=choice)
    tools = encode(request).get("tools")
    assert (tools and [tool["function"]["name"] for tool in tools]) == offered
    assert dropped_fields(request) == dropped


def test_a_tool_without_a_schema_takes_an_object() -> None:
    body = encode(ask(Text("Hi"), tools=(CLOCK,)))
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


def test_what_ollama_has_no_word_for_is_named() -> None:
    request = ask(Text("Hi"), extra={"prompt_cache_key": "k", "min_p": 0.1, "store": True})
    assert dropped_fields(request) == ("prompt_cache_key", "store")


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    assert encode(ask(Text("Hi"), response_format=ResponseFormat("json_object")))["format"] == "json"
    assert encode(ask(Text("Hi"), response_format=ResponseFormat("json_schema", schema)))["format"] == schema


@pytest.mark.parametrize(
    ("reasoning", "think"),
    [
        (None, None),
        (Reasoning(enabled=False), False),
        (Reasoning(enabled=True, budget_tokens=2000), True),
        (Reasoning(enabled=True, effort="minimal"), "low"),
        (Reasoning(enabled=True, effort="medium"), "medium"),
        (Reasoning(enabled=True, effort="xhigh"), "max"),
        (Reasoning(enabled=True, effort="unheard of"), True),
    ],
)
def test_think(reasoning: Reasoning | None, think: Any) -> None:
    assert think_of(reasoning) == think


# ---------------------------------------------------------------- replies


def test_text() -> None:
    events = decode(line("Hel"), line("lo"), done())
    assert isinstance(events[0], Started)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hel", "lo"]
    folded = reply(line("Hel"), line("lo"), done())
    assert folded.content == (Text("Hello"),)
    assert folded.stop_reason == "end_turn"
    assert folded.usage == Usage(input_tokens=12, output_tokens=3)
    assert folded.model == "m"


def test_each_line_is_given_on_as_it_comes() -> None:
    decoder = OllamaStreamDecoder()
    (raw, events), *rest = decoder.feed(line("Hel") + line("lo")[:-1])
    assert raw == line("Hel")
    assert isinstance(events[-1], TextDelta)
    assert not rest


def test_thinking_then_text_are_two_blocks() -> None:
    events = decode(line(thinking="Hm"), line(thinking="m."), line("Yes"), done())
    opened = [(event.index, type(event.block)) for event in events if isinstance(event, BlockStarted)]
    assert opened == [(0, Thinking), (1, Text)]
    assert [event.text for event in events if isinstance(event, ThinkingDelta)] == ["Hm", "m."]
    folded = reply(line(thinking="Hm"), line(thinking="m."), line("Yes"), done())
    assert folded.content == (Thinking("Hmm."), Text("Yes"))


def test_tool_calls_stop_for_the_tool_though_done_reason_says_stop() -> None:
    folded = reply(
        line("I look."),
        line(tool_calls=[call("get_weather", {"city": "Oslo"}), call("get_weather", {"city": "Rome"})]),
        done("stop"),
    )
    assert folded.stop_reason == "tool_use"
    first, second = folded.content[1:]
    assert isinstance(first, ToolUse)
    assert isinstance(second, ToolUse)
    assert (first.input, second.input) == ({"city": "Oslo"}, {"city": "Rome"})
    assert first.id
    assert second.id
    assert first.id != second.id


def test_ids_of_the_server_are_kept_unless_they_repeat() -> None:
    calls = [call("a", {}, id="call_1"), call("b", {}, id="call_1"), call("c", {}, id="")]
    folded = reply(line(tool_calls=calls), done())
    ids = [block.id for block in folded.content if isinstance(block, ToolUse)]
    assert ids[0] == "call_1"
    assert len(set(ids)) == 3
    assert all(ids)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"a": 1}', {"a": 1}), (None, {}), ("oops", {"raw": "oops"}), ([1], {"raw": [1]})],
)
def test_odd_arguments_are_kept(arguments: Any, expected: dict[str, Any]) -> None:
    folded = reply(line(tool_calls=[call("f", arguments)]), done())
    assert isinstance(folded.content[0], ToolUse)
    assert folded.content[0].input == expected


def test_length() -> None:
    assert reply(line("Hel"), done("length")).stop_reason == "max_tokens"
    # A limit of one token may leave nothing to show; that is no error.
    assert reply(done("length")).stop_reason == "max_tokens"


def test_a_last_line_without_a_message_or_counts() -> None:
    decoder = OllamaStreamDecoder(prompt_estimate=40)
    events = [event for _, piece in decoder.feed(line("Hi") + b'{"done": true}\n') for event in piece]
    assert events[-1] == Stopped("end_turn", Usage(input_tokens=40, estimated=True))
    assert decoder.prompt_tokens is None


@pytest.mark.parametrize("reason", ["stop", "load", "unload"])
def test_an_empty_answer_is_a_failure(reason: str) -> None:
    assert "empty" in failure(done(reason)).message


def test_reasoning_alone_is_no_answer() -> None:
    assert "reasoning" in failure(line(thinking="Hm."), done()).message


def test_an_error_line_within_http_200() -> None:
    error = json.dumps({"error": "model runner has unexpectedly stopped"}).encode() + b"\n"
    failed = failure(line("Hel"), error, line("lo"), done())
    assert failed.message == "model runner has unexpectedly stopped"
    assert failed.status == 502
    assert failure(b'{"error": {"odd": 1}}\n').message


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("model 'x' not found", 404),
        ('"x" does not support thinking', 400),
        ("model requires more system memory (9.1 GiB) than is available (3.2 GiB)", 503),
        ("server busy, please try again. maximum pending requests exceeded", 503),
    ],
)
def test_errors_within_http_200_have_the_status_they_mean(message: str, status: int) -> None:
    assert failure(json.dumps({"error": message}).encode() + b"\n").status == status


def test_a_stream_without_done_broke_off() -> None:
    assert "broke off" in failure(line("Hel")).message
    assert "broke off" in failure().message


@pytest.mark.parametrize(
    "garbage",
    [
        b"<html>Bad gateway</html>\n",
        b"[1, 2]\n",
        b'{"message": "text"}\n',
        b'{"message": {"content": 3}}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"message": {"tool_calls": [{"function": "f"}]}}\n',
    ],
)
def test_garbage_is_a_failure_and_nothing_worse(garbage: bytes) -> None:
    failure(garbage)
    failure(line("Hel"), garbage, done())


def test_nothing_follows_the_end() -> None:
    events = decode(line("Hi"), done(), line("more"), b"garbage\n")
    assert isinstance(events[-1], Stopped)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hi"]


def test_a_last_line_without_a_newline_counts() -> None:
    assert reply(line("Hi"), done().rstrip()).content == (Text("Hi"),)


def test_a_whole_reply() -> None:
    codec = OllamaUpstream()
    whole = line("Hi", done=True, done_reason="stop", thinking="Hm.", prompt_eval_count=5, eval_count=2)
    folded = Reply.of(codec.decode_reply(whole.rstrip()))
    assert isinstance(folded, Reply)
    assert folded.content == (Thinking("Hm."), Text("Hi"))
    with pytest.raises(WireError, match="unexpectedly stopped"):
        codec.decode_reply(b'{"error": "runner has unexpectedly stopped"}')
    with pytest.raises(WireError):
        codec.decode_reply(b"")


@pytest.mark.parametrize(
    ("status", "body", "message", "kind"),
    [
        (404, b'{"error": "model \'x\' not found"}', "model 'x' not found", "not_found"),
        (400, b'{"error": "bad"}', "bad", "invalid_request"),
        (503, b'{"error": "server busy"}', "server busy", "unavailable"),
        (502, b"<html>", "no reason given (HTTP 502)", "upstream_error"),
        (500, b'{"error": {"deep": 1}}', "no reason given (HTTP 500)", "internal"),
    ],
)
def test_error_bodies(status: int, body: bytes, message: str, kind: str) -> None:
    error = OllamaUpstream().decode_error(status, body)
    assert (error.status, error.message, error.kind) == (status, message, kind)


# ---------------------------------------------------------------- any split, any input

pieces = st.one_of(
    st.text(max_size=30).map(line),
    st.text(min_size=1, max_size=30).map(lambda thought: line(thinking=thought)),
    st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=8), st.integers()), max_size=3).map(
        lambda arguments: line(tool_calls=[call("f", arguments, id=f"call_{len(arguments)}")])
    ),
    st.just(b"\r\n"),
)
ends = st.sampled_from([done(), done("length"), b"", b'{"error": "broken"}\n', done().rstrip(), b"{\n"])


def without_ids(events: list[Event]) -> list[Event]:
    """The events with the ids blanked that are made at random."""
    blank: list[Event] = []
    for event in events:
        match event:
            case Started():
                blank.append(Started("", event.model, event.usage))
            case BlockStarted(index=index, block=ToolUse(name=name, input=arguments)):
                blank.append(BlockStarted(index, ToolUse("", name, arguments)))
            case _:
                blank.append(event)
    return blank


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, max_size=6), ends, st.data())
def test_any_split_of_the_bytes_gives_the_same_events(
    lines: list[bytes], end: bytes, data: st.DataObject
) -> None:
    stream = b"".join(lines) + end
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = decode(stream)
    assert without_ids(decode(*chunks)) == without_ids(whole)
    assert isinstance(whole[-1], Stopped | Failed)
    assert sum(isinstance(event, Stopped | Failed) for event in whole) == 1
    indexes = [event.index for event in whole if isinstance(event, BlockStarted)]
    assert indexes == list(range(len(indexes)))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_crash_the_decoder(chunks: list[bytes]) -> None:
    assert isinstance(decode(*chunks)[-1], Failed)
