"""Chooses facts from the originals, before any stage sees them, without knowing what a stage keeps.

A line of a tool's answer is a candidate where at least two of its words stand once in that answer, and in
hardly any other: one is named by the question, the other is the answer. Of each answer some lines are taken
at random, the longer the more, and one whose form is the rarest in it, which is how odd lines look. Where a
line begins with a place in a file, the question is what stands at that place.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from benchmarks.fidelity.conversations import Needle
from benchmarks.fidelity.judge import seen
from lynkr_desktop.engine.wire.canonical import Message, ToolResult, ToolUse

_WORD = re.compile(r"\w[\w./@-]+\w")
_PLACE = re.compile(r"([\w./-]+\.\w+):(\d+)")
_PIECES = re.compile(r"\n|(?<=\}),\s*(?=\{)")
_DIGITS, _LETTERS = re.compile(r"\d+"), re.compile(r"[A-Za-z_]+")
_SHORTEST = 400
"""Characters of an answer from which on it is worth shortening."""

_LONGEST_LINE = 600
_ELSEWHERE = 3
"""Answers of a conversation that may hold a word: files are read more than once."""

_PER_RANDOM, _MOST_RANDOM = 5_000, 4
"""Characters of an answer for each line that is taken at random, and the most of these."""

_ASKED_EACH = 10
"""One in so many chosen facts is needed by the very next request."""


class _Line(Struct, frozen=True):
    """A line that may be asked for."""

    text: str
    key: str
    facts: tuple[str, ...]
    path: str = ""


def words_of(text: str) -> list[str]:
    """The words of a text: names, numbers, paths."""
    return _WORD.findall(text)


def choose(messages: Sequence[Message], seed: str, by_hand: tuple[Needle, ...]) -> tuple[Needle, ...]:
    """The needles of a conversation.

    Args:
        messages: its turns.
        seed: the conversation's name.
        by_hand: needles that were written for it.
    """
    chance = random.Random(seed)
    says = {
        block.id: f"{block.name} {json.dumps(block.input)}"[:160]
        for message in messages
        for block in message.content
        if isinstance(block, ToolUse)
    }
    results = [
        (turn, block)
        for turn, message in enumerate(messages)
        for block in message.content
        if isinstance(block, ToolResult) and len(block.text) >= _SHORTEST
    ]
    spread = Counter(word for _, block in results for word in set(words_of(seen(block.text))))
    found: list[Needle] = []
    for turn, block in results:
        pieces = [piece for piece in _PIECES.split(seen(block.text)) if 12 <= len(piece) <= _LONGEST_LINE]
        counts = Counter(words_of(seen(block.text)))
        rare_words = {word for word, count in counts.items() if count == 1 and spread[word] <= _ELSEWHERE}
        candidates = [line for piece in pieces if (line := _candidate(piece, rare_words)) is not None]
        if not candidates:
            continue
        forms = Counter(_form(piece) for piece in pieces)
        odd = min(candidates, key=lambda line: forms[_form(line.text)])
        number = min(len(candidates), _MOST_RANDOM, 1 + len(block.text) // _PER_RANDOM)
        chosen = {line.text: line for line in (*chance.sample(candidates, number), odd)}
        found += [
            Needle(
                question=f"In what `{says[block.tool_use_id]}` said: what stands with {line.key}?",
                facts=line.facts,
                path=line.path,
                source=block.tool_use_id,
                turn=turn,
                asked=chance.randrange(_ASKED_EACH) == 0,
            )
            for line in chosen.values()
        ]
    return (*by_hand, *found)


def _candidate(piece: str, rare_words: set[str]) -> _Line | None:
    """A line with something to ask for; None where all its words are common."""
    rare = [word for word in words_of(piece) if word in rare_words and len(word) <= 80]
    if (place := _PLACE.match(piece)) is not None:
        path, number = place.groups()
        rare = [word for word in rare if word not in place[0]]
        return _Line(piece, place[0], (number, rare[-1]), path) if rare else None
    return _Line(piece, rare[0], (rare[0], rare[-1])) if len(rare) >= 2 else None


def _form(piece: str) -> str:
    return _LETTERS.sub("a", _DIGITS.sub("0", piece))[:60]
