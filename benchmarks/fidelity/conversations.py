"""The conversations of the evaluation: what agents sent, and the facts that must still be there."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult

DATA = Path(__file__).parent / "data"

Split = Literal["tune", "test"]
Shape = Literal["claude_code", "codex", "openhands"]

_MARKER = {"cache_control": {"type": "ephemeral"}}


class Needle(Struct, frozen=True, kw_only=True):
    """A fact that stands in a tool's answer, with a question that nobody answers without it.

    Attributes:
        question: that needs it.
        facts: words that must all be in one block for it to be answered.
        path: the file that the line with the facts is about, where it names one in front.
        source: the tool call in whose answer they stand; the tool's name for facts about a tool.
        turn: index of the message that holds the answer, -1 for a tool.
        asked: the next request needs it, so a round to get it back is paid for.
        by_hand: written by a person, else chosen by the procedure in `record/needles.py`.
    """

    question: str
    facts: tuple[str, ...]
    source: str
    turn: int
    path: str = ""
    asked: bool = False
    by_hand: bool = False


class Conversation(Struct, frozen=True, kw_only=True):
    """A session of an agent, up to its last turn.

    Attributes:
        kind: what most of it is: `grep`, `tests`, `session` and so on.
        shape: the agent whose tools it has.
        toolset: the names of the tools that are offered; they stand in `data/tools.json`.
        kinds: what each tool's answer is, by the call's id.
    """

    id: str
    split: Split
    kind: str
    shape: Shape
    system: str
    toolset: tuple[str, ...]
    messages: tuple[Message, ...]
    kinds: dict[str, str]
    needles: tuple[Needle, ...] = ()


@cache
def tools() -> dict[str, Tool]:
    """All tools, by name."""
    listed = msgspec.json.decode((DATA / "tools.json").read_bytes(), type=list[Tool])
    return {tool.name: tool for tool in listed}


def load(split: Split) -> list[Conversation]:
    """The conversations of a split."""
    decoder = msgspec.json.Decoder(Conversation)
    with lzma.open(DATA / f"{split}.jsonl.xz") as lines:
        return [decoder.decode(line) for line in lines]


def request_of(conversation: Conversation, turns: int) -> Request:
    """The request that consists of the first `turns` messages, with the cache markers that agents set."""
    marks = conversation.shape == "claude_code"
    messages = conversation.messages[:turns]
    if marks:
        last = messages[-1]
        block = last.content[-1]
        if isinstance(block, Text | ToolResult):
            marked = replace(block, extra=_MARKER)
            messages = (*messages[:-1], replace(last, content=(*last.content[:-1], marked)))
    return Request(
        model="claude-sonnet-4-5",
        system=(Text(conversation.system, _MARKER if marks else {}),),
        tools=tuple(tools()[name] for name in conversation.toolset),
        messages=messages,
        max_tokens=8192,
        stream=True,
    )


def requests_of(conversation: Conversation) -> Iterator[Request]:
    """Every request of the session in order: each begins with all turns of the one before."""
    for turns, message in enumerate(conversation.messages, 1):
        if message.role == "user":
            yield request_of(conversation, turns)
