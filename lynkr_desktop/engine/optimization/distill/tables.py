"""Long tables of comma- or tab-separated values: head, tail, and a summary of each column."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence

from lynkr_desktop.engine.optimization.distill.filler import alarming
from lynkr_desktop.engine.optimization.distill.shortening import Note
from lynkr_desktop.engine.optimization.distill.unusual import unusual_in

_MIN_ROWS = 80
_FIRST, _LAST = 8, 4
_MAX_LISTED = 12
_MAX_CHARS = 4_000_000


def shorten_table(text: str, note: Note) -> str | None:
    """First and last rows, rows that speak of trouble, what each column holds; None for what is no table."""
    lines = text.strip("\n").split("\n")
    if len(lines) < _MIN_ROWS or len(text) > _MAX_CHARS:
        return None
    sample = lines[:50]
    for delimiter in ("\t", ",", ";", "|"):
        width = sample[0].count(delimiter)
        if width >= 2 and all(delimiter in line for line in sample):
            break
    else:
        return None
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return None
    header, *records = rows
    regular = [row for row in records if len(row) == len(header)]
    if len(rows) != len(lines) or len(regular) < 0.98 * len(records) or len(set(header)) < len(header):
        return None
    if any(_as_number(name) is not None for name in header):
        return None
    first, last = 1 + _FIRST, len(lines) - _LAST
    odd = {
        index for index in range(1, len(lines)) if len(rows[index]) != len(header) or alarming(lines[index])
    }
    places = [index for index, row in enumerate(rows) if index and len(row) == len(header)]
    for column in zip(*(row for row in records if len(row) == len(header)), strict=True):
        odd |= {places[position] for position in unusual_in(column)}
    if len(odd) > len(lines) // 4:
        return None
    stays = sorted({*range(first), *odd, *range(last, len(lines))})
    summary = [f"  {name}: {_summary([row[i] for row in regular])}" for i, name in enumerate(header)]
    parts = [
        note(f"{len(lines) - len(stays)} of {len(records)} rows"),
        f"[the table has {len(records)} rows and {len(header)} columns:",
        *summary[:-1],
        summary[-1] + "]",
    ]
    for position, index in enumerate(stays):
        if position and (between := index - stays[position - 1] - 1):
            parts.append(f"[… {between} rows]")
        parts.append(lines[index])
    return "\n".join(parts)


def _summary(values: Sequence[str]) -> str:
    """What a column holds, in a line."""
    counts = Counter(values)
    if len(counts) <= _MAX_LISTED and all(len(value) <= 40 for value in counts):
        return ", ".join(f"{value or 'empty'} {count}×" for value, count in counts.most_common())
    numbers = [number for value in values if (number := _as_number(value)) is not None]
    if len(numbers) > 0.95 * len(values):
        total = sum(numbers)
        return f"{min(numbers):g} to {max(numbers):g}, mean {total / len(numbers):g}"
    empty = f", {counts['']} empty" if counts[""] else ""
    return f"{len(counts)} different, from {min(values)[:40]} to {max(values)[:40]}{empty}"


def _as_number(value: str) -> float | None:
    try:
        return float(value) if len(value) < 25 else None
    except ValueError:
        return None
