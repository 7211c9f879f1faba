"""Memories in a prompt: the best few within a budget of tokens, as a block of its own before an ask.

The block stands in the turn in which the ask stands, never in the system prompt, so what a provider has
cached of the turns before goes on serving. Each time the turn is sent again, the same block must stand there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from lynkr_desktop.engine.memory.extract import tidy
from lynkr_desktop.engine.memory.score import Matcher, recency
from lynkr_desktop.engine.memory.store import Found
from lynkr_desktop.engine.memory.terms import terms_of
from lynkr_desktop.engine.passages.source import EMPTY, Passage, marked
from lynkr_desktop.engine.wire.canonical import Request, Text
from lynkr_desktop.protocol.memory import MemoryRow

NAME = "memory"
_SAYS = (
    "Notes from earlier sessions of this project. They are background and may be outdated; what the "
    "person says "
    "and what the code shows count more."
)
_MOST, _LOOKED_AT = 12, 24
"""Memories that a block holds, and that are looked at for it."""

_LEAST = 0.15
"""Score below which a memory does not fit the ask."""

_ALIKE = 0.8
"""Part of the terms of two memories that both have, from which on one of them is enough."""

_CONTEXT = 400_000
"""Characters of a prompt in which it is looked whether a memory stands there already."""

_WORDS = re.compile(r"\w+")


class Weights(Struct, frozen=True, kw_only=True):
    """By what a memory is ranked.

    Attributes:
        half_life: seconds after which a memory counts half as much.
    """

    half_life: float
    surprise: bool = True
    recency: bool = True
    relevance: bool = True


def score(matcher: Matcher, row: MemoryRow, terms: Sequence[str], weights: Weights, now: float) -> float:
    """How much a memory deserves its place in a prompt, 0..1."""
    value = matcher.relevance(terms, row) if weights.relevance else 1.0
    if weights.recency:
        value *= 0.5 + 0.5 * recency(now - row.at, weights.half_life)
    if weights.surprise:
        value *= 0.6 + 0.4 * row.surprise
    return value


def choose(
    found: Found, context: str, weights: Weights, *, budget: int, now: float, count: Callable[[str], int]
) -> Passage:
    """The block for an ask.

    Args:
        found: what may fit.
        context: all that stands in the prompt; what it says already is not said again.
        budget: tokens that the block may take.
        now: Unix seconds.
        count: tokens of a text.
    """
    matcher = Matcher(found.query, found.corpus)
    ranked: list[tuple[bool, float, MemoryRow]] = []
    for candidate in found.candidates:
        value = score(matcher, candidate.row, candidate.terms, weights, now)
        if candidate.row.pinned or value >= _LEAST:
            ranked.append((candidate.row.pinned, value, candidate.row))
    ranked.sort(key=lambda item: (item[0], item[1], item[2].at, item[2].id), reverse=True)
    there = normalised(context[:_CONTEXT]) if ranked else ""
    room = budget - count(_block([]))
    taken: list[tuple[str, str]] = []
    said: list[frozenset[str]] = []
    for _, _, row in ranked[:_LOOKED_AT]:
        text = tidy(row.text)
        line = f"- {row.kind} ({_day(row.at)}): {text}"
        cost = count(line) + 1
        if not text or cost > room or normalised(text) in there:
            continue
        terms = frozenset(terms_of(text))
        if any(len(terms & other) >= _ALIKE * len(terms | other) for other in said):
            continue
        taken.append((line, row.id))
        said.append(terms)
        room -= cost
        if len(taken) == _MOST:
            break
    # Tokens of parts add up to a little more or less than those of the whole.
    while taken and count(_block([line for line, _ in taken])) > budget:
        taken.pop()
    if not taken:
        return EMPTY
    return Passage(_block([line for line, _ in taken]), tuple(memory_id for _, memory_id in taken))


def _block(lines: Sequence[str]) -> str:
    return marked(NAME, (_SAYS, *lines))


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(max(0.0, min(at, 4e9))))


def normalised(text: str) -> str:
    """A text as its words alone, in lower case, with one blank around each."""
    return f" {' '.join(_WORDS.findall(text.casefold()))} "


def context_of(request: Request) -> str:
    """All text of a prompt that a memory could repeat: the system prompt and the turns."""
    parts = [part.text for part in request.system]
    parts += [
        block.text for message in request.messages for block in message.content if isinstance(block, Text)
    ]
    return "\n".join(parts)
