"""Conversations as strict vendors take them: turns alternate, and each tool call is answered right behind it.

Clients send less strict ones: two turns of a role in a row, ids that are blank or come twice, results whose
call was cut out of a long history, calls that were never answered. Nothing of what was said is lost here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Message,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.errors import InvalidRequest

SAFE_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""What an id of a tool call may be made of."""

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")
_NO_ANSWER = Text("(this call was not answered)")
_NO_OUTPUT = "(no output)"
_FIRST = Text("Continue.")


def paired_turns(messages: Iterable[Message], *, thoughts: bool) -> tuple[Message, ...]:
    """The turns, beginning with the user's, without blank texts, with results before all else in theirs.

    Args:
        messages: as the client sent them.
        thoughts: whether signed reasoning goes with them; unsigned never does, nobody takes it back.

    Raises:
        InvalidRequest: nothing is left to be said.
    """
    turns = _merged(messages, thoughts)
    if not turns:
        raise InvalidRequest("messages hold neither text nor anything else.", "messages")
    if turns[0][0] == "assistant":
        turns.insert(0, ("user", [_FIRST]))
    if any(isinstance(block, ToolUse) for block in turns[-1][1]):
        turns.append(("user", []))
    calls = _Calls()
    paired = [
        Message(role, calls.named(blocks) if role == "assistant" else calls.answered(blocks))
        for role, blocks in turns
    ]
    return tuple(message for message in paired if message.content)


def _merged(messages: Iterable[Message], thoughts: bool) -> list[tuple[Role, list[Block]]]:
    turns: list[tuple[Role, list[Block]]] = []
    for message in messages:
        blocks = [block for block in message.content if _says_something(block, thoughts)]
        if not blocks:
            continue
        if turns and turns[-1][0] == message.role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message.role, blocks))
    return turns


def _says_something(block: Block, thoughts: bool) -> bool:
    match block:
        case Text():
            return bool(block.text.strip())
        case Thinking():
            return thoughts and bool(block.signature)
        case RedactedThinking():
            return thoughts
    return True


class _Calls:
    """Gives calls their ids and finds the answers to them."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._waiting: list[tuple[str, str]] = []
        """Calls of the newest turn without an answer yet: the client's id, and the one it has now."""

    def named(self, blocks: list[Block]) -> tuple[Block, ...]:
        """An assistant's turn; every call in it has an id of its own."""
        out: list[Block] = []
        for block in blocks:
            if isinstance(block, ToolUse):
                name = self._free(block.id)
                self._waiting.append((block.id, name))
                block = msgspec.structs.replace(block, id=name)
            elif isinstance(block, ToolResult):
                out += _told(block)
                continue
            out.append(block)
        return tuple(out)

    def answered(self, blocks: list[Block]) -> tuple[Block, ...]:
        """A user's turn: the answers first, then the rest in its order."""
        results = [block for block in blocks if isinstance(block, ToolResult)]
        taken = self._match(results)
        answers: list[Block] = [
            msgspec.structs.replace(result, tool_use_id=taken[number])
            for number, result in enumerate(results)
            if number in taken
        ]
        answers += [ToolResult(name, (_NO_ANSWER,), is_error=True) for _, name in self._waiting]
        self._waiting.clear()
        rest: list[Block] = []
        number = -1
        for block in blocks:
            if not isinstance(block, ToolResult):
                rest.append(block)
                continue
            number += 1
            if number not in taken:
                rest += _told(block)
        return (*answers, *rest)

    def _match(self, results: list[ToolResult]) -> dict[int, str]:
        """Which result answers which waiting call: by id; those without one in their order."""
        taken: dict[int, str] = {}
        for blank in (False, True):
            for number, result in enumerate(results):
                if bool(result.tool_use_id) is blank:
                    continue
                found = next((call for call in self._waiting if blank or call[0] == result.tool_use_id), None)
                if found is not None:
                    self._waiting.remove(found)
                    taken[number] = found[1]
        return taken

    def _free(self, name: str) -> str:
        stem = _UNSAFE.sub("_", name) or "call"
        free, number = stem, 1
        while free in self._used:
            number += 1
            free = f"{stem}_{number}"
        self._used.add(free)
        return free


def _told(result: ToolResult) -> list[Block]:
    """An answer whose call is not there: its text says what it is, its images stay."""
    others = [part for part in result.content if not isinstance(part, Text)]
    texts = "\n".join(part.text for part in result.content if isinstance(part, Text) and part.text)
    return [Text(f"[Answer of a tool: {texts or _NO_OUTPUT}]"), *others]
