"""Long source files that are read whole: of functions that nobody has spoken of, the head and the first line
of what it says about itself.

Where a function begins and ends is told by how lines are indented, in time that grows with the lines. Only
what is inside of one ever goes; where that goes wrong, more stays.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, islice

from msgspec import Struct

from lynkr_desktop.engine.optimization.distill.listing import Listing, numbered
from lynkr_desktop.engine.optimization.distill.mentions import Mentions
from lynkr_desktop.engine.optimization.distill.shortening import Note

MIN_LINES = 100
"""Lines from which on a file is long."""

_INDENTED = frozenset({".py", ".pyi"})
_BRACED = frozenset(
    {
        ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".go", ".rs", ".java", ".kt", ".kts", ".scala",
        ".swift", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cs", ".php", ".dart", ".m",
    }
)  # fmt: skip
_DEF = re.compile(r"[ \t]*(?:async[ \t]+)?def[ \t]")
_NO_FUNCTION = re.compile(
    r"[ \t]*(?:[}\])]*[ \t]*(?:if|for|foreach|while|switch|catch|else|elif|do|try|match|loop|select|with"
    r"|using|lock|synchronized|unless|when|return|throw|case|default|finally)\b"
    r"|(?:[\w<>:,&' \t]+[ \t])?(?:class|interface|struct|enum|union|impl|trait|namespace|module|mod|object"
    r"|record|extension|protocol|describe|suite|context)\b)"
)
_HEAD_CHARS = 300
"""Characters of a line in which a function's head is looked for."""

_BLANK = -1
"""Depth of a line with nothing in it."""

_CALLED = re.compile(r"(?<![\w.])((?:[a-z_]\w{0,40}\.){0,2}[A-Za-z_]\w{3,40})\(")
_EVERYWHERE_NAMES = """
isinstance issubclass super hasattr getattr setattr range print tuple list dict type iter next sorted repr
enumerate reversed cast typing.cast t.cast self.assertEqual require catch switch while
"""
_EVERYWHERE = frozenset(_EVERYWHERE_NAMES.split())
"""Calls that say nothing of a function."""

_QUOTES = re.compile(r"[ \t]*[rbuRBU]{0,2}(\"\"\"|''')(.*)", re.DOTALL)
_SIGNATURE = 40
"""Lines that the head of a function may have."""

_LEAST_LINES, _LEAST_CHARS = 5, 240
"""What a gap leaves out at least."""

_NEAR = 2
"""Lines around a line that was spoken of that stay with it."""

_LONG, _LEVELS = 60, 3
"""Lines of a function from which on functions inside of it are looked for first, and how deep."""

_MAX_LINES, _MAX_CHARS = 20_000, 1_000_000
_NAMED = 4
"""Names in a gap that its mark says."""


class Folded(Struct, frozen=True):
    """A file with gaps.

    Attributes:
        text: head, lines and tail.
        shown: lines that still stand in it, as (start, end).
    """

    text: str
    shown: tuple[tuple[int, int], ...]


def fold(listing: Listing, path: str, mentions: Mentions, note: Note) -> Folded | None:
    """A file without the insides of functions that nothing so far has to do with; None where all of it stays.

    Args:
        listing: of the whole file.
        path: of it.
        mentions: what was spoken of so far.
        note: makes the line that says what is left out.
    """
    lines = listing.lines
    suffix = posixpath.splitext(path)[1].lower()
    name = posixpath.basename(path)
    if not MIN_LINES <= len(lines) <= _MAX_LINES or listing.first != 1 or mentions.asks_for(name):
        return None
    if sum(map(len, lines)) > _MAX_CHARS:
        return None
    bodies = _bodies(lines, suffix)
    if not bodies:
        return None
    stays = _spoken_of(lines, bodies, name, mentions)
    gaps = [gap for _, start, end in bodies for gap in _gaps(lines, stays, start, end)]
    if not gaps:
        return None
    gone = sum(end - start for start, end in gaps)
    parts = [note(f"{gone} of {len(lines)} lines of {path}, in functions not spoken of so far,")]
    shown: list[tuple[int, int]] = []
    position = 0
    for start, end in gaps:
        parts += numbered(listing, position, start)
        parts.append(_mark(lines, start, end))
        shown.append((position, start))
        position = end
    parts += numbered(listing, position)
    shown.append((position, len(lines)))
    return Folded(listing.head + "\n".join(parts) + listing.tail, tuple(shown))


def _bodies(lines: Sequence[str], suffix: str) -> list[tuple[int, int, int]]:
    """Functions as (head, start, end) of what is inside of them, in order, none in another."""
    if suffix not in _INDENTED | _BRACED:
        return []
    depths = [len(line) - len(rest) if (rest := line.lstrip()) else _BLANK for line in lines]
    return _indented(lines, depths) if suffix in _INDENTED else _braced(lines, depths, 0, len(lines))


