"""Values that stand out among those of one column: what an answer may well depend on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ONE_NUMBER = re.compile(r"\D*(\d+(?:\.\d+)?)\D*")
_FAR = 8.0
"""How many times the median a number must be to be unusual."""

_NEARLY_ALL = 0.9


def unusual_in(column: Sequence[str]) -> set[int]:
    """Places of values that are rare where others repeat, shaped otherwise, or far above the others."""
    counts = Counter(column)
    if len(counts) == 1:
        return set()
    ((most, count),) = counts.most_common(1)
    if count >= _NEARLY_ALL * len(column):
        return {index for index, value in enumerate(column) if value != most}
    rare = max(2, len(column) // 50)
    if len(counts) <= max(6, len(column) // 10):
        return {index for index, value in enumerate(column) if counts[value] <= rare}
    shaped = [_shape(value) for value in column]
    shapes = Counter(shaped)
    unusual: set[int] = set()
    if len(shapes) <= max(6, len(column) // 10):
        unusual = {index for index, shape in enumerate(shaped) if shapes[shape] <= rare}
    numbers = [_number(value) for value in column]
    known = sorted(number for number in numbers if number is not None)
    if len(known) > 0.8 * len(numbers) and (middle := known[len(known) // 2]) > 0:
        unusual |= {i for i, number in enumerate(numbers) if number is not None and number > _FAR * middle}
    return unusual


def _shape(value: str) -> str:
    """A value without its digits; hexadecimal ids are all alike."""
    return "id" if _is_id(value) else _NUMBER.sub("", value)


def _is_id(value: str) -> bool:
    return len(value) >= 8 and all(
        sign in "0123456789abcdefABCDEF-" for sign in value.strip("\"'[](),;:=")[-12:]
    )


def _number(value: str) -> float | None:
    found = None if _is_id(value) else _ONE_NUMBER.fullmatch(value)
    return float(found[1]) if found and len(found[1]) < 16 else None
