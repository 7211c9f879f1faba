"""Durations and sizes as people write them."""

from __future__ import annotations

import math
import re

_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)d\s*)?"
    r"(?:(?P<h>\d+(?:\.\d+)?)h\s*)?"
    r"(?:(?P<m>\d+(?:\.\d+)?)m(?!s)\s*)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s\s*)?"
    r"(?:(?P<ms>\d+(?:\.\d+)?)ms)?",
    re.ASCII,
)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<prefix>[KMGT]?)(?:I?B)?", re.ASCII | re.IGNORECASE)
_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}

_LONGEST = 64
"""Characters; nothing longer is a quantity, and what is long is not repeated in an error."""

_DURATION_HELP = "write a number of seconds, or a duration like 250ms, 30s, 5m, 1h30m or 2d"
_SIZE_HELP = "write a number of bytes, or a size like 512KB, 32MB or 1GB"


def parse_duration(value: object) -> float:
    """Reads a duration.

    Args:
        value: seconds as a number, or text such as `250ms`, `30s`, `5m`, `1h30m`, `2d`.

    Returns:
        Seconds.

    Raises:
        ValueError: it is neither.
    """
    quantity = _number_or_text(value, _DURATION_HELP)
    if not isinstance(quantity, str):
        return quantity
    match = _DURATION.fullmatch(quantity)
    if match is None or not quantity:
        raise ValueError(f"{quantity!r} is not a duration; {_DURATION_HELP}")
    return math.fsum(float(part) * _SECONDS[unit] for unit, part in match.groupdict().items() if part)


def parse_bytes(value: object) -> int:
    """Reads a size.

    Args:
        value: bytes as a number, or text such as `512KB`, `32MB`, `1.5GB`; units are powers of 1024.

    Returns:
        Bytes.

    Raises:
        ValueError: it is neither.
    """
    quantity = _number_or_text(value, _SIZE_HELP)
    if not isinstance(quantity, str):
        if not quantity.is_integer():
            raise ValueError(f"{quantity:g} is not a whole number of bytes; {_SIZE_HELP}")
        return int(quantity)
    match = _SIZE.fullmatch(quantity)
    if match is None:
        raise ValueError(f"{quantity!r} is not a size; {_SIZE_HELP}")
    return round(float(match["number"]) * _BYTES[match["prefix"].upper()])


def format_duration(seconds: float) -> str:
    """Writes a duration so that `parse_duration` reads it back, to the millisecond: `1h30m`."""
    rest = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_bytes(size: int) -> str:
    """Writes a size in the largest unit that divides it, so that `parse_bytes` reads it back: `32MB`."""
    for prefix in ("T", "G", "M", "K"):
        if size and size % _BYTES[prefix] == 0:
            return f"{size // _BYTES[prefix]}{prefix}B"
    return str(size)


def _number_or_text(value: object, help_: str) -> float | str:
    """A finite number, also where it is written as text without a unit; else the text, of bounded length."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST:
            raise ValueError(f"a text of {len(text)} characters is not a quantity; {help_}")
        return float(text) if re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII) else text
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"this is not a quantity; {help_}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"the number is not finite; {help_}")
    return number
