"""A conversation as units that may be left out: a call goes only together with its result.

Nothing here decides what goes; that is `window.py`. Here stands what belongs together, what each part costs,
what a person said, and how a conversation reads without some of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.marks import mark_of
from lynkr_desktop.engine.optimization.stage import Scene, left_out
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    Message,
    Text,
    ToolResult,
    ToolUse,
)

LINE = 80
"""Tokens that a line which stands for something left out takes at most."""

TURN = 4
"""Tokens of a turn beside its text, as `tokens` counts them."""

Place = tuple[int, int]
"""Of a block: the number of its message, and its own in that message."""

_ERRORS = (
    "rror",
    "ERROR",
    "fail",
    "Fail",
    "FAIL",
    "xception",
    "raceback",
    "panic",
    "atal",
    "FATAL",
    "denied",
)
"""How errors are told; what is looked for letter by letter is found fast."""

_LONGEST_ERROR = 300
_MOST_ERRORS = 12
_SEARCHED = 4_000_000
"""Characters of a text in which errors are looked for."""


class Unit(Struct, frozen=True):
    """Messages that only go together.

    Attributes:
        first: number of its first message.
        last: number of its last.
        loose: whether it may go at all.
    """

    first: int
    last: int
    loose: bool

    @property
    def span(self) -> range:
        """The numbers of its messages."""
        return range(self.first, self.last + 1)


class History:
    """The messages of a request, and what is known of each.

    Attributes:
        messages: as they came.
        costs: tokens of each block of each message.
        units: in order; each message is in one.
        unit_of: the number of each message's unit.
        head: messages before the first turn of the model; harnesses put their instructions there.
    """

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.messages = messages
        self.costs = [[tokens.of_block(block) for block in message.content] for message in messages]
        roles = [message.role for message in messages]
        self.head = roles.index("assistant") if "assistant" in roles else len(roles)
        self.units = tuple(self._units())
        self.unit_of = [number for number, unit in enumerate(self.units) for _ in unit.span]
        self._said: dict[int, str] = {}
        self._persons: dict[int, bool] = {}

    @property
    def total(self) -> int:
        """Tokens of all messages."""
        return sum(map(sum, self.costs)) + TURN * len(self.messages)

    def said(self, number: int) -> str:
        """What a person said in a message; empty where only tools and harnesses speak."""
        if number not in self._said:
            message = self.messages[number]
            self._said[number] = clean_text(message) if message.role == "user" else ""
        return self._said[number]

    def persons(self, number: int) -> bool:
        """Whether a message has something of a person, beside the results of tools."""
        if number not in self._persons:
            message = self.messages[number]
            self._persons[number] = message.role == "user" and (_media(message) or bool(self.said(number)))
        return self._persons[number]

    def calls(self, number: int) -> int:
        """How many calls of tools a unit has."""
        content = self.messages[self.units[number].first].content
        return sum(isinstance(block, ToolUse) for block in content)

    def _units(self) -> Iterator[Unit]:
        number = 0
        while number < len(self.messages):
            message = self.messages[number]
            after = self.messages[number + 1] if number + 1 < len(self.messages) else None
            calls = [block.id for block in message.content if isinstance(block, ToolUse)]
            results = _results(after) if after is not None and after.role == "user" else []
            if message.role == "user":
                # Results without a call before them are none of ours to judge.
                yield Unit(number, number, number >= self.head and not _results(message))
            elif calls and after is not None and sorted(calls) == sorted(r.tool_use_id for r in results):
                yield Unit(number, number + 1, not (_media(message) or any(map(_has_media, results))))
                number += 1
            else:
                yield Unit(number, number, not (calls or results or _media(message)))
            number += 1


def _results(message: Message) -> list[ToolResult]:
    return [block for block in message.content if isinstance(block, ToolResult)]


def _media(message: Message) -> bool:
    return any(isinstance(block, Image | Document) for block in message.content)


def _has_media(result: ToolResult) -> bool:
    return any(not isinstance(part, Text) for part in result.content)


# ---------------------------------------------------------------- what stands for a block


def shortened(block: Block, scene: Scene, budget: int) -> Block:
    """A text or result of which only a part stays, or a line that says so; images in it stay.

    Args:
        block: to be shortened; its text is kept whole under a handle.
        scene: where it is kept.
        budget: tokens that the part may have; 0 leaves the line alone.
    """
    if isinstance(block, Text):
        return replace(block, text=excerpt(block.text, scene, budget))
    if not isinstance(block, ToolResult):
        return block
    texts = [part for part in block.content if isinstance(part, Text)]
    if not texts:
        return block
    said = "\n".join(part.text for part in texts)
    left = replace(texts[-1], text=excerpt(said, scene, budget))
    parts = (left if part is texts[-1] else part for part in block.content)
    return replace(block, content=tuple(p for p in parts if p is left or not isinstance(p, Text)))


def excerpt(text: str, scene: Scene, budget: int) -> str:
    """The beginning and the end of a text, with the lines of its middle that tell of errors."""
    handle = scene.keep(text)
    lines = text.count("\n") + 1
    size = f"{lines:,} lines" if lines > 1 else f"{len(text):,} characters"
    room = budget
    errors = _errors(text) if budget else []
    while room > 16:
        # The end of a text may be denser than its average.
        part = _excerpt(text, handle, max(1, len(text) * room // max(1, scene.count(text))), errors)
        if scene.count(part) <= budget + LINE:
            return part
        room = room * 2 // 3
    return left_out(size, handle)


def _errors(text: str) -> list[tuple[int, int]]:
    """Where the first lines begin and end that tell of an error."""
    found: dict[int, int] = {}
    for word in _ERRORS:
        at = -1
        for _ in range(_MOST_ERRORS):
            at = text.find(word, at + 1, _SEARCHED)
            if at < 0:
                break
            start = text.rfind("\n", 0, at) + 1
            end = text.find("\n", at)
            found[max(start, at - _LONGEST_ERROR // 2)] = at = len(text) if end < 0 else end
    return sorted(found.items())


def _excerpt(text: str, handle: str, room: int, errors: list[tuple[int, int]]) -> str:
    """An excerpt of about `room` characters."""
    start, end = room // 2, len(text) - room // 4
    start = max(start // 2, text.rfind("\n", 0, start) + 1) if "\n" in text[:start] else start
    cut = text.find("\n", end) + 1
    end = cut if end < cut < end + room // 8 else end
    middle = text[start:end]
    first = text.count("\n", 0, start) + 1
    last = first + middle.count("\n") - middle.endswith("\n")
    what = f"lines {first:,}-{last:,}" if last > first else f"{len(middle):,} characters"
    parts = [text[:start].removesuffix("\n"), left_out(what, handle)]
    spare = room // 4
    number, counted = first, start
    for begins, ends in errors:
        if spare <= 0 or begins >= end:
            break
        if begins >= start:
            number, counted = number + text.count("\n", counted, begins), begins
            line = text[begins : min(ends, begins + _LONGEST_ERROR, begins + spare)]
            parts.append(f"line {number}: {line}")
            spare -= len(parts[-1])
    return "\n".join([*parts, text[end:]])


# ---------------------------------------------------------------- what stands for turns


def rebuilt(
    history: History, scene: Scene, shorter: Mapping[Place, int], gone: frozenset[int], budget: int
) -> tuple[Message, ...]:
    """The conversation without what goes.

    Args:
        history: what it is.
        scene: where what goes is kept.
        shorter: blocks of which only so many tokens stay.
        gone: units that go, but for what a person says in them.
        budget: tokens in which it may be told which calls went.
    """
    calls = sum(history.calls(number) for number in gone)
    out: list[Message] = []
    run: list[Message] = []
    for number, message in enumerate(history.messages):
        stay = dict(enumerate(message.content))
        if history.unit_of[number] in gone:
            persons = history.persons(number)
            left = [block for block in message.content if isinstance(block, ToolResult) or not persons]
            run.append(replace(message, content=tuple(left)))
            if not persons:
                continue
            stay = {at: block for at, block in stay.items() if not isinstance(block, ToolResult)}
        content = tuple(
            shortened(block, scene, shorter[number, at]) if (number, at) in shorter else block
            for at, block in stay.items()
        )
        if run:
            _close(out, run, scene, calls, budget)
            if message.role == "user":
                out[-1] = replace(out[-1], content=(*out[-1].content, *content))
                continue
        out.append(message if content == message.content else replace(message, content=content))
    return tuple(out)


def _close(out: list[Message], run: list[Message], scene: Scene, calls: int, budget: int) -> None:
    """Puts the mark of a run of turns behind the user's turn before it, or into one of its own.

    Behind results it becomes a part of the last of them: beside them it would pass for words of a person.
    """
    mark = Text(mark_of([message for message in run if message.content], scene, calls, budget))
    run.clear()
    if not out or out[-1].role != "user":
        out.append(Message("user", (mark,)))
        return
    content = out[-1].content
    last = content[-1] if content else None
    if isinstance(last, ToolResult):
        out[-1] = replace(out[-1], content=(*content[:-1], _behind(last, mark)))
    else:
        out[-1] = replace(out[-1], content=(*content, mark))


def _behind(result: ToolResult, mark: Text) -> ToolResult:
    """A result with a mark behind all that it says."""
    *parts, last = result.content or (Text(""),)
    if isinstance(last, Text):
        return replace(result, content=(*parts, replace(last, text=f"{last.text}\n{mark.text}")))
    return replace(result, content=(*result.content, mark))
