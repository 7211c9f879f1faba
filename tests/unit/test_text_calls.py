"""Tool calls that models write as text become tool calls; text that only looks like one stays as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Message,
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
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.text_calls import TextToolCalls
from lynkr_desktop.engine.wire.text_calls.reader import MAX_HELD

ROOT = Path(__file__).resolve().parents[2]
Found = list[Any]
"""What a client is given: text as a string, a call as [name, arguments]."""

SCHEMAS: dict[str, dict[str, Any]] = json.loads(
    (ROOT / "benchmarks" / "text_calls" / "tools.json").read_text(encoding="utf-8")
)
REQUEST = Request(
    model="m",
    messages=(Message("user", (Text("go"),)),),
    tools=tuple(Tool(name, "", schema) for name, schema in SCHEMAS.items()),
)
A_CALL = ["read_file", {"path": "a.py"}]
NOW = ["now", {}]
HERMES = '<tool_call>\n{"name": "read_file", "arguments": {"path": "a.py"}}\n</tool_call>'


def events_of(*pieces: str, reason: StopReason = "end_turn") -> list[Event]:
    deltas = [TextDelta(0, piece) for piece in pieces]
    return [Started("r", "m"), BlockStarted(0, Text("")), *deltas, BlockStopped(0), Stopped(reason, Usage())]


def run(events: list[Event], request: Request = REQUEST) -> tuple[list[Event], TextToolCalls]:
    finder = TextToolCalls(request)
    out = [found for event in events for found in finder.feed([event])]
    assert not finder.holding
    check_order(out)
    return out, finder


def check_order(events: list[Event]) -> None:
    """Blocks come one after another, with indexes that rise by one, and every delta is of the open block."""
    index, open_block = -1, None
    for event in events:
        match event:
            case BlockStarted():
                assert open_block is None
                index += 1
                assert event.index == index
                open_block = event.block
            case TextDelta():
                assert isinstance(open_block, Text)
                assert event.index == index
                assert event.text
            case ThinkingDelta():
                assert isinstance(open_block, Thinking)
            case ToolInputDelta():
                assert isinstance(open_block, ToolUse)
                assert event.index == index
            case BlockStopped():
                assert open_block is not None
                assert event.index == index
                open_block = None
            case Stopped():
                assert open_block is None
                assert event is events[-1]


def folded(events: list[Event]) -> tuple[Found, StopReason]:
    reply = Reply.of(events)
    assert isinstance(reply, Reply)
    calls = [block.id for block in reply.content if isinstance(block, ToolUse)]
    assert len(set(calls)) == len(calls)
    assert all(calls)
    found: Found = []
    for block in reply.content:
        if isinstance(block, ToolUse):
            found.append([block.name, block.input])
        elif isinstance(block, Text | Thinking):
            found.append(block.text)
    return found, reply.stop_reason


def found_in(*pieces: str, request: Request = REQUEST, reason: StopReason = "end_turn") -> Found:
    return folded(run(events_of(*pieces, reason=reason), request)[0])[0]


def cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


# ---------------------------------------------------------------- the corpus and the real model


def corpus() -> list[Any]:
    path = ROOT / "benchmarks" / "text_calls" / "corpus.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [pytest.param(row["text"], row["calls"], id=row["id"]) for row in rows]


@pytest.mark.parametrize("size", [1, 4, 10_000])
@pytest.mark.parametrize(("text", "calls"), corpus())
def test_every_format_and_every_look_alike(text: str, calls: list[dict[str, Any]], size: int) -> None:
    events, finder = run(events_of(*cut(text, size)))
    found, reason = folded(events)
    expected = [[call["name"], call["arguments"]] for call in calls]
    assert [item for item in found if not isinstance(item, str)] == expected
    assert finder.found == bool(expected)
    assert reason == ("tool_use" if expected else "end_turn")
    if not expected:
        assert "".join(found) == text


def recorded() -> list[Any]:
    path = ROOT / "tests" / "fixtures" / "qwen_tool_calls.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    # Example calls that were asked for, and calls at the end of an explanation: no form tells them apart.
    told_by_intent = {26, 27, 44}
    return [
        pytest.param(document["tools"], row, id=f"{number}")
        for number, row in enumerate(document["outputs"], 1)
        if number not in told_by_intent
    ]


@pytest.mark.parametrize(("tools", "row"), recorded())
def test_what_qwen_really_wrote(tools: dict[str, Any], row: dict[str, Any]) -> None:
    offered = tuple(Tool(name, "", tools[name]["parameters"]) for name in row["tools"])
    request = msgspec.structs.replace(REQUEST, tools=offered)
    found = found_in(*cut(row["content"], 3), request=request)
    calls = [[call["name"], call["arguments"]] for call in row["calls"]]
    assert found == (calls or [row["content"]])


@pytest.mark.parametrize(
    "before",
    [
        "Write `",
        "Write ``x` ",
        "- ```\n  ",
        "1. ~~~\n",
        "> ",
        "So:\n\n    ",
        "So:\n\tx = ",
        "````\n```\n",
        "```a\n```b\n",
        'He wrote "',
        "Say '",
        "Like this: ```json\n",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_mark_in_code_or_quotes_is_spoken_of(before: str, size: int) -> None:
    text = f"Look.\n{before}{HERMES}"
    assert found_in(*cut(text, size)) == [text]


@pytest.mark.parametrize(
    "before",
    [
        "Done: `x`. ",
        "```\ncode\n```\n",
        "- ```\n  code\n  ```\n",
        "```one line```\n",
        'He said "go" and ',
        '"\n',
        "> quote\n",
        "    code\n\n",
        "it's ",
        "</think>",
        "1. First.\n2. ",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_mark_after_code_or_quotes_is_used(before: str, size: int) -> None:
    assert found_in(*cut(f"Look.\n{before}{HERMES}", size)) == [f"Look.\n{before}", A_CALL]


def test_the_end_of_reasoning_may_be_spoken_of() -> None:
    call = '{"name": "now", "arguments": {}}'
    assert found_in(f"It ends with `</think>{call}") == [f"It ends with `</think>{call}"]
    assert found_in(f"So be it.</think>{call}") == ["So be it.</think>", NOW]


# ---------------------------------------------------------------- around a call


def test_text_before_and_after_a_call_has_blocks_of_its_own() -> None:
    events, _ = run(events_of(f"Let me look.\n{HERMES}\n{HERMES}\nThat is all."))
    assert folded(events) == (["Let me look.\n", A_CALL, A_CALL, "\nThat is all."], "tool_use")


def test_white_space_around_calls_makes_no_block() -> None:
    assert found_in(f"\n\n{HERMES}\n\n{HERMES}\n") == [A_CALL, A_CALL]


def test_arguments_are_passed_as_they_were_written() -> None:
    arguments = '{"path": "\\u00e4.py",  "limit": 10000000000000000000001}'
    events, _ = run(events_of(f'<tool_call>{{"name": "read_file", "arguments": {arguments}}}</tool_call>'))
    assert [event.json for event in events if isinstance(event, ToolInputDelta)] == [arguments]


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "string"}, "5", "5"),
        ({"type": "string"}, " two\nlines", " two\nlines"),
        ({"type": "integer"}, "5", 5),
        ({"type": "number"}, " 0.5 ", 0.5),
        ({"type": "integer"}, "five", "five"),
        ({"type": "boolean"}, "True", True),
        ({"type": "boolean"}, "false", False),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
        ({"type": "array"}, "[1, 2", "[1, 2"),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["integer", "null"]}, "None", None),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "5", "5"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "5", 5),
        ({"$ref": "#/$defs/Size"}, "5", 5),
        ({"$ref": "#/$defs/Loop"}, "x", "x"),
        ({"enum": ["1", "2"]}, "1", "1"),
        ({}, "5", 5),
        ({}, "five", "five"),
        (True, "5", 5),
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "<tool_call>\n<function=f>\n<parameter=x>\n{}\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>{}</arg_value>\n</tool_call>",
        '<function_calls><invoke name="f"><parameter name="x">{}</parameter></invoke></function_calls>',
    ],
)
def test_unquoted_values_get_the_type_of_the_schema(form: str, schema: Any, text: str, value: Any) -> None:
    definitions = {"Size": {"type": "integer"}, "Loop": {"$ref": "#/$defs/Loop"}}
    tool = Tool("f", "", {"type": "object", "properties": {"x": schema}, "$defs": definitions})
    request = msgspec.structs.replace(REQUEST, tools=(tool,))
    assert found_in(form.replace("{}", text), request=request) == [["f", {"x": value}]]


@pytest.mark.parametrize(
    "value",
    ["{1, 2}", 'b"x"', "1j", "{1: 2}", "{[1]: 2}", "1e999", "...", '"\ud83d"', "9" * 5000, "f()", "x", "*y"],
)
def test_python_values_that_are_no_json_make_no_call(value: str) -> None:
    text = f"<|python_tag|>now(a={value})"
    assert found_in(text) == [text]


def test_python_values_that_are_json_make_a_call() -> None:
    text = """<|python_tag|>now.call(a="it's", b=[1, -2.5, None], c={'k': True}, d='(')"""
    assert found_in(text) == [["now", {"a": "it's", "b": [1, -2.5, None], "c": {"k": True}, "d": "("}]]


def test_a_senseless_schema_does_no_harm() -> None:
    loop = {"anyOf": [{"$ref": "#/properties/x"}] * 100}
    schema = {"properties": {"x": loop, "y": {"type": [None, {}], "enum": 1}}, "required": [["x"], {}, None]}
    request = msgspec.structs.replace(
        REQUEST, tools=(Tool("f", "", schema), Tool("g", "", {"properties": 1}))
    )
    form = "<function={}><parameter=x>1</parameter><parameter=y>z</parameter></function>"
    for name in ("f", "g"):
        assert found_in(form.replace("{}", name), request=request) == [[name, {"x": 1, "y": "z"}]]
    assert found_in('{"name": "f", "arguments": {}}', request=request) == [["f", {}]]


# ---------------------------------------------------------------- when nothing is looked for


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": ()},
        {"tool_choice": ToolChoice("none")},
        {"tool_choice": ToolChoice("named", "now")},
        {"response_format": ResponseFormat("json_object")},
    ],
    ids=["no tools", "tool_choice none", "another tool named", "structured output"],
)
@pytest.mark.parametrize("text", [HERMES, '{"name": "read_file", "arguments": {"path": "a.py"}}'])
def test_what_may_not_be_called_stays_text(text: str, fields: dict[str, Any]) -> None:
    request = msgspec.structs.replace(REQUEST, **fields)
    events, finder = run(events_of(*cut(text, 5)), request)
    assert folded(events) == ([text], "end_turn")
    assert not finder.found


def test_a_named_tool_is_found() -> None:
    request = msgspec.structs.replace(REQUEST, tool_choice=ToolChoice("named", "read_file"))
    assert found_in(HERMES, request=request) == [A_CALL]


def test_reasoning_is_left_alone() -> None:
    events: list[Event] = [
        Started("r", "m"),
        BlockStarted(0, Thinking("")),
        ThinkingDelta(0, HERMES),
        BlockStopped(0),
        BlockStarted(1, Text("")),
        TextDelta(1, '{"name": "now", "arguments": {}}'),
        BlockStopped(1),
        Stopped("end_turn", Usage(1, 0, 0, 2)),
    ]
    out, _ = run(events)
    assert folded(out) == ([HERMES, NOW], "tool_use")
    assert out[-1] == Stopped("tool_use", Usage(1, 0, 0, 2))


@pytest.mark.parametrize("text", [HERMES, "<tool_call>{", "hello <tool"])
def test_a_provider_that_makes_tool_calls_itself_is_believed(text: str) -> None:
    real = ToolUse("t1", "now", {})
    events: list[Event] = [
        Started("r", "m"),
        BlockStarted(0, real),
        ToolInputDelta(0, "{}"),
        BlockStopped(0),
        BlockStarted(1, Text("")),
        TextDelta(1, text),
        BlockStopped(1),
        Stopped("tool_use", Usage()),
    ]
    out, finder = run(events)
    assert out == events
    assert not finder.found
    held = '{"name": "now", "arguments": {}}'
    before: list[Event] = [
        *events_of(held)[:-1],
        BlockStarted(1, real),
        ToolInputDelta(1, "{}"),
        BlockStopped(1),
    ]
    out, finder = run([*before, Stopped("tool_use", Usage())])
    assert folded(out)[0] == [held, NOW]
    assert not finder.found


def test_only_the_first_call_is_kept_where_parallel_calls_are_forbidden() -> None:
    request = msgspec.structs.replace(REQUEST, tool_choice=ToolChoice(parallel=False))
    assert found_in(f"Both.{HERMES}\n{HERMES}", request=request) == ["Both.", A_CALL]
    array = (
        '[TOOL_CALLS][{"name": "now", "arguments": {}}, {"name": "read_file", "arguments": {"path": "a"}}]'
    )
    assert found_in(array, request=request) == [NOW]


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "read_file", "arguments": {"path": "a',
        '<tool_call>{"name": "read_file", "arguments": {"path": "a"}',
        "<function=read_file><parameter=path>a</parameter>",
        '{"name": "read_file", "arguments": {"path": "a"}',
        '```json\n{"name": "read_file", "arguments": {"path": "a"}}',
        "<tool_",
        "\n  ",
    ],
)
def test_a_call_that_was_cut_at_the_limit_stays_text(text: str) -> None:
    events, finder = run(events_of(*cut(text, 3), reason="max_tokens"))
    assert folded(events) == ([text], "max_tokens")
    assert not finder.found


def test_a_whole_call_before_the_limit_is_a_call() -> None:
    events, _ = run(events_of(HERMES + "\n\n", reason="max_tokens"))
    assert folded(events) == ([A_CALL], "tool_use")
    events, _ = run(events_of(HERMES + "\nAnd", reason="max_tokens"))
    assert folded(events) == ([A_CALL, "\nAnd"], "max_tokens")


def test_a_stop_sequence_may_have_taken_the_closing_mark() -> None:
    events = events_of(HERMES.removesuffix("</tool_call>"))[:-1]
    out, _ = run([*events, Stopped("stop_sequence", Usage(), "</tool_call>")])
    assert folded(out) == ([A_CALL], "tool_use")


def test_an_answer_that_breaks_off_gives_up_what_it_held() -> None:
    broken = [*events_of("Hi. ", "<tool_call>{", '"name": "now"')[:-2], Failed("gone")]
    out, finder = run(broken)
    assert "".join(event.text for event in out if isinstance(event, TextDelta)) == (
        'Hi. <tool_call>{"name": "now"'
    )
    assert out[-1] == Failed("gone")
    assert not finder.found


def test_an_empty_text_block_of_the_provider_stays() -> None:
    out, _ = run(events_of())
    assert out == events_of()


# ---------------------------------------------------------------- streaming


def test_ordinary_text_is_not_delayed() -> None:
    text = (
        'Look: `x`, "y" and **z**, it\'s 1 > 0 [1] {a} ```\ncode\n``` <b>bold</b> -- a < b; <toolbox> [T]\n'
    )
    finder = TextToolCalls(REQUEST)
    finder.feed([Started(), BlockStarted(0, Text(""))])
    seen = ""
    for number, char in enumerate(text, 1):
        out = finder.feed([TextDelta(0, char)])
        seen += "".join(event.text for event in out if isinstance(event, TextDelta))
        held = text[len(seen) : number]
        assert text.startswith(seen)
        assert len(held) <= len("<tool")
        assert not held or held[0] in "<["
        assert finder.holding == bool(held)
    assert seen == text


def test_a_call_is_given_as_soon_as_it_is_complete() -> None:
    finder = TextToolCalls(REQUEST)
    finder.feed([Started(), BlockStarted(0, Text(""))])
    out = finder.feed([TextDelta(0, HERMES)])
    assert [type(event) for event in out] == [BlockStarted, ToolInputDelta, BlockStopped]
    assert finder.found
    assert not finder.holding


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        ('{"na', 'med": 1'),
        ('{"name": "', 'Ada"'),
        ("``", "`python"),
        ("<tool_call>", " is a mark"),
        ('<tool_call>{"name": "de', 'l"'),
        ("<function=", "foo>"),
        ("[TOOL_CALLS]", " are "),
    ],
)
def test_what_can_no_longer_be_a_call_goes_on_at_once(start: str, rest: str) -> None:
    finder = TextToolCalls(REQUEST)
    finder.feed([Started(), BlockStarted(0, Text(""))])
    assert not finder.feed([TextDelta(0, start)])
    assert finder.holding
    out = finder.feed([TextDelta(0, rest)])
    assert "".join(event.text for event in out if isinstance(event, TextDelta)) == start + rest
    assert not finder.holding


# ---------------------------------------------------------------- properties

MARKS = [
    *(
        "<tool_call>",
        "</tool_call>",
        "<function=",
        "</function>",
        "<parameter=",
        "</parameter>",
        "<|python_tag|>",
    ),
    *("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|start|>assistant", "<|channel|>", "commentary to=functions."),
    *(
        "<|message|>",
        "<|constrain|>",
        "<|call|>",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
    ),
    *("<｜tool▁call▁end｜>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", "<|tool_call_begin|>"),
    *("<|tool_call_argument_begin|>", "<function_calls>", '<invoke name="', "</invoke>", '<parameter name="'),
    *("<｜DSML｜function_calls>", "<think>", "</think>", "<minimax:tool_call>", "<tool_calls>", "<TOOLCALL>"),
]
PARTS = [
    *MARKS,
    *(
        "read_file",
        "now",
        "delete_all",
        "path",
        '"name": ',
        '"arguments": ',
        '"read_file"',
        '"now"',
        '"path"',
    ),
    *(
        "{",
        "}",
        "{{",
        "}}",
        "[",
        "]",
        "(",
        ")",
        ":",
        ",",
        ";",
        '"',
        "'",
        "\\",
        "`",
        "```",
        "```json\n",
        "~~~",
        "\n",
    ),
    *(" ", ">", "<", "=", "a.py", "1", "null", "{}", '{"path": "a"}', "print(", "é", "\ud83d\ude00"),
    *('{"name": "now", "arguments": {}}', '{"name": "read_file", "arguments": {"path": "a"}}', HERMES),
]
tool_like = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=3)), max_size=25).map("".join)
splits = st.lists(st.integers(min_value=1, max_value=12), min_size=1, max_size=60)


def split(text: str, sizes: list[int]) -> list[str]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(text[start : start + size])
        start += size
    return [*pieces, text[start:]]


@settings(max_examples=600)
@given(tool_like, splits, st.sampled_from(["end_turn", "max_tokens"]))
def test_any_split_gives_the_same(text: str, sizes: list[int], reason: StopReason) -> None:
    whole, finder = run(events_of(text, reason=reason))
    pieces, _ = run(events_of(*split(text, sizes), reason=reason))
    found, _ = folded(whole)
    assert folded(pieces) == folded(whole)
    if not finder.found:
        assert "".join(found) == text


@settings(max_examples=300)
@given(st.text(), splits)
def test_text_without_calls_is_untouched(text: str, sizes: list[int]) -> None:
    events, finder = run(events_of(*split(text, sizes)))
    assert not finder.found
    assert "".join(folded(events)[0]) == text


argument_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.dictionaries(st.text(max_size=8), argument_values, max_size=4), splits, st.booleans())
def test_any_arguments_come_through(arguments: dict[str, Any], sizes: list[int], ascii_only: bool) -> None:
    tool = msgspec.structs.replace(REQUEST, tools=(Tool("f", "", {}),))
    call = json.dumps({"name": "f", "arguments": arguments}, ensure_ascii=ascii_only)
    for form in (f"<tool_call>{call}</tool_call>", call, f"```json\n{call}\n```", f"[TOOL_CALLS][{call}]"):
        assert found_in(*split(form, sizes), request=tool) == [["f", arguments]]


# ---------------------------------------------------------------- hostile answers


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>" * 100_000,
        '<tool_call>{"name": "now", "arguments": {"a": "' * 30_000,
        '<tool_call>{"name": "now", "arguments": ' + "[" * 1_200_000,
        '<tool_call>{"name": "now", "arguments": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}}</tool_call>",
        '{"tool_calls": [' * 50_000,
        '{"function": ' * 50_000,
        "<|python_tag|>now(a=" + "(" * 50_000 + ")" * 50_000 + ")",
        "<|python_tag|>now(a=" + "-" * 90_000 + "1)",
        "</think>{" * 100_000,
        "`" * 1_000_000,
        " " * 1_000_000,
        "<function=" * 100_000,
        "<tool_call>now<arg_key>" * 50_000,
        "<|channel|>commentary to=functions.now" * 30_000,
    ],
    ids=lambda text: text[:24].strip() or "spaces",
)
def test_hostile_text_stays_text(text: str) -> None:
    assert "".join(found_in(text)) == text
    assert "".join(found_in(*cut(text, 5000))) == text


def test_after_a_thousand_marks_without_a_call_no_more_are_read() -> None:
    text = "<tool_call>x " * 1000 + HERMES
    assert found_in(*cut(text, 7)) == [text]
    text = "<tool_call>x " * 990 + HERMES
    assert found_in(*cut(text, 7))[1] == A_CALL


def test_what_is_held_is_bounded() -> None:
    finder = TextToolCalls(REQUEST)
    finder.feed([Started(), BlockStarted(0, Text(""))])
    finder.feed([TextDelta(0, '<tool_call>{"name": "now", "arguments": {"a": "')])
    sent = given_on = 0
    while finder.holding:
        out = finder.feed([TextDelta(0, "x" * 10_000)])
        sent += 10_000
        given_on += sum(len(event.text) for event in out if isinstance(event, TextDelta))
        assert sent < MAX_HELD + 20_000
    assert given_on > sent


def steps_for(pieces: list[str]) -> int:
    """Lines of the package that run for an answer: a measure of work that no busy machine changes."""
    count = 0
    folder = str(ROOT / "lynkr_desktop" / "engine" / "wire" / "text_calls")

    def trace(frame: Any, kind: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(folder):
            return None
        count += kind == "line"
        return trace

    finder = TextToolCalls(REQUEST)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for event in events_of(*pieces):
            finder.feed([event])
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "text",
    [
        "An ordinary line of prose, with a word in `code`.\n",
        "<tool_call>",
        '<tool_call>{"name": "now", "arguments": {"a": "',
        "<tool_call>{",
        "</think>{",
        "```json\n",
        '{"name": "now", "arguments": {}}\n',
        "<function=now><parameter=a>",
    ],
)
def test_the_work_grows_with_the_text_and_no_faster(text: str) -> None:
    short, long = (steps_for(cut(text * times, 5)) for times in (200, 1600))
    assert long < 8.5 * short
    assert long < 50 * 1600 * len(text)
