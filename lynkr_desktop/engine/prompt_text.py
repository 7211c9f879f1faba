"""Prompts as people read them: turn by turn, and where two differ."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

import msgspec

from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Message,
    Request,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.protocol.optimization import PromptChange, PromptTurn

_LONGEST = 200_000
"""Characters of a place that are shown."""

_LONGEST_PROMPT = 2_000_000
"""Characters of a whole prompt; of a longer one the newest turns are shown."""


def turns_of(request: Request) -> tuple[PromptTurn, ...]:
    """A prompt turn by turn, the system's part first, without secrets."""
    turns: list[PromptTurn] = []
    left = _LONGEST_PROMPT
    for number, message in reversed(list(enumerate(request.messages))):
        text = _shown(_turn(message))
        left -= len(text)
        if left < 0 and turns:
            turns.append(PromptTurn(role="", text=f"({number + 1} earlier turns are not kept)"))
            break
        turns.append(PromptTurn(role=message.role, text=text))
    if request.system_text:
        turns.append(PromptTurn(role="system", text=_shown(request.system_text)))
    return tuple(reversed(turns))


def changes_of(before: Request, after: Request) -> tuple[PromptChange, ...]:
    """Every place that differs, in order, without secrets."""
    return tuple(
        PromptChange(place=place, before=_shown(old), after=_shown(new))
        for place, old, new in _changes(before, after)
    )


def _changes(before: Request, after: Request) -> Iterator[tuple[str, str, str]]:
    if before.tools != after.tools:
        names = {tool.name for tool in before.tools}
        left = {tool.name for tool in after.tools}
        yield (
            "tools",
            "\n".join(tool.name for tool in before.tools if tool.name not in left),
            "\n".join(tool.name for tool in after.tools if tool.name not in names),
        )
    old, new = [list(map(_key, request.messages)) for request in (before, after)]
    calls = {
        block.id: block.name
        for message in before.messages
        for block in message.content
        if isinstance(block, ToolUse)
    }
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if b - a == d - c:
            for one, other, turn in zip(before.messages[a:b], after.messages[c:d], range(a, b), strict=True):
                yield from _in_turn(turn + 1, one, other, calls)
            continue
        for turn in range(a, b):
            yield f"turn {turn + 1}", _turn(before.messages[turn]), ""
        for turn in range(c, d):
            yield "put in their place", "", _turn(after.messages[turn])


def _in_turn(
    turn: int, one: Message, other: Message, calls: dict[str, str]
) -> Iterator[tuple[str, str, str]]:
    if len(one.content) != len(other.content):
        yield f"turn {turn}", _turn(one), _turn(other)
        return
    for old, new in zip(one.content, other.content, strict=True):
        if old != new:
            where: str = one.role
            if isinstance(old, ToolResult):
                where = f"result of {calls.get(old.tool_use_id, 'a tool')}"
            yield f"turn {turn}, {where}", _text(old), _text(new)


def _turn(message: Message) -> str:
    return "\n".join(_text(block) for block in message.content)


def _text(block: Block) -> str:
    match block:
        case Text() | Thinking():
            return block.text
        case ToolResult():
            return "\n".join(_text(part) for part in block.content)
        case ToolUse():
            return f"{block.name} {encode_json(block.input).decode('utf-8', 'replace')}"
        case Image():
            return "(an image)"
        case Document():
            return block.text or f"(a document {block.title})"
    return "(redacted thoughts)"


def _key(message: Message) -> bytes:
    try:
        return msgspec.msgpack.encode(message)
    except (UnicodeEncodeError, RecursionError, OverflowError):
        return repr(message).encode("utf-8", "replace")


def _shown(text: str) -> str:
    cut = text[:_LONGEST].encode("utf-8", "replace").decode()
    more = f"\n({len(text) - _LONGEST:,} more characters)" if len(text) > _LONGEST else ""
    return redact(cut) + more
