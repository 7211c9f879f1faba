"""Long logs: of lines that differ only in times and numbers some stay, and all that is unusual.

A line's template is the line with each word that holds a digit replaced. Of a template that comes often some
lines stay, and each with a value that is rare where others repeat, or far above the others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from lynkr_desktop.engine.optimization.distill.filler import alarming
from lynkr_desktop.engine.optimization.distill.shortening import Lines
from lynkr_desktop.engine.optimization.distill.unusual import unusual_in

_MIN_LINES = 60
_OFTEN = 8
_FIRST, _LAST = 2, 1
_TIMED = re.compile(
    r"[\[(<]?(?:\d{4}[-/]\d\d[-/]\d\d[T ]|\d\d:\d\d:\d\d|[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d"
    r"|\d{10}(?:\d{3})?\b|(?:DEBUG|INFO|TRACE|NOTICE|VERBOSE)\b"
    r"|\S+ - - \[)|\S{1,60} \| |\{\"(?:time|ts|level|msg)"
)
_WORD = re.compile(r"(?<!\S)[^\s\d]*\d\S*")
_WHY = "like the ones around them"


def mark_templates(text: Lines) -> int:
    """Marks lines of a log that say what many others say; how many those are."""
    lines = text.lines
    if len(lines) < _MIN_LINES:
        return 0
    sample = lines[:: max(1, len(lines) // 200)]
    if sum(1 for line in sample if _TIMED.match(line[:120])) < 0.6 * len(sample):
        return 0
    groups: dict[str, list[int]] = defaultdict(list)
    for index, line in enumerate(lines):
        if text.drop[index] is None and 0 < len(line) <= 1_000:
            groups[_WORD.sub("#", line)].append(index)
    marked = 0
    for indices in groups.values():
        if len(indices) < _OFTEN or alarming(lines[indices[0]]):
            continue
        stays = {*indices[:_FIRST], *indices[-_LAST:], *_unusual(lines, indices)}
        for index in indices:
            if index not in stays:
                text.drop[index] = _WHY
                marked += 1
    return marked


def _unusual(lines: Sequence[str], indices: Sequence[int]) -> set[int]:
    """Lines of one template that hold a value unlike those that the others have in its place."""
    unusual: set[int] = set()
    columns = zip(*([found[0] for found in _WORD.finditer(lines[index])] for index in indices), strict=True)
    for column in columns:
        unusual.update(indices[position] for position in unusual_in(column))
    return unusual
