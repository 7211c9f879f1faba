"""Which result belongs to which tool call: ids that stay unique, and results in the order of their calls."""

from __future__ import annotations

from typing import cast

import msgspec

from lynkr_desktop.engine.wire.canonical import Message, Reply, Request, ToolResult, ToolUse
from lynkr_desktop.engine.wire.ids import fresh_id


class CallIds:
    """Keeps the ids of a reply's tool calls unique within its conversation.

    Many servers of local models give every answer the same ids (`call_0`) or none. An agent takes a result by
    the id of its call: an id that comes again makes it overlook the new call, or ask without end.

    Args:
        request: what the reply answers.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._used: set[str] | None = None

    def settle(self, call: ToolUse) -> ToolUse:
        """The call, with a new id if its own is empty or was there before."""
        if self._used is None:
            blocks = (block for message in self._request.messages for block in message.content)
            self._used = {block.id for block in blocks if isinstance(block, ToolUse)}
        if not call.id or call.id in self._used:
            call = msgspec.structs.replace(call, id=fresh_id("call_"))
        self._used.add(call.id)
        return call

    def settle_reply(self, reply: Reply) -> Reply:
        """A whole reply, with each of its calls settled."""
        content = (self.settle(block) if isinstance(block, ToolUse) else block for block in reply.content)
        return msgspec.structs.replace(reply, content=tuple(content))


def in_call_order(request: Request) -> Request:
    """The request, with the results of parallel calls in the order of the calls.

    Agents send results as the tools finish. Models that know no ids (the chat templates of most
    local ones) take the first result for that of the first call. Texts and images between keep their place.
    """
    if len(request.messages) < 2:
        return request
    turns = list(request.messages)
    order: dict[str, int] = {}
    places: list[tuple[int, int]] = []
    changed = False
    for position, message in enumerate(turns):
        if message.role == "assistant":
            changed |= _reorder(turns, places, order)
            calls = (block for block in message.content if isinstance(block, ToolUse))
            order = {call.id: number for number, call in enumerate(calls)}
            places = []
        elif len(order) > 1:
            places += [
                (position, index)
                for index, block in enumerate(message.content)
                if isinstance(block, ToolResult) and block.tool_use_id in order
            ]
    changed |= _reorder(turns, places, order)
    return msgspec.structs.replace(request, messages=tuple(turns)) if changed else request


def _reorder(turns: list[Message], places: list[tuple[int, int]], order: dict[str, int]) -> bool:
    """Puts the results that stand at (turn, block) into order; whether they were in another."""
    results = [cast(ToolResult, turns[turn].content[block]) for turn, block in places]
    wanted = sorted(results, key=lambda result: order[result.tool_use_id])
    if wanted == results:
        return False
    for (turn, block), result in zip(places, wanted, strict=True):
        content = list(turns[turn].content)
        content[block] = result
        turns[turn] = msgspec.structs.replace(turns[turn], content=tuple(content))
    return True
