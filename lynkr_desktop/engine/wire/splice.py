"""The turns of a client's own body with some left out and some put in.

Those that stay are as the client wrote them, with every field that the canonical model has no word for.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Json,
    Message,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from lynkr_desktop.engine.wire.codec import Dialect

Place = tuple[int, int]
"""Of a block: its message, and its place there."""

_SYSTEM = ("system", "developer")


class CannotSplice(Exception):
    """The body is not one whose turns can be told from each other."""


def spliced(
    turns: Any, dialect: Dialect, before: tuple[Message, ...], after: tuple[Message, ...]
) -> tuple[list[Any], tuple[Message, ...]]:
    """The client's turns as they are after some of them went, and what they say.

    Only which blocks there are is changed here. A block that stays says what it said before, even where it is
    to say something else.

    Args:
        turns: the client's, as JSON.
        dialect: its protocol.
        before: what they say.
        after: what they shall say; what is new in it must be texts of the user.

    Raises:
        CannotSplice: that cannot be told in the client's own turns.
    """
    if not isinstance(turns, list):
        raise CannotSplice
    kept = _kept(before, after)
    said = tuple(
        replace(
            message,
            content=tuple(
                block if place is None else before[place[0]].content[place[1]]
                for block, place in zip(message.content, places, strict=True)
            ),
        )
        for message, places in zip(after, kept, strict=True)
    )
    if dialect == "anthropic_messages":
        return _blocks_spliced(turns, before, said, kept), said
    if dialect in ("openai_chat", "openai_responses"):
        return _items_spliced(turns, dialect, before, said, kept), said
    raise CannotSplice


def _kept(before: tuple[Message, ...], after: tuple[Message, ...]) -> list[list[Place | None]]:
    """For each block that shall be there the place where it stood; None for new texts."""
    if _repeats_an_id(before):
        raise CannotSplice
    places: defaultdict[tuple[str, str], deque[Place]] = defaultdict(deque)
    for number, message in enumerate(before):
        for at, block in enumerate(message.content):
            places[_key(message.role, block)].append((number, at))
    kept: list[list[Place | None]] = []
    last = -1, 0
    for message in after:
        homes: list[Place | None] = []
        for block in message.content:
            waiting = places[_key(message.role, block)]
            # Blocks keep their order; the first that may be this one is.
            while waiting and waiting[0] <= last:
                waiting.popleft()
            if waiting:
                last = waiting.popleft()
                homes.append(last)
            elif message.role == "user" and isinstance(block, Text):
                homes.append(None)
            else:
                raise CannotSplice
        kept.append(homes)
    return kept


def _key(role: str, block: Block) -> tuple[str, str]:
    """What a block is known by: calls and results by their ids, all else by all that it says."""
    match block:
        case ToolUse():
            return "call", block.id
        case ToolResult():
            return "result", block.tool_use_id
    return role, repr(block)


def _repeats_an_id(messages: tuple[Message, ...]) -> bool:
    """Whether an id stands for several calls, as those of some servers do."""
    blocks = [block for message in messages for block in message.content]
    calls = [block.id for block in blocks if isinstance(block, ToolUse)]
    results = [block.tool_use_id for block in blocks if isinstance(block, ToolResult)]
    return len(set(calls)) < len(calls) or len(set(results)) < len(results)


# ---------------------------------------------------------------- a turn is a list of blocks


def _blocks_spliced(
    turns: list[Any],
    before: tuple[Message, ...],
    said: tuple[Message, ...],
    kept: list[list[Place | None]],
) -> list[Any]:
    """For protocols whose turns hold the blocks in a list, or one text."""
    if len(turns) != len(before):
        raise CannotSplice
    raw: list[list[Any]] = []
    for turn, message in zip(turns, before, strict=True):
        content = turn.get("content") if isinstance(turn, dict) else None
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(blocks, list) or len(blocks) != len(message.content):
            raise CannotSplice
        if turn["role"] != message.role or not all(map(_is_of, blocks, message.content)):
            raise CannotSplice
        raw.append(blocks)
    out: list[Any] = []
    for message, places in zip(said, kept, strict=True):
        whole = {place[0] if place is not None else -1 for place in places}
        number = min(whole, default=-1)
        if len(whole) == 1 and number >= 0 and len(places) == len(before[number].content):
            out.append(turns[number])
            continue
        parts: list[Any] = []
        for block, place in zip(message.content, places, strict=True):
            if place is not None:
                parts.append(raw[place[0]][place[1]])
            elif isinstance(block, Text):
                parts.append({"type": "text", "text": block.text})
        out.append({"role": message.role, "content": parts})
    return out


def _is_of(raw: Any, block: Block) -> bool:
    """Whether a block is what a raw one says: results may have been put into the order of their calls."""
    if not isinstance(raw, dict):
        return False
    match block:
        case ToolUse():
            return raw.get("id") == block.id
        case ToolResult():
            return raw.get("tool_use_id") == block.tool_use_id
        case Text():
            return raw.get("text") == block.text
    return "tool" not in str(raw.get("type"))


# ---------------------------------------------------------------- a turn is a row of items


def _items_spliced(
    turns: list[Any],
    dialect: Dialect,
    before: tuple[Message, ...],
    said: tuple[Message, ...],
    kept: list[list[Place | None]],
) -> list[Any]:
    """For protocols in which a turn is one item or several: messages, calls, results."""
    item_of = dict(_places_of_items(turns, dialect, before))
    held: dict[int, set[Place]] = {}
    for place, item in item_of.items():
        held.setdefault(item, set()).add(place)
    stay = {place for places in kept for place in places if place is not None}
    # What stands for no block goes with the next item that does; instructions always stay.
    free = {number for number, turn in enumerate(turns) if number not in held and _is_system(turn)}
    out: list[tuple[int, Any]] = []
    done = 0

    def emit(item: int) -> None:
        nonlocal done
        if item < done:
            return
        if not held[item] <= stay:
            raise CannotSplice
        lead = item
        while lead > done and lead - 1 not in held and lead - 1 not in free:
            lead -= 1
        out.extend((number, turns[number]) for number in range(done, lead) if number in free)
        out.extend((number, turns[number]) for number in range(lead, item + 1))
        done = item + 1

    for message, homes in zip(said, kept, strict=True):
        for block, home in zip(message.content, homes, strict=True):
            if home is not None:
                emit(item_of[home])
            elif isinstance(block, Text):
                out.append((-1, _user_item(block.text, dialect)))
    out.extend((number, turns[number]) for number in range(done, len(turns)) if number in free)
    return _joined(out) if dialect == "openai_chat" else [item for _, item in out]


def _joined(items: list[tuple[int, Any]]) -> list[Any]:
    """Items, given with their numbers, with those of the user in one that follow each other only now.

    The chat templates of many models refuse two turns of the user in a row.
    """
    out: list[Any] = []
    last = -1
    for number, item in items:
        if out and item["role"] == out[-1]["role"] == "user" and not 0 <= last == number - 1:
            out[-1] = {**out[-1], "content": _both(out[-1].get("content"), item.get("content"))}
        else:
            out.append(item)
        last = number
    return out


def _both(one: Any, other: Any) -> Any:
    """Two contents in one: texts where both are."""
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    lists = [[{"type": "text", "text": each}] if isinstance(each, str) else each for each in (one, other)]
    if not all(isinstance(each, list) for each in lists):
        raise CannotSplice
    return [*lists[0], *lists[1]]


def _places_of_items(
    turns: list[Any], dialect: Dialect, before: tuple[Message, ...]
) -> Iterator[tuple[Place, int]]:
    """Which item each block comes from. Raises `CannotSplice` where the items do not make these blocks."""
    places = [(number, at) for number, message in enumerate(before) for at in range(len(message.content))]
    at = 0
    for number, item in enumerate(turns):
        if not isinstance(item, dict):
            raise CannotSplice
        # Instructions that come late are words of the user where a protocol has no other place for them.
        late = dialect == "openai_responses" and at > 0
        following = before[places[at][0]].content[places[at][1]] if at < len(places) else None
        count = 0 if _is_system(item) and not late else _blocks_in(item, following)
        for place in places[at : at + count]:
            if not _fits(item, before[place[0]], before[place[0]].content[place[1]]):
                raise CannotSplice
            yield place, number
        at += count
    if at != len(places):
        raise CannotSplice


def _blocks_in(item: Json, following: Block | None) -> int:
    """How many blocks an item makes, of which the first would be the following one."""
    if item.get("type") == "reasoning":
        return isinstance(following, Thinking | RedactedThinking)
    if item.get("role", "tool") == "tool":
        return 1
    count = _parts_in(item.get("content"))
    if item["role"] == "assistant":
        calls = item.get("tool_calls")
        count += len(calls) if isinstance(calls, list) else 0
        count += bool(item.get("reasoning_content") or item.get("reasoning"))
    return count


def _parts_in(content: Any) -> int:
    if isinstance(content, str):
        return bool(content)
    if not isinstance(content, list):
        return 0
    return sum(not isinstance(part, dict) or part.get("text") != "" for part in content)


def _fits(item: Json, message: Message, block: Block) -> bool:
    """Whether a block may come from an item, by its role and its id."""
    role = item.get("role")
    if role is not None and (role == "assistant") != (message.role == "assistant"):
        return False
    match block:
        case ToolResult():
            return block.tool_use_id in (item.get("tool_call_id"), item.get("call_id"))
        case ToolUse() if role is None:
            return block.id == item.get("call_id")
    return role != "tool"


def _is_system(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.get("role") in _SYSTEM


def _user_item(text: str, dialect: Dialect) -> Json:
    if dialect == "openai_responses":
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return {"role": "user", "content": text}
