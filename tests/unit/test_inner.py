"""Tools that the engine adds to a request are answered by it, and the client sees one ordinary reply."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from lynkr_desktop.engine.optimization.inner import MOST_CALLS, InnerAnswer
from lynkr_desktop.engine.optimization.readers import readers
from lynkr_desktop.engine.optimization.restore import restorer
from lynkr_desktop.engine.optimization.stage import RESTORE, RESTORE_TOOL, Inner, InnerTool
from lynkr_desktop.engine.providers.base import Answer, EventAnswer
from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    Json,
    Message,
    Reply,
    Request,
    Started,
    Stopped,
    Text,
    TextDelta,
    Tool,
    ToolInputDelta,
    ToolResult,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.fields import encode_json

REQUEST = Request(
    "m", (Message("user", (Text("what failed?"),)),), tools=(Tool("Bash"), RESTORE_TOOL), stream=True
)
ORIGINALS = {"r_1": "one\ntwo\nthree\n"}


def said(text: str, index: int = 0) -> list[Event]:
    return [BlockStarted(index, Text("")), TextDelta(index, text), BlockStopped(index)]


def called(name: str, arguments: Json, index: int = 0, id_: str = "c1") -> list[Event]:
    """A call whose arguments come in two pieces."""
    text = encode_json(arguments).decode()
    return [
        BlockStarted(index, ToolUse(id_, name, {})),
        ToolInputDelta(index, text[:3]),
        ToolInputDelta(index, text[3:]),
        BlockStopped(index),
    ]


def reply(*parts: list[Event], reason: str = "end_turn", tokens: int = 10) -> list[Event]:
    events: list[Event] = [Started("id", "model")]
    for part in parts:
        events += part
    return [*events, Stopped(reason, Usage(input_tokens=tokens, output_tokens=1, cost=0.5))]  # type: ignore[arg-type]


class Piecewise(Answer):
    """A streamed answer, an event at a time, which knows whether it was closed."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        for event in self._events:
            yield b"raw", [event]

    async def close(self) -> None:
        self.closed = True


class Model:
    """Gives the replies in turn, and keeps the requests."""

    def __init__(self, *replies: list[Event] | WireError) -> None:
        self._replies = list(replies)
        self.asked: list[Request] = []
        self.answers: list[Piecewise] = []

    async def ask(self, request: Request) -> Answer:
        self.asked.append(request)
        given = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(given, WireError):
            raise given
        self.answers.append(Piecewise(given))
        return self.answers[-1]


async def through(model: Model, inner: dict[str, InnerTool] | None = None) -> list[Event]:
    tools = inner if inner is not None else {RESTORE: restorer(ORIGINALS)}
    first = await model.ask(REQUEST)
    answer = InnerAnswer(REQUEST, first, tools, model.ask, lambda request, answer: None)
    events = [event async for raw, events in answer for event in events if not raw]
    await answer.close()
    return events


def folded(events: list[Event]) -> Reply:
    made = Reply.of(events)
    assert isinstance(made, Reply), made
    return made


async def test_what_was_left_out_is_given_back_and_the_client_sees_one_reply() -> None:
    model = Model(
        reply(said("Let me look. "), called(RESTORE, {"id": "r_1"}, 1), reason="tool_use"),
        reply(said("Two failed.")),
    )
    events = await through(model)
    made = folded(events)
    assert [block.text for block in made.content if isinstance(block, Text)] == [
        "Let me look. ",
        "Two failed.",
    ]
    assert made.stop_reason == "end_turn"
    assert made.usage == Usage(input_tokens=20, output_tokens=2, cost=1.0)
    assert sum(isinstance(event, Started) for event in events) == 1
    starts = [event.index for event in events if isinstance(event, BlockStarted)]
    assert starts == [0, 1]
    turn, answer = model.asked[1].messages[-2:]
    assert turn.content[-1] == ToolUse("c1", RESTORE, {"id": "r_1"})
    assert answer.content == (ToolResult("c1", (Text(ORIGINALS["r_1"]),)),)
    assert all(answer.closed for answer in model.answers)


async def test_a_call_of_the_clients_beside_it_ends_the_turn() -> None:
    model = Model(
        reply(called(RESTORE, {"id": "r_1"}), called("Bash", {"command": "ls"}, 1, "c2"), reason="tool_use")
    )
    made = folded(await through(model))
    assert made.content == (ToolUse("c2", "Bash", {"command": "ls"}),)
    assert made.stop_reason == "tool_use"
    assert len(model.asked) == 1


