"""The lines of a file as a tool showed them, with the numbers that it wrote before them.

On short lines these numbers cost more tokens than the code: a blank of its own to align them, the number, and
a sign behind it. Without the blanks, and with a tab, they cost a third of that and say the same.
"""

from __future__ import annotations

import re

from msgspec import Struct

from lynkr_desktop.engine.optimization.distill.envelope import split_envelope

MIN_LINES = 6
"""Lines from which on a text can be told to be a numbered file, and is worth comparing."""

_NUMBERED = re.compile(r"[ \t]{0,8}L?(\d{1,7})(\t|→| ?\||:)(.*)", re.DOTALL)
_GUTTER = re.compile(r"[ \t]{0,8}\d{1,7}(\t|→| ?\|)")

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


def listing_of(text: str, *, partial: bool) -> Listing:
    """The lines of a file, from the result of a tool that showed it, or a part of it."""
    head, body, tail = split_envelope(text)
    lines = body.split("\n")
    begin = 0
    while begin < min(4, len(lines)) and not _NUMBERED.match(lines[begin]):
        begin += 1
    numbered: list[str] = []
    first = 0
    sign = ""
    for line in lines[begin:]:
        found = _NUMBERED.match(line)
        if (
            found is None
            or (numbered and int(found[1]) != first + len(numbered))
            or sign not in ("", found[2])
        ):
            break
        if not numbered:
            first, sign = int(found[1]), found[2]
        numbered.append(found[3])
    if len(numbered) < MIN_LINES:
        return Listing(head, tail, tuple(lines), 0 if partial else 1, numbered=False)
    before = "".join(f"{line}\n" for line in lines[:begin])
    after = "".join(f"\n{line}" for line in lines[begin + len(numbered) :])
    return Listing(head + before, after + tail, tuple(numbered), first, numbered=True)


def numbered(listing: Listing, start: int = 0, end: int | None = None) -> list[str]:
    """Some lines of a listing, each behind its number and a tab where the tool wrote numbers."""
    lines = listing.lines[start:end]
    if not listing.numbered:
        return list(lines)
    return [f"{number}\t{line}" for number, line in enumerate(lines, listing.first + start)]


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