def _indented(lines: Sequence[str], depths: Sequence[int]) -> list[tuple[int, int, int]]:
    bodies: list[tuple[int, int, int]] = []
    index = 0
    for at in [at for at, line in enumerate(lines) if "def " in line and _DEF.match(line)]:
        if at < index:
            continue
        begins = at + 1
        for end in range(at, min(len(lines), at + _SIGNATURE)):
            if lines[end].rstrip().endswith(":"):
                begins = end + 1
                break
        index = _inside(depths, begins, depths[at], len(lines))
        start = _documented(lines, begins, index)
        if index > start:
            bodies.append((at, start, index))
    return bodies


def _documented(lines: Sequence[str], start: int, end: int) -> int:
    """Where a function goes on behind the first line of what it says about itself."""
    if start >= end or not (quoted := _QUOTES.match(lines[start])):
        return start
    if quoted[2].strip():
        # Where that is all, nothing more is said.
        return start + 1
    return min(start + 2, end)


def _braced(
    lines: Sequence[str], depths: Sequence[int], begin: int, stop: int, level: int = 0
) -> list[tuple[int, int, int]]:
    bodies: list[tuple[int, int, int]] = []
    index = begin
    while index < stop:
        line = lines[index].rstrip()
        if not line.endswith("{") or not _heads(lines[index - 1] if index and line.strip() == "{" else line):
            index += 1
            continue
        end = _inside(depths, index + 1, depths[index], stop)
        deeper = end - index > _LONG and level < _LEVELS
        inner = _braced(lines, depths, index + 1, end, level + 1) if deeper else []
        bodies += inner if len(inner) > 1 else [(index, index + 1, end)]
        index = max(end, index + 1)
    return [body for body in bodies if body[2] > body[1]]


def _heads(line: str) -> bool:
    """Whether a line is the end of a function's head."""
    return ")" in line and not line.rstrip().endswith(";") and not _NO_FUNCTION.match(line[:_HEAD_CHARS])


def _inside(depths: Sequence[int], start: int, depth: int, stop: int) -> int:
    """The end of the lines that stand deeper than some depth."""
    end = start
    for at in range(start, stop):
        if depths[at] == _BLANK:
            continue
        if depths[at] <= depth:
            break
        end = at + 1
    return end


def _spoken_of(
    lines: Sequence[str], bodies: Sequence[tuple[int, int, int]], name: str, mentions: Mentions
) -> set[int]:
    """Lines that stay since something so far has to do with them."""
    text = "\n".join(lines).lower()
    starts = list(accumulate((len(line) + 1 for line in text.split("\n")), initial=0))
    heads = [head for head, _, _ in bodies]

    def around(line: int) -> int:
        at = bisect_right(heads, line) - 1
        return at if at >= 0 and line < bodies[at][2] else -1

    few, many = max(2, len(bodies) // 8), max(6, len(lines) // 10)
    whole = {around(number - 1) for number in mentions.narrow(name)}
    near = {number - 1 for number in mentions.broad(name)}
    for words, named in ((mentions.names, True), (mentions.words, False)):
        for word in words:
            found = _lines_with(word, text, starts, many)
            inside = set(map(around, found))
            if len(inside) <= few:
                whole |= inside if named else {around(line) for line in found if line in heads}
            if named or len(inside) <= few:
                near |= found
    stays = {line for at in near for line in range(at - _NEAR, at + _NEAR + 1)}
    for place in whole - {-1}:
        stays.update(range(bodies[place][1], bodies[place][2]))
    return stays


def _lines_with(word: str, text: str, starts: Sequence[int], most: int) -> set[int]:
    """Lines that hold a word; none where more of them do than would say anything."""
    found: set[int] = set()
    at = text.find(word)
    while at >= 0:
        line = bisect_right(starts, at) - 1
        found.add(line)
        if len(found) > most:
            return set()
        at = text.find(word, starts[line + 1])
    return found


def _gaps(lines: Sequence[str], stays: set[int], start: int, end: int) -> list[tuple[int, int]]:
    """Stretches of a function that go."""
    gaps: list[tuple[int, int]] = []
    begin = -1
    for index in range(start, end + 1):
        goes = index < end and index not in stays
        if goes and begin < 0:
            begin = index
        elif not goes and begin >= 0:
            if index - begin >= _LEAST_LINES and sum(map(len, lines[begin:index])) >= _LEAST_CHARS:
                gaps.append((begin, index))
            begin = -1
    return gaps


def _mark(lines: Sequence[str], start: int, end: int) -> str:
    named: dict[str, None] = {}
    for line in lines[start:end]:
        named.update((name, None) for name in _CALLED.findall(line[:_HEAD_CHARS]) if name not in _EVERYWHERE)
        if len(named) >= _NAMED:
            break
    which = f"[… lines {start + 1}-{end}"
    return f"{which}: {', '.join(islice(named, _NAMED))}]" if named else f"{which}]"
