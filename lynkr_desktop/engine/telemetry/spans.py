"""Ranges of time, as people and programs name them."""

from __future__ import annotations

import math
import re
import time
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple, get_args

from lynkr_desktop.engine.config.units import parse_duration

UsageRange = Literal["today", "24h", "7d", "30d", "all"]
RANGES: tuple[UsageRange, ...] = get_args(UsageRange)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SECONDS = re.compile(r"\d{9,11}|\d{1,11}\.\d{1,9}", re.ASCII)
_LATEST = 253_402_300_800.0
"""The end of the year 9999, up to which dates can be written."""


class Span(NamedTuple):
    """A range of time in Unix seconds: `since` belongs to it, `until` does not. `name` may be empty."""

    since: float
    until: float
    name: str = ""


def named(name: UsageRange, now: float | None = None) -> Span:
    """A range that ends now. `7d` and `30d` are whole local days, the last of which is today."""
    until = time.time() if now is None else now
    return Span(since_of(name, until), math.nextafter(until, math.inf), name)


def since_of(name: UsageRange, now: float) -> float:
    """When a range begins that ends at `now`, in Unix seconds."""
    if name == "all":
        return 0.0
    if name == "24h":
        return now - 86400
    days = {"today": 0, "7d": 6, "30d": 29}[name]
    return start_of_day(date.fromtimestamp(now) - timedelta(days=days))


def start_of_day(day: date) -> float:
    """Local midnight in Unix seconds."""
    return datetime(day.year, day.month, day.day).timestamp()


def between(since: str, until: str, now: float | None = None) -> Span:
    """A range by its ends.

    Args:
        since: as `moment` takes it; empty for the first record.
        until: as `moment` takes it; a day alone belongs to the range. Empty for now.
        now: the time, if it is not now.

    Raises:
        ValueError: one cannot be read, or it ends before it begins. The message says which.
    """
    at = time.time() if now is None else now
    try:
        begin = moment(since, at) if since else 0.0
    except ValueError as error:
        raise ValueError(f"since: {error}") from error
    try:
        end = moment(until, at, whole_day=True) if until else math.nextafter(at, math.inf)
    except ValueError as error:
        raise ValueError(f"until: {error}") from error
    if begin >= end:
        raise ValueError("the range ends before it begins; since must be earlier than until")
    return Span(begin, end)


def moment(text: str, now: float, *, whole_day: bool = False) -> float:
    """Reads a time.

    Args:
        text: a local day or time (`2026-11-23`, `2026-11-23T14:30`, with an offset if it is not local), how
            long ago it was (`12h`, `90d`), or Unix seconds.
        now: the time, in Unix seconds.
        whole_day: a day alone stands for its end.

    Returns:
        Unix seconds, not below 0.

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()[:64]
    try:
        if _SECONDS.fullmatch(text):
            return min(float(text), _LATEST)
        if _DAY.fullmatch(text):
            return max(0.0, start_of_day(date.fromisoformat(text) + timedelta(days=whole_day)))
        if "-" in text:
            return max(0.0, datetime.fromisoformat(text).timestamp())
        if not text or text[-1].isdigit():
            raise ValueError
        return max(0.0, now - parse_duration(text))
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r} is not a time; write 2026-11-23, 2026-11-23T14:30, how long ago (12h, 90d), "
            "or Unix seconds"
        ) from None
