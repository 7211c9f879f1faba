"""What upstreams tell in headers about the limits of their rates.

OpenAI and those that copy it (Azure, Groq and others): `x-ratelimit-{limit,remaining,reset}-requests` and
`-tokens`, the reset as a duration such as `6m0s` or `120ms`; Azure writes bare seconds, and -1 for what it
does not know. Cerebras adds a span (`-requests-day`, `-tokens-minute`). Anthropic:
`anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, the reset as a
time by RFC 3339. OpenRouter: `x-ratelimit-{limit,remaining,reset}`, the reset in milliseconds since 1970.
A reset is, by OpenAI and Anthropic, when the whole limit is there again; part of it is there before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

LONGEST_HOLD = 3600.0
"""Seconds; nothing that an upstream says keeps requests from it for longer without asking it again."""

LONGEST_BY_CLOCK = 60.0
"""Seconds to a reset that is told as a time of day, at most: what lies beyond comes of clocks that disagree.
The limits that are told so are those of a minute; for others, one request a minute finds out."""

_ABSURD = 31 * 86_400.0
"""Seconds; a reset that lies further ahead means something else than what is looked for."""


class _Names(Struct, frozen=True):
    """The headers of one limit, and what it is called."""

    remaining: str
    limit: str
    reset: str
    what: str


def _names(pattern: str, what: str) -> _Names:
    return _Names(pattern.format("remaining"), pattern.format("limit"), pattern.format("reset"), what)


_REQUESTS = (
    _names("x-ratelimit-{}-requests", "requests"),
    _names("anthropic-ratelimit-requests-{}", "requests"),
    _names("x-ratelimit-{}", "requests"),
    _names("x-ratelimit-{}-requests-day", "requests of the day"),
)
_TOKENS = (
    _names("x-ratelimit-{}-tokens", "tokens"),
    _names("anthropic-ratelimit-tokens-{}", "tokens"),
    _names("anthropic-ratelimit-input-tokens-{}", "input tokens"),
    _names("anthropic-ratelimit-output-tokens-{}", "output tokens"),
    _names("x-ratelimit-{}-tokens-minute", "tokens"),
)

_DURATION = re.compile(
    r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?",
    re.ASCII,
)
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_TOKENS_BACK = 0.1
"""Part of a limit of tokens that must be there again before the next request goes out."""


class Budget(Struct, frozen=True):
    """What is left of a limit of requests: `remaining` of `limit`, all of it again in `reset` seconds."""

    remaining: float
    limit: float
    reset: float

    @property
    def wait(self) -> float:
        """Seconds until one more is allowed."""
        return self.reset * max(0.0, 1 - self.remaining) / (self.limit - self.remaining)


class Told(Struct, frozen=True):
    """What the headers of one answer say.

    Attributes:
        requests: the tightest limit of requests; None where none is told, or it is far off.
        hold: seconds until limits give way that are exhausted and cannot be counted down; 0 for none.
        why: which limit that is.
    """

    requests: Budget | None = None
    hold: float = 0.0
    why: str = ""


NOTHING = Told()


def read_limits(headers: Mapping[str, str], near: float, wall: float) -> Told:
    """What an answer says of rate limits. Whatever is malformed or absurd counts as not said.

    Args:
        headers: of the answer; their names in lower case, or a mapping that ignores case.
        near: a limit of which more requests than these are left is of no interest.
        wall: the time now, in Unix seconds.
    """
    requests: Budget | None = None
    hold, why = 0.0, ""
    for names in _REQUESTS:
        remaining = _count(headers.get(names.remaining))
        if remaining is None or remaining > near:
            continue
        reset = parse_reset(headers.get(names.reset, ""), wall)
        if not reset:
            continue
        limit = _count(headers.get(names.limit))
        if limit is not None and limit > remaining:
            if requests is None or remaining < requests.remaining:
                requests = Budget(remaining, limit, reset)
        elif remaining < 1 and reset > hold:
            hold, why = reset, f"no {names.what} left"
    for names in _TOKENS:
        if _count(headers.get(names.remaining)) == 0:
            reset = parse_reset(headers.get(names.reset, ""), wall) or 0.0
            # Without its size, a limit says nothing of how soon a part of it is back.
            reset *= _TOKENS_BACK if _count(headers.get(names.limit)) else 1.0
            if reset > hold:
                hold, why = reset, f"no {names.what} left"
    return Told(requests, hold, why) if requests is not None or hold else NOTHING


def parse_reset(text: str, wall: float) -> float | None:
    """Seconds until a reset, bounded; None for what cannot be understood.

    Args:
        text: a duration (`6m0s`, `120ms`, `1.5`), a time by RFC 3339, or seconds or milliseconds since 1970.
        wall: the time now, in Unix seconds.
    """
    text = text.strip()
    if not text or len(text) > 40:
        return None
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= 1e12:
            return _by_clock(number / 1000 - wall)
        return _by_clock(number - wall) if number >= 1e9 else _bounded(number)
    if found := _DURATION.fullmatch(text):
        parts = zip(found.groups(), _UNITS, strict=True)
        return _bounded(sum(float(part) * unit for part, unit in parts if part is not None))
    try:
        at = datetime.fromisoformat(text)
        return _by_clock((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() - wall)
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return min(seconds, LONGEST_HOLD) if seconds <= _ABSURD else None


def _by_clock(seconds: float) -> float | None:
    return min(max(0.0, seconds), LONGEST_BY_CLOCK) if abs(seconds) <= _ABSURD else None


def _count(text: str | None) -> float | None:
    if text is None or len(text) > 20:
        return None
    text = text.strip()
    return float(text) if text.isascii() and text.isdecimal() else None
