"""The stage `memory_dedup`: passages of tool results that stand in the context already are not said again.

Passages are found by near-duplicate shingles: runs of a few lines, compared without their numbers and the
blanks at their ends. So of a file that was pasted, written or read before, with some lines changed, the
changed lines stay, and for the rest stands a line that says so. What a person writes is never
shortened: it comes whole in the turn in which it is new, so it must stay whole in all later ones, else a
provider's cached prompt would be of no use from there on. Memories that repeat the context are left out where
they are chosen, before the stages; see `memory.injection`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from lynkr_desktop.engine.optimization.stage import Scene, Stage, left_out
from lynkr_desktop.engine.wire.canonical import Block, Document, Image, Request, Text, ToolResult, ToolUse

_SHINGLE = 4
"""Lines that are compared at once."""

_TELLING = 24
"""Characters that a shingle has at least; braces and blank lines are alike everywhere."""

_RUN = 8
"""Lines from which on a passage is worth a line that stands for it."""

_LENGTH = 600
"""The same in characters."""

_NUMBER = re.compile(r"[ \t]{0,8}(\d{1,6})(?:\t|→)")
"""How tools that read files number lines, each one more than the last. Other numbers may be what a result is
about."""

_REMEMBERED = 1_000
_known: OrderedDict[tuple[int, int], tuple[int, ...]] = OrderedDict()


class DedupStage(Stage):
    """Leaves out what stands above."""

    name = "memory_dedup"

    def idle(self, request: Request, window: int | None) -> bool:
        """Without results of tools."""
        return not request.has_results

    def apply(self, request: Request, scene: Scene) -> Request:
        """The request without passages of results that stand before them; each is kept under a handle."""
        if not scene.restorable or not any(_results(message.content) for message in request.messages):
            return request
        seen = _Seen()
        for part in request.system:
            seen.add(part.text)
        messages = []
        for message in request.messages:
            content = tuple(self._block(block, seen, scene) for block in message.content)
            same = all(old is new for old, new in zip(message.content, content, strict=True))
            messages.append(message if same else replace(message, content=content))
            scene.check_time()
        if not seen.runs:
            return request
        passages = "one passage" if seen.runs == 1 else f"{seen.runs:,} passages"
        scene.did.append(f"{passages} of {seen.lines:,} lines that stand above")
        return replace(request, messages=tuple(messages))

    def _block(self, block: Block, seen: _Seen, scene: Scene) -> Block:
        if not isinstance(block, ToolResult):
            for text in _texts(block):
                seen.add(text)
            return block
        parts: list[Text | Image | Document] = []
        changed = False
        for part in block.content:
            if isinstance(part, Text):
                text = part.text if block.is_error else seen.shortened(part.text, scene)
                seen.add(text)
                if text is not part.text:
                    part, changed = replace(part, text=text), True
            parts.append(part)
        return replace(block, content=tuple(parts)) if changed else block


class _Seen:
    """The shingles of all that stood so far."""

    def __init__(self) -> None:
        self.runs = self.lines = 0
        self._shingles: set[int] = set()

    def add(self, text: str) -> None:
        """Notes a text."""
        if len(text) >= _LENGTH:
            self._shingles.update(_shingles(text))

    def shortened(self, text: str, scene: Scene) -> str:
        """A text without the passages that were seen; the very same where it has none."""
        if len(text) < _LENGTH or not self._shingles:
            return text
        known = _shingles(text)
        if self._shingles.isdisjoint(known):
            return text
        lines = text.split("\n")
        out: list[str] = []
        kept = 0
        for start, end in self._runs(known):
            passage = "\n".join(lines[start:end])
            if len(passage) < _LENGTH:
                continue
            out += lines[kept:start]
            out.append(left_out(f"{end - start:,} lines whose text stands above", scene.keep(passage)))
            kept = end
            self.runs += 1
            self.lines += end - start
        return "\n".join([*out, *lines[kept:]]) if kept else text

    def _runs(self, shingles: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Stretches of lines of which each shingle was seen; those of too little go with what is around."""
        start, end, taken = -1, -1, 0
        for at, number in enumerate(shingles):
            known = number != 0 and number in self._shingles
            if start >= 0 and ((number and not known) or (known and at > end)):
                yield from _long(start, end)
                start, taken = -1, end
            if known:
                start = max(at, taken) if start < 0 else start
                end = at + _SHINGLE
        if start >= 0:
            yield from _long(start, end)


def _long(start: int, end: int) -> Iterator[tuple[int, int]]:
    if end - start >= _RUN:
        yield start, end


def _shingles(text: str) -> Sequence[int]:
    """A number for each run of `_SHINGLE` lines; 0 for those that have too little in them.

    Texts come again with each turn, so what was found for the latest is remembered.
    """
    key = hash(text), len(text)
    if (known := _known.get(key)) is not None:
        return known
    lines = text.split("\n")
    if "\t" in text or "→" in text:
        lines = _without_numbers(lines)
    lines = list(map(str.rstrip, lines))
    numbers, lengths = list(map(hash, lines)), list(map(len, lines))
    runs = zip(*(numbers[at:] for at in range(_SHINGLE)), strict=False)
    sizes = map(sum, zip(*(lengths[at:] for at in range(_SHINGLE)), strict=False))
    found = tuple((hash(run) or 1) if size >= _TELLING else 0 for run, size in zip(runs, sizes, strict=True))
    _known[key] = found
    while len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return found


def _without_numbers(lines: list[str]) -> list[str]:
    found = [_NUMBER.match(line) for line in lines]
    numbers = [int(number[1]) if number else -2 for number in found]
    around = zip([-9, *numbers], numbers, [*numbers[1:], -9], strict=False)
    counted = [before + 1 == number or number + 1 == after for before, number, after in around]
    return [
        line[number.end() :] if number and one else line
        for line, number, one in zip(lines, found, counted, strict=True)
    ]


def _results(content: tuple[Block, ...]) -> bool:
    return any(isinstance(block, ToolResult) for block in content)


def _texts(block: Block) -> Iterator[str]:
    """The texts of a block of which the model has read every line, or written it."""
    match block:
        case Text() | Document():
            yield block.text
        case ToolUse():
            yield from (value for value in block.input.values() if isinstance(value, str))
