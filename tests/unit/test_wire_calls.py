"""Which result belongs to which tool call."""

from __future__ import annotations

import random

import pytest

from lynkr_desktop.engine.wire.calls import CallIds, in_call_order
from lynkr_desktop.engine.wire.canonical import Message, Reply, Request, Text, ToolResult, ToolUse, Usage


def result(call_id: str) -> ToolResult:
    return ToolResult(call_id, (Text(f"of {call_id}"),))


def calls(*ids: str) -> Message:
    return Message("assistant", tuple(ToolUse(call_id, "f", {}) for call_id in ids))


def user(*blocks: Text | ToolResult) -> Message:
    return Message("user", blocks)


def request(*messages: Message) -> Request:
    return Request(model="m", messages=messages)


def ids_of(made: Request) -> list[str]:
    return [
        block.tool_use_id
        for message in made.messages
        for block in message.content
        if isinstance(block, ToolResult)
    ]


def test_results_follow_their_calls_and_texts_keep_their_place() -> None:
    text = Text("and then")
    asked = request(user(Text("hi")), calls("a", "b", "c"), user(result("c"), text, result("a"), result("b")))
    made = in_call_order(asked)
    assert made.messages[2] == user(result("a"), text, result("b"), result("c"))
    assert made.messages[:2] == asked.messages[:2]


def test_results_in_turns_of_their_own_follow_their_calls() -> None:
    asked = request(calls("a", "b"), user(result("b")), user(result("a")), calls("c", "d"), user(result("d")))
    assert ids_of(in_call_order(asked)) == ["a", "b", "d"]


def test_what_is_in_order_is_not_touched() -> None:
    asked = request(calls("a", "b"), user(result("a"), result("b")), calls("a", "b"), user(result("b")))
    assert in_call_order(asked) is asked


def test_unknown_and_repeated_ids_stay() -> None:
    asked = request(
        user(result("x")), calls("a", "b"), user(result("y"), result("b"), result("a"), result("b"))
    )
    assert ids_of(in_call_order(asked)) == ["x", "y", "a", "b", "b"]


@pytest.mark.parametrize("seed", range(20))
def test_any_order_ends_in_the_order_of_the_calls(seed: int) -> None:
    ids = [f"call_{number}" for number in range(8)]
    shuffled = random.Random(seed).sample(ids, len(ids))
    asked = request(calls(*ids), user(*map(result, shuffled)))
    assert ids_of(in_call_order(asked)) == ids


def test_an_id_that_was_there_before_is_replaced() -> None:
    settled = CallIds(request(calls("call_0"), user(result("call_0"))))
    made = [settled.settle(ToolUse(call_id, "f", {"a": 1})) for call_id in ("call_0", "call_1", "call_1", "")]
    assert made[1] == ToolUse("call_1", "f", {"a": 1})
    found = [call.id for call in made]
    assert len({"call_0", "", *found}) == 6
    assert all(call.input == {"a": 1} for call in made)


def test_a_whole_reply_keeps_everything_else() -> None:
    reply = Reply("r", "m", (Text("I look."), ToolUse("", "f", {})), "tool_use", Usage(1, 0, 0, 2))
    settled = CallIds(request(user(Text("hi")))).settle_reply(reply)
    assert settled.content[0] == Text("I look.")
    call = settled.content[1]
    assert isinstance(call, ToolUse)
    assert call.id.startswith("call_")
    assert (settled.id, settled.usage) == (reply.id, reply.usage)
