"""What an ask looks like to the learned part of the score: its prose, apart from what was pasted, as n-grams.

The same for every language: words, pairs of words, and pieces of words, which stand in for stems; of Chinese,
Japanese and Korean text single characters, pairs and triples. Names of code, paths and numbers become
placeholders, so that what is learned is not whose code it was.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from zlib import crc32

from msgspec import Struct

from lynkr_desktop.engine.routing.concepts import concepts_of, tokens

BITS = 16
"""The n-grams share 2 ** BITS weights by their hash."""

_HEAD, _TAIL = 800, 400
"""Characters of the prose that are read: its beginning and its end."""

_PIECES = (3, 4, 5)
_WORD, _PAIR, _PIECE = 1.0, 0.8, 0.4
"""How much a word, a pair and a piece count before the whole is brought to length 1."""

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_PASTED = re.compile(
    r"[ \t]{4,}\S|\t|[+-](?![ \t])|[+-] {2,}|@@|diff --git|index [0-9a-f]{6,}|"
    r"\[?\d{4}-\d\d-\d\d[T ]|\[?\d\d:\d\d:\d\d|\[\d+/\d+\]|"
    r"(?:\[?(?:INFO|WARN(?:ING)?|ERROR|DEBUG|TRACE|FATAL)\b)|"
    r"\s*at \S+[(:]|\s*File \"|Traceback \(most|Exception in thread|goroutine \d|"
    r"[\w.]*(?:Error|Exception|panic)\b: |"
    r"\s*[\]})>]+[,;]?\s*$|\s*(?:[{<\[(]|//|/\*|#include|import |from \S+ import|"
    r"(?:public|private|static|const|let|var|def|"
    r"class|func|fn|return|package|using) \S+.*[({;:=]$)"
)
_SYMBOLS = re.compile(r"[{}()\[\];=<>|&$_\\/*+]")
_URL = re.compile(r"https?://\S+")
_PATH = re.compile(
    r"(?:[A-Za-z]:)?[\w.@~+-]*[\\/][\w.@~+\\/\[\]()-]+|"
    r"\b[\w-]+\.(?:pyi?|[cm]?[jt]sx?|rs|go|java|cs|md|toml|ya?ml|json|sql|html|css)\b",
    re.ASCII,
)
_CODE = re.compile(
    r"`[^`\n]*`|\b\w+(?:(?:\.|::|->)\w+)+(?:\(\))?|\b\w+\(\)|\b[A-Za-z]+_\w+|\b[a-z]+[A-Z]\w*|\b[A-Z][a-z0-9]+[A-Z]\w*",
    re.ASCII,
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
_STEP = re.compile(r"(?m)^\s*(?:\d+[.)]|[-*•])\s+\S")


class Features(Struct, frozen=True):
    """An ask in numbers.

    Attributes:
        grams: n-grams by their hash, weighted; together of length 1.
        words: the words of the prose, as they were read.
        concepts: what it is about, each with the words that say so.
        count: how many words the prose has; two characters of unspaced scripts count as one.
        steps: items of lists.
        pasted: characters that were pasted, not written.
    """

    grams: dict[int, float]
    words: tuple[str, ...]
    concepts: dict[str, str]
    count: int
    steps: int
    pasted: int


def features(text: str) -> Features:
    """Reads an ask; bounded, a few tenths of a millisecond for usual ones."""
    written = prose_of(text)
    cut = written if len(written) <= _HEAD + _TAIL else f"{written[:_HEAD]} {written[-_TAIL:]}"
    words = words_of(cut)
    grams: dict[int, float] = {}
    before = "^"
    for word in words:
        pair = _key(f"{before} {word}")
        grams[pair] = grams.get(pair, 0.0) + _PAIR
        before = word
        for key, weight in grams_of(word):
            grams[key] = grams.get(key, 0.0) + weight
    norm = math.sqrt(sum([value * value for value in grams.values()])) or 1.0
    unspaced = sum([len(run) for run in _UNSPACED.findall(cut)])
    return Features(
        grams={key: value / norm for key, value in grams.items()},
        words=words,
        concepts=concepts_of(cut),
        count=len(written.split()) + unspaced // 2,
        steps=len(_STEP.findall(written)),
        pasted=max(0, len(text) - len(written)),
    )


def prose_of(text: str) -> str:
    """What a person wrote, without code, logs, diffs and stack traces; where all is such, its beginning."""
    bare = _FENCE.sub("\n", text) if "```" in text else text
    if "\n" not in bare:
        return bare.strip()
    lines = [line for line in bare.split("\n") if line.strip() and not _is_pasted(line)]
    return "\n".join(lines).strip() or text[:300].strip()


def _is_pasted(line: str) -> bool:
    if _PASTED.match(line):
        return True
    start = line[:200]
    return len(start) > 20 and len(_SYMBOLS.findall(start)) > 0.12 * len(start)


def words_of(prose: str) -> tuple[str, ...]:
    """The words, in lower case.

    Placeholders stand for some: §u an address, §p a path, §c a name of code, 0 a number, §? that it asks.
    """
    text = _URL.sub(" §u ", prose) if "://" in prose else prose
    text = _CODE.sub(" §c ", _PATH.sub(" §p ", text))
    words = tokens(text)
    return (*words, "§?") if "?" in prose or "？" in prose else tuple(words)


@lru_cache(maxsize=8192)
def grams_of(word: str) -> tuple[tuple[int, float], ...]:
    """The n-grams of one word by their hash, each with its weight."""
    if _UNSPACED.match(word):
        return tuple(
            (_key(word[start : start + size]), _WORD if size == 2 else _PIECE)
            for size in (1, 2, 3)
            for start in range(len(word) - size + 1)
        )
    edged = f"<{word[:40]}>"
    pieces = [edged[start : start + size] for size in _PIECES for start in range(len(edged) - size + 1)]
    return ((_key(word), _WORD), *[(_key(piece), _PIECE) for piece in pieces])


def _key(gram: str) -> int:
    return crc32(gram.encode("utf-8", "replace")) & ((1 << BITS) - 1)
