"""Figures and tables as people read them in a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from lynkr_desktop.protocol.control import UsageTotals


def count(number: float) -> str:
    """A count in three digits or so: `950`, `12.3k`, `4.56M`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit * 0.9995:
            scaled = number / limit
            return f"{scaled:.{0 if scaled >= 100 else 1 if scaled >= 10 else 2}f}{unit}"
    return f"{number:.0f}"


def dollars(amount: float) -> str:
    """An amount of US dollars, with more digits where it is small: `$12.34`, `$0.0012`."""
    if amount and amount < 0.00005:
        return "<$0.0001"
    return f"${amount:,.{2 if amount >= 1 or not amount else 4}f}"


def cost(totals: UsageTotals) -> str:
    """What a sum cost. A price that is not known is said to be so and never shown as zero."""
    if not totals.unpriced:
        return dollars(totals.cost)
    if totals.unpriced == totals.requests:
        return "unknown"
    return f"{dollars(totals.cost)} + unknown"


def span(seconds: float) -> str:
    """A stretch of time in its two largest units: `45s`, `3m 20s`, `2d 4h`."""
    left = max(0, int(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"


def plural(number: int, word: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = "") -> str:
    """Rows in columns that stand in line.

    Args:
        rows: the cells; the last column is not padded.
        right: columns that are set to the right.
        indent: what each line begins with.
    """
    if not rows:
        return ""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = []
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blanks = " " * (width - _width(cell))
            padded.append(blanks + cell if index in right else cell + blanks)
        lines.append((indent + "  ".join(padded)).rstrip())
    return "\n".join(lines)


def printable(text: str) -> str:
    """`text` without characters that could steer the terminal; names come from clients and servers."""
    return "".join(
        char
        if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def _width(text: str) -> int:
    """Columns in a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
