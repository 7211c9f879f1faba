"""Long tables: head, tail, rows that stand out, and, where they are separated by commas or tabs, a summary of
each column."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from lynkr_desktop.engine.optimization.distill.filler import alarming
from lynkr_desktop.engine.optimization.distill.shortening import Lines, Note
from lynkr_desktop.engine.optimization.distill.unusual import unusual_in

_MIN_ROWS = 50
_FIRST, _LAST = 8, 4
_OUTERMOST = 5
"""Rows with the greatest values of a column of numbers, and with the least ones, that stay."""

_MOST_TIED = 3
"""Rows that may have the least value for it to say something."""

_MAX_LISTED = 12
_MAX_CHARS = 4_000_000
_CELLS = 4
"""Cells by which a row of a report is told from other lines."""

_DIGITS = frozenset("-0123456789")
_SAMPLE = 20
"""Lines by which most texts are told to hold no such rows."""

_NUMBER = re.compile(r"-?\d[\d.,]{0,20}%?")
_WHY = "rows that do not stand out"


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
    if any(_as_number(name) is not None for name in header):
        header, records = [f"column {number}" for number in range(1, len(header) + 1)], rows
    regular = [row for row in records if len(row) == len(header)]
    if len(rows) != len(lines) or len(regular) < 0.98 * len(records) or len(set(header)) < len(header):
        return None
    begin = len(rows) - len(records)
    first, last = begin + _FIRST, len(lines) - _LAST
    odd = {
        index
        for index in range(begin, len(lines))
        if len(rows[index]) != len(header) or alarming(lines[index])
    }
    places = [index for index, row in enumerate(rows) if index >= begin and len(row) == len(header)]
    outer: set[int] = set()
    for column in zip(*regular, strict=True):
        odd |= {places[position] for position in unusual_in(column)}
        outer |= {places[position] for position in _outermost(column)}
    if len(odd) > len(lines) // 4:
        return None
    stays = sorted({*range(first), *odd, *outer, *range(last, len(lines))})
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


def mark_rows(text: Lines) -> int:
    """Marks rows of reports that tools print in columns, but for the ends and what stands out.

    A row begins with a few cells, most of them numbers, and all rows of a table do so alike.
    """
    marked = 0
    sample = text.lines[:: max(1, len(text.lines) // _SAMPLE)]
    if len(text.lines) < _MIN_ROWS or sum(map(_is_row, map(_row_shape, sample))) < _SAMPLE // 5:
        return 0
    for shape, run in groupby(range(len(text.lines)), lambda index: _row_shape(text.lines[index])):
        places = list(run)
        if len(places) < _MIN_ROWS or not _is_row(shape):
            continue
        stays = {*places[:_FIRST], *places[-_LAST:]}
        stays.update(place for place in places if alarming(text.lines[place]))
        cells = [text.lines[place].split(None, _CELLS + 1) for place in places]
        for column in list(zip(*cells, strict=False))[: _CELLS + 1]:
            stays.update(places[position] for position in _outermost(column))
        for place in places:
            if place not in stays:
                text.drop[place] = _WHY
                marked += 1
    return marked


def _is_row(shape: str) -> bool:
    return shape.count("n") >= _CELLS - 1


def _row_shape(line: str) -> str:
    return "".join(
        "n" if cell[0] in _DIGITS and _NUMBER.fullmatch(cell) else "t"
        for cell in line.split(None, _CELLS)[:_CELLS]
    )


def _outermost(column: Sequence[str]) -> set[int]:
    """Places of the greatest numbers of a column, and of the least ones where few are as small."""
    numbers = [_as_number(value.rstrip("%")) for value in column]
    known = sorted((number, -place) for place, number in enumerate(numbers) if number is not None)
    if len(known) < 0.95 * len(column):
        return set()
    order = [place for _, place in known]
    if order in (sorted(order), sorted(order, reverse=True)):  # numbered, or sorted by it
        return set()
    least = known[0][0]
    ends = known[-_OUTERMOST:]
    if sum(number == least for number, _ in known) <= _MOST_TIED:
        ends += known[:_OUTERMOST]
    return {-place for _, place in ends}


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
