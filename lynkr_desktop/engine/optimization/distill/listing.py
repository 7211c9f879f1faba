"""The lines of a file as a tool showed them, with the numbers that it wrote before them.

On short lines these numbers cost more tokens than the code: a blank of its own to align them, the number, and
a sign behind it. Without the blanks, and with a tab, they cost a third of that and say the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import repeat
from operator import sub

from msgspec import Struct

from lynkr_desktop.engine.optimization.distill.envelope import split_envelope

MIN_LINES = 6
"""Lines from which on a text can be told to be a numbered file, and is worth comparing."""

_NUMBERED = re.compile(r"[ \t]{0,8}(L?)(\d{1,7})(\t|→| ?\||:)")
_GUTTER = re.compile(r"^[ \t]{0,8}\d{1,7}(\t|→| ?\|)", re.MULTILINE)

_NEAR = 1_000
"""Characters in which a numbered text begins to be numbered."""

_MOST_BLANKS = 16
LEGEND = "[each line begins with its number and a tab]"


class Listing(Struct, frozen=True):
    """The lines of a file as a tool showed them.

    Attributes:
        head: what stands before them in the result.
        tail: what stands behind them.
        lines: without numbers.
        first: number of the first line; 0 where that is not known.
        numbered: whether the tool wrote numbers.
    """

    head: str
    tail: str
    lines: tuple[str, ...]
    first: int
    numbered: bool


@lru_cache(maxsize=4)
def listing_of(text: str, *, partial: bool) -> Listing:
    """The lines of a file, from the result of a tool that showed it, or a part of it."""
    head, body, tail = split_envelope(text)
    lines = body.split("\n")
    begin = 0
    while begin < min(4, len(lines)) and not _NUMBERED.match(lines[begin]):
        begin += 1
    numbered: list[str] = []
    first = 0
    if begin < len(lines) and (found := _NUMBERED.match(lines[begin])):
        mark, first, sign = found[1], int(found[2]), found[3]
        width = len(found[2]) if found[2].startswith("0") else 0
        bare = [line.lstrip(" \t") for line in lines[begin:]]
        starts = [f"{mark}{number:0{width}}{sign}" for number in range(first, first + len(bare))]
        begun = [*map(str.startswith, bare, starts), False]
        numbered = list(map(str.removeprefix, bare[: begun.index(False)], starts))
    if len(numbered) < MIN_LINES:
        return Listing(head, tail, tuple(lines), 0 if partial else 1, numbered=False)
    above = "".join(f"{line}\n" for line in lines[:begin])
    below = "".join(f"\n{line}" for line in lines[begin + len(numbered) :])
    return Listing(head + above, below + tail, tuple(numbered), first, numbered=True)


def numbered(listing: Listing, start: int = 0, end: int | None = None) -> list[str]:
    """Some lines of a listing, each behind its number and a tab where the tool wrote numbers."""
    lines = listing.lines[start:end]
    if not listing.numbered:
        return list(lines)
    return [f"{number}\t{line}" for number, line in enumerate(lines, listing.first + start)]


def may_be_numbered(text: str) -> bool:
    """Whether a text has a numbered line near its beginning."""
    return _GUTTER.search(text, 0, _NEAR) is not None


def narrow(text: str, listing: Listing) -> str | None:
    """A file whose numbers are not aligned, and end with a tab; None where it has no such numbers.

    Args:
        text: the result of a tool that showed the file.
        listing: the same, read.
    """
    if not listing.numbered or (gutter := _GUTTER.match(text, len(listing.head))) is None:
        return None
    # Agents tell their models of numbers that end with a tab.
    legend = [] if gutter[1] == "\t" else [LEGEND]
    return listing.head + "\n".join([*legend, *numbered(listing)]) + listing.tail


def blank_tokens(text: str, listing: Listing, narrowed: str) -> int | None:
    """Tokens that the blanks before the numbers of a file take, told without counting.

    OpenAI's tables have one token for up to dozens of blanks in a row. The last blank before a number is one
    of its own, for a number takes none to it as a word does.

    Args:
        text: the result of a tool that showed the file.
        listing: the same, read.
        narrowed: the same, narrowed.

    Returns:
        None where more than these blanks differs.
    """
    head, tail = listing.head, listing.tail
    if head and not head.endswith("\n"):
        return None
    lines = text[len(head) : len(text) - len(tail)].split("\n")
    bare = [line.lstrip(" ") for line in lines]
    if f"{head}{chr(10).join(bare)}{tail}" != narrowed:
        return None
    blanks = list(map(sub, map(len, lines), map(len, bare)))
    return sum(map(min, blanks, repeat(2))) if max(blanks) <= _MOST_BLANKS else None
