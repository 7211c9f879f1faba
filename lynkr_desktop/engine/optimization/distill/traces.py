"""Folds stack traces: frames of libraries, but for the ends of each run, and what stands above already."""

from __future__ import annotations

import re

from lynkr_desktop.engine.optimization.distill.shortening import Lines

_MARKS = ('  File "', "\tat ", "    at ", "   at ")
_PYTHON = re.compile(r'[ \t]{0,40}(?:[|+][ \t]{0,40})?File "([^"\n]{1,400})", line \d+')
_CALLS = re.compile(r"\s+at (.{1,600})$")
_LIBRARY = re.compile(
    r"site-packages|dist-packages|[/\\]lib[/\\]python\d|<frozen |node_modules|\(?node:"
    r"|internal/(?:modules|process|main)"
    r"|^(?:java|javax|jdk|sun|com\.sun|org\.(?:springframework|apache|junit|hibernate|gradle|eclipse|testng|mockito)"
    r"|kotlin|kotlinx|scala|io\.(?:netty|undertow)|com\.(?:google|fasterxml|zaxxer|mysql)|reactor|System"
    r"|Microsoft|Xunit|NUnit)\.|^java\.base/|[/\\]\.cargo[/\\]|/rustc/|^(?:std|core|tokio|alloc)::"
)
_WHY = "frames of libraries"
_ABOVE = "as above"
_WINDOW = 3
_MIN_BLOCK = 5
"""Different lines that a block must have to count as the same one again."""

_FIRST, _LAST = 2, 1
"""Frames at the ends of a run of library frames that stay."""


def mark_library_frames(text: Lines) -> int:
    """Marks runs of library frames; how many lines those are."""
    if not any(mark in text.text for mark in _MARKS):
        return 0
    marked = 0
    run: list[tuple[int, int]] = []
    index = 0
    lines = text.lines
    while index <= len(lines):
        end, library = _frame(lines, index) if index < len(lines) else (index, False)
        if library:
            run.append((index, end))
            index = end
            continue
        for start, stop in run[_FIRST:-_LAST] if len(run) > _FIRST + _LAST + 1 else ():
            text.drop[start:stop] = [_WHY] * (stop - start)
            marked += stop - start
        run = []
        index = max(end, index + 1)
    return marked


def mark_repeated_blocks(text: Lines) -> int:
    """Marks what stands above already, line for line, behind the first line of each such block."""
    lines = text.lines
    first: dict[tuple[str, str, str], int] = {}
    marked = 0
    index = 0
    while index + _WINDOW <= len(lines):
        window = (lines[index], lines[index + 1], lines[index + 2])
        at = first.setdefault(window, index)
        size = 0
        if at + _WINDOW <= index:
            while index + size < len(lines) and at + size < index and lines[at + size] == lines[index + size]:
                size += 1
        if size >= _MIN_BLOCK and len({*lines[index : index + size]}) >= _MIN_BLOCK:
            for place in range(index + 1, index + size):
                text.drop[place] = _ABOVE
            marked += size - 1
        index += max(1, size)
    return marked


def _frame(lines: list[str], index: int) -> tuple[int, bool]:
    """Where the frame that begins at a line ends, and whether a library's code is in it."""
    line = lines[index][:1_000]
    if found := _PYTHON.match(line):
        indent = len(line) - len(line.lstrip())
        end = index + 1
        # The source line, and marks below it.
        while end < len(lines) and end - index < 4 and len(lines[end]) - len(lines[end].lstrip()) > indent:
            end += 1
        return end, _LIBRARY.search(found[1]) is not None
    if found := _CALLS.match(line):
        return index + 1, _LIBRARY.search(found[1]) is not None
    return index, False
