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
from lynkr_desktop.engine.memory.score import recency, relevance
from lynkr_desktop.engine.memory.store import Found
from lynkr_desktop.engine.memory.terms import terms_of
from lynkr_desktop.engine.routing.clean import clean, clean_text
from lynkr_desktop.engine.wire.canonical import Request, Text
from lynkr_desktop.protocol.memory import MemoryRow

OPENING, CLOSING = "<lynkr-memory>", "</lynkr-memory>"
_SAYS = (
    "Notes from earlier sessions of this project. They are background and may be outdated; what the "
    "person says "
    "and what the code shows count more."
)
_MOST = 12
_LEAST = 0.15
"""Score below which a memory does not fit the ask."""

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


class Block(Struct, frozen=True):
    """What is put into a turn, and the memories that it holds. Empty where nothing fits."""

    text: str = ""
    ids: tuple[str, ...] = ()


EMPTY = Block()


class Spoken(Struct, frozen=True):
    """A turn in which a person speaks.

    Attributes:
        position: of the turn.
        text: what is said, without what a harness put around it.
        raw: the first block that holds some of it, as it is.
    """

    position: int
    text: str
    raw: str


def score(found: Found, row: MemoryRow, terms: Sequence[str], weights: Weights, now: float) -> float:
    """How much a memory deserves its place in a prompt, 0..1."""
    value = relevance(found.query, terms, row, found.corpus) if weights.relevance else 1.0
    if weights.recency:
        value *= 0.5 + 0.5 * recency(now - row.at, weights.half_life)
    if weights.surprise:
        value *= 0.6 + 0.4 * row.surprise
    return value


def choose(
    found: Found, context: str, weights: Weights, *, budget: int, now: float, count: Callable[[str], int]
) -> Block:
    """The block for an ask.

    Args:
        found: what may fit.
        context: all that stands in the prompt; what it says already is not said again.
        budget: tokens that the block may take.
        now: Unix seconds.
        count: tokens of a text.
    """
    ranked: list[tuple[bool, float, MemoryRow]] = []
    for candidate in found.candidates:
        value = score(found, candidate.row, candidate.terms, weights, now)
        if candidate.row.pinned or value >= _LEAST:
            ranked.append((candidate.row.pinned, value, candidate.row))
    ranked.sort(key=lambda item: (item[0], item[1], item[2].at, item[2].id), reverse=True)
    there = normalised(context[:_CONTEXT])
    lines: list[str] = []
    ids: list[str] = []
    said: list[frozenset[str]] = []
    block = ""
    for _, _, row in ranked:
        text = tidy(row.text)
        if not text or normalised(text) in there:
            continue
        terms = frozenset(terms_of(text))
        if any(len(terms & other) >= 0.8 * len(terms | other) for other in said):
            continue
        line = f"- {row.kind} ({time.strftime('%Y-%m-%d', time.gmtime(max(0.0, min(row.at, 4e9))))}): {text}"
        longer = "\n".join((OPENING, _SAYS, *lines, line, CLOSING))
        if count(longer) > budget:
            continue
        block = longer
        lines.append(line)
        ids.append(row.id)
        said.append(terms)
        if len(lines) == _MOST:
            break
    return Block(block, tuple(ids)) if ids else EMPTY


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


def asks(request: Request) -> list[Spoken]:
    """The turns in which a person speaks, in their order."""
    found: list[Spoken] = []
    for position, message in enumerate(request.messages):
        if message.role == "user" and (text := clean_text(message)):
            parts = (part.text for part in message.content if isinstance(part, Text))
            raw = next((part for part in parts if part.strip() and clean(part)), "")
            found.append(Spoken(position, text, raw))
    return found
