"""The events of a reply as they go out, kept until it is known whether the reply ended well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Failed,
    RedactedThinking,
    Reply,
    Request,
    Started,
    Stopped,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolInputDelta,
    ToolUse,
)
from lynkr_desktop.engine.wire.text_calls import TextToolCalls

LARGEST = 8 * 1024**2
"""Characters of a reply that is kept; a longer one is forgotten while it still comes."""

_EVENT = 64
"""What an event without text counts."""


class State(Struct, frozen=True, kw_only=True):
    """What a workspace was like when a request about it came.

    Attributes:
        root: of the workspace; empty where the request names none.
        head: the commit that is checked out; empty outside of git.
        files: paths relative to the root that the request names.
        digest: of all of it, with the contents of these files and of those that they depend on.
    """

    root: str = ""
    head: str = ""
    files: tuple[str, ...] = ()
    digest: bytes = b""


class Recording:
    """One reply on its way out, to be stored under a key.

    Args:
        key: of its request.
        state: of the workspace that the request is about.
        age: how often the cache was emptied before; what was asked before that is not stored after it.
    """

    def __init__(self, key: bytes, state: State, age: int) -> None:
        self.key = key
        self.state = state
        self.age = age
        self.events: list[Event] = []
        self.text_calls: list[TextToolCalls] = []
        """What looks for tool calls in its text."""

        self.size = 0
        """Characters, roughly, that it takes."""

        self._too_long = False

    def add(self, events: Sequence[Event]) -> None:
        """Takes the next events that went out."""
        if self._too_long:
            return
        self.events += events
        self.size += sum(map(_size, events))
        if self.size > LARGEST:
            self._too_long = True
            self.events = []

    def add_reply(self, reply: Reply) -> None:
        """Takes a reply that went out as a whole."""
        self.add(unfolded(reply))

    def good(self, request: Request) -> bool:
        """Whether the reply came to its natural end and says what may be said again.

        A limit that the client itself set is a natural end. A call of a tool that was not offered, with
        arguments that are no JSON, or made of text is not one to give again: the model may do better.
        """
        if self._too_long or not self.events or any(one.found for one in self.text_calls):
            return False
        reply = Reply.of(self.events)
        if isinstance(reply, Failed) or not any(isinstance(block, Text | ToolUse) for block in reply.content):
            return False
        if reply.stop_reason == "refusal":
            return False
        if reply.stop_reason == "max_tokens" and request.max_tokens is None:
            return False
        offered = {tool.name for tool in request.tools}
        calls = [block for block in reply.content if isinstance(block, ToolUse)]
        return all(call.name in offered and not _misread(call) for call in calls)


def unfolded(reply: Reply) -> list[Event]:
    """The events of a whole reply: each block in one piece."""
    events: list[Event] = [Started(reply.id, reply.model, reply.usage)]
    for index, block in enumerate(reply.content):
        match block:
            case Text():
                events += [BlockStarted(index, Text("")), TextDelta(index, block.text)]
            case Thinking():
                events += [
                    BlockStarted(index, Thinking("")),
                    ThinkingDelta(index, block.text, block.signature),
                ]
            case ToolUse():
                told = msgspec.json.encode(block.input).decode()
                events += [
                    BlockStarted(index, ToolUse(block.id, block.name, {})),
                    ToolInputDelta(index, told),
                ]
            case RedactedThinking():
                events.append(BlockStarted(index, block))
        events.append(BlockStopped(index))
    events.append(Stopped(reply.stop_reason, reply.usage, reply.stop_sequence))
    return events


def text_of(events: Iterable[Event]) -> str:
    """All that a reply says, for a look whether it may be kept."""
    return "".join(map(_text, events))


def _text(event: Event) -> str:
    match event:
        case TextDelta() | ThinkingDelta():
            return event.text
        case ToolInputDelta():
            return event.json
        case BlockStarted(block=ToolUse() as call):
            return msgspec.json.encode(call.input).decode()
        case BlockStarted(block=Text() | Thinking() as block):
            return block.text
    return ""


def _size(event: Event) -> int:
    return _EVENT + len(_text(event))


def _misread(call: ToolUse) -> bool:
    """Whether the arguments were no JSON object; see `parse_arguments`."""
    return call.input.keys() == {"raw"}