@pytest.mark.parametrize("written", ['{"command" :\t"ls"}', '{"command": "l', ""])
async def test_the_clients_own_calls_go_on_as_the_model_wrote_them(written: str) -> None:
    call = [BlockStarted(0, ToolUse("c1", "Bash", {})), ToolInputDelta(0, written), BlockStopped(0)]
    bash = Tool("Bash", "", {"properties": {"command": {"type": "string"}}})
    events = await through(Model(reply(call, reason="tool_use")), readers((bash,), {"r_0123456789ab": "x"}))
    assert [event for event in events if isinstance(event, BlockStarted)] == [call[0]]
    assert "".join(event.json for event in events if isinstance(event, ToolInputDelta)) == written
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "tool_use"


async def test_the_clients_own_tool_reads_what_was_left_out_and_stays_where_it_is() -> None:
    bash = Tool("Bash", "", {"properties": {"command": {"type": "string"}}})
    request = replace(REQUEST, tools=(bash, Tool("Read")))
    arguments: Json = {"command": "cat lynkr:r_0123456789ab"}
    model = Model(reply(called("Bash", arguments), reason="tool_use"), reply(said("ok")))
    inner = readers((bash,), {"r_0123456789ab": "what it said"})
    answer = InnerAnswer(request, await model.ask(request), inner, model.ask, lambda *_: None)
    events = [event async for _, events in answer for event in events]
    assert folded(events).content == (Text("ok"),)
    assert model.asked[1].tools == request.tools
    assert model.asked[1].messages[-1].content == (ToolResult("c1", (Text("what it said"),)),)


async def test_one_call_may_stand_for_another() -> None:
    def call(arguments: Json) -> Inner:
        return Inner(call=(str(arguments["name"]), {"x": 1}))

    model = Model(reply(called("lynkr_tools_call", {"name": "mcp__a"}), reason="tool_use"))
    made = folded(await through(model, {"lynkr_tools_call": call}))
    assert made.content == (ToolUse("c1", "mcp__a", {"x": 1}),)
    assert made.stop_reason == "tool_use"


async def test_a_model_that_goes_in_circles_is_stopped() -> None:
    model = Model(reply(called(RESTORE, {"id": "r_1"}), reason="tool_use"))
    events = await through(model)
    assert isinstance(events[-1], Failed)
    assert len(model.asked) <= MOST_CALLS + 1
    assert all(answer.closed for answer in model.answers)


async def test_an_upstream_that_fails_in_the_second_round_fails_the_reply() -> None:
    model = Model(
        reply(said("Let me look."), called(RESTORE, {"id": "r_1"}, 1), reason="tool_use"),
        WireError("gone", status=529, kind="overloaded"),
    )
    events = await through(model)
    assert events[-1] == Failed("gone", 529, "overloaded")


async def test_a_reply_that_was_cut_short_is_not_gone_on_from() -> None:
    model = Model(reply(called(RESTORE, {"id": "r_1"}), reason="max_tokens"))
    events = await through(model)
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "max_tokens"
    assert len(model.asked) == 1


async def test_whole_answers_go_the_same_way() -> None:
    replies = [reply(called(RESTORE, {"id": "r_1"}), reason="tool_use"), reply(said("Done."))]

    async def ask(request: Request) -> Answer:
        return EventAnswer(replies.pop(0))

    answer = InnerAnswer(REQUEST, await ask(REQUEST), {RESTORE: restorer(ORIGINALS)}, ask, lambda *_: None)
    events = [event async for _, events in answer for event in events]
    assert folded(events).content == (Text("Done."),)
    assert answer.calls == [RESTORE]


def test_what_does_not_fit_the_window_comes_in_parts() -> None:
    lines = [f"line {number}\n" for number in range(3_000)]
    restore = restorer({"r_1": "".join(lines), "r_2": "x" * 20_000}, 5_000)
    got: list[str] = []
    first = 1
    while first <= len(lines):
        said = restore({"id": "r_1", "first_line": first}).text
        assert len(said) < 5_100
        kept = [line for line in said.splitlines(keepends=True) if line.startswith("line ")]
        got += [line if line.endswith("\n") else f"{line}\n" for line in kept]
        first += len(kept)
    assert got == lines
    assert len(restore({"id": "r_2"}).text) < 5_100


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"id": "r_1"}, "one\ntwo\nthree\n"),
        ({"id": "r_1", "first_line": 2}, "two\nthree\n"),
        ({"id": "r_1", "first_line": "2", "last_line": 2}, "two\n"),
        ({"id": "r_1", "first_line": -3, "last_line": 1}, "one\n"),
        ({"id": "r_1", "first_line": 9}, "There are 3 lines, none of them in that range."),
        ({"id": "r_2"}, "There is nothing under this id. The ids are: r_1."),
        ({"id": ["r_1"]}, "There is nothing under this id. The ids are: r_1."),
        ({}, "There is nothing under this id. The ids are: r_1."),
    ],
)
def test_whatever_a_model_asks_it_gets_an_answer(arguments: Json, expected: str) -> None:
    assert restorer(ORIGINALS)(arguments).text == expected
