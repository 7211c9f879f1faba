"""Canonical requests and replies that every protocol of agents can say in full, for hypothesis."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

from lynkr_desktop.engine.wire.canonical import (
    Block,
    BlockStarted,
    BlockStopped,
    Event,
    Image,
    Message,
    Request,
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
from lynkr_desktop.engine.wire.fields import encode_json

Json = dict[str, Any]

# Any text that is not blank; surrogates cannot be said in UTF-8.
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() and bool(text.strip())
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words
values = st.recursive(
    scalars | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, values, max_size=4)
schemas = st.builds(
    lambda name: {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}, names
)
images = st.binary(max_size=12).map(
    lambda data: Image(media_type="image/png", data=base64.b64encode(b"\x89PNG\r\n\x1a\n" + data).decode())
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns that begin with the user's and alternate; each tool call is answered behind it, in its order."""
    messages: list[Message] = []
    calls = 0
    open_: list[ToolUse] = []
    for _ in range(draw(st.integers(1, 3))):
        blocks: list[Block] = [ToolResult(call.id, (Text(draw(words)),)) for call in open_]
        said = draw(words)
        if draw(st.booleans()):
            blocks += [Text(said), draw(images)]
        else:
            blocks.append(Text(said))
        messages.append(Message("user", tuple(blocks)))
        answer: list[Block] = [Text(draw(words))]
        open_ = []
        for _ in range(draw(st.integers(0, 2))):
            open_.append(ToolUse(f"call_{calls}", draw(names), draw(objects)))
            calls += 1
        messages.append(Message("assistant", (*answer, *open_)))
    last: list[Block] = [ToolResult(call.id, (Text(draw(words)),)) for call in open_]
    messages.append(Message("user", (*last, Text(draw(words)))))
    return tuple(messages)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Requests whose every part has a word in each protocol."""
    tool = st.builds(Tool, names, words, schemas)
    tools = draw(st.lists(tool, min_size=1, max_size=3, unique_by=lambda tool: tool.name))
    stream = draw(st.booleans())
    return Request(
        model="m",
        messages=draw(conversations()),
        system=tuple(Text(text) for text in draw(st.lists(words, max_size=1))),
        tools=tuple(tools),
        max_tokens=draw(st.integers(1, 100_000)),
        temperature=draw(st.none() | st.sampled_from([0.0, 0.25, 0.5])),
        stream=stream,
        include_usage=stream,
    )


choices = st.sampled_from(
    [ToolChoice(), ToolChoice("none"), ToolChoice("required"), ToolChoice("named", "f")]
)
usages = st.builds(
    Usage,
    input_tokens=st.integers(1, 10**6),
    output_tokens=st.integers(1, 10**6),
)


@st.composite
def replies(draw: st.DrawFn, *, thinks: bool = True) -> list[Event]:
    """The events of a good reply: perhaps reasoning, then text, then tool calls, each in pieces."""
    events: list[Event] = [Started("", "m")]
    index = 0
    if thinks and draw(st.booleans()):
        events.append(BlockStarted(index, Thinking("")))
        events += [ThinkingDelta(index, piece) for piece in draw(st.lists(words, min_size=1, max_size=3))]
        events.append(BlockStopped(index))
        index += 1
    events.append(BlockStarted(index, Text("")))
    events += [TextDelta(index, piece) for piece in draw(st.lists(words, min_size=1, max_size=4))]
    events.append(BlockStopped(index))
    index += 1
    called = draw(st.integers(0, 2))
    for number in range(called):
        events.append(BlockStarted(index, ToolUse(f"call_{number}", draw(names), {})))
        whole = encode_json(draw(objects)).decode()
        cut = draw(st.integers(0, len(whole)))
        events += [ToolInputDelta(index, piece) for piece in (whole[:cut], whole[cut:]) if piece]
        events.append(BlockStopped(index))
        index += 1
    reason: StopReason = "tool_use" if called else draw(st.sampled_from(["end_turn", "max_tokens"]))
    events.append(Stopped(reason, draw(usages)))
    return events
