"""What an ask is about, by the words that people have for it in some fifteen languages.

They stand in words/concepts.toml.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache

from lynkr_desktop.engine.routing.words import read_words

_WORDS = read_words("concepts")
NAMES: tuple[str, ...] = tuple(_WORDS)
REASONS: dict[str, str] = {name: words["reason"] for name, words in _WORDS.items()}

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_TOKEN = re.compile(
    r"[^\s\u0021-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007e\u00a1-\u00a6\u00a8-\u00bf\u2010-\u205e\u060c\u061b\u061f"
    r"\u0964\u3001-\u3003\u3008-\u3011\uff01-\uff0f\uff1a-\uff20]+"
)
"""A word in any script: what is neither space nor punctuation. Vowel signs of Indic scripts belong to it."""

_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_LONGEST = 14


def tokens(text: str) -> list[str]:
    """The words of a text in lower case, with 0 for numbers."""
    return _TOKEN.findall(_DIGITS.sub("0", text.lower()))


class _Index:
    """Entries by how they are looked for: the start of a word, the first word of several, characters."""

    def __init__(self) -> None:
        self.whole: dict[str, list[str]] = defaultdict(list)
        self.starts: dict[str, list[str]] = defaultdict(list)
        self.rows: dict[str, list[tuple[str, bool, str]]] = defaultdict(list)
        self.anywhere: list[tuple[str, str]] = []
        for concept, words in _WORDS.items():
            for entry in words["starts"]:
                self._add(entry.strip(" "), entry.endswith((" ", "$")), concept)

    def _add(self, entry: str, ends: bool, concept: str) -> None:
        entry = entry.rstrip("$ ")
        if _UNSPACED.search(entry):
            self.anywhere.append((entry, concept))
        elif " " in entry:
            first, rest = entry.split(" ", 1)
            self.rows[first].append((rest, ends, concept))
        elif ends:
            self.whole[entry].append(concept)
        else:
            self.starts[entry[:_LONGEST]].append(concept)


_INDEX = _Index()


@lru_cache(maxsize=8192)
def _of_word(word: str) -> tuple[str, ...]:
    found = list(_INDEX.whole.get(word, ()))
    for size in range(2, min(len(word), _LONGEST) + 1):
        found += _INDEX.starts.get(word[:size], ())
    return tuple(found)


def concepts_of(text: str) -> dict[str, str]:
    """The concepts of a text, each with the words that name it; linear in the text."""
    words = ["^", *tokens(text)]
    found: dict[str, str] = {}
    for place, word in enumerate(words):
        for concept in _of_word(word):
            found.setdefault(concept, word)
        if (rows := _INDEX.rows.get(word)) is not None:
            after = " ".join(words[place + 1 : place + 6]) + " "
            for rest, ends, concept in rows:
                if concept not in found and after.startswith(rest) and (not ends or after[len(rest)] == " "):
                    found[concept] = f"{word} {rest}".removeprefix("^ ")
    if _UNSPACED.search(text):
        lowered = text.lower()
        for entry, concept in _INDEX.anywhere:
            if concept not in found and entry in lowered:
                found[concept] = entry
    return found
