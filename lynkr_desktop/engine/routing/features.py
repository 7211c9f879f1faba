"""What an ask looks like to the learned part of the score: its prose, apart from what was pasted, as n-grams.

The same for every language: words, pairs of words, and pieces of words, which stand in for stems; of Chinese,
Japanese and Korean text single characters, pairs and triples. Names of code, paths and numbers become
placeholders, so that what is learned is not whose code it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from zlib import crc32

from msgspec import Struct

from lynkr_desktop.engine.routing.concepts import concepts_of, tokens

BITS = 17
"""The n-grams share 2 ** BITS weights by their hash."""

_HEAD, _TAIL = 500, 300
"""Characters of the prose that are read: its beginning and its end."""

_PIECES = (3, 4, 5)
_UNSPACED_PIECES = ((1, 1.0), (2, 2.5), (3, 1.0))
_START = (2, 3)
_SEED_OF_PIECES, _SEED_OF_STARTS = 1, 2
_LENGTH, _LENGTH_OF_STARTS = 0.9, 0.6
"""The length to which words, pairs, pieces and starts of sentences are brought, each for themselves."""

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_PASTED = re.compile(
    r"[ \t]{4,}\S|\t|[+-](?![ \t])|[+-] {2,}|@@|>+ |diff --git|index [0-9a-f]{6,}|"
    r"\[?\d{4}-\d\d-\d\d[T ]|\[?\d\d:\d\d:\d\d|\[\d+/\d+\]|"
    r"(?:\[?(?:INFO|WARN(?:ING)?|ERROR|DEBUG|TRACE|FATAL)\b)|"
    r"\s*at \S+[(:]|\s*File \"|Traceback \(most|Exception in thread|goroutine \d|"
    r"[\w.]*(?:Error|Exception|panic)\b: |"
    r"\s*[\]})>]+[,;]?\s*$|\s*(?:[{<\[(]|//|/\*|#include|import |from \S+ import|"
    r"(?:public|private|static|const|let|var|def|"
    r"class|func|fn|return|package|using) \S+.*[({;:=]$)"
)
_SETTING = re.compile(r"\s*(?:[-*] +)?[\"']?[\w./-]+[\"']?\s?[:=](?:\s+\S.{0,80}|\s*)$|\s*- \S+$")
_SETTINGS = 4
"""Lines of names and values, one after another, that are taken for a pasted configuration."""

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
_QUOTED = re.compile(
    r"\"[^\"\n]{6,400}\"|“[^”\n]{6,400}”|„[^“”\n]{6,400}[“”]|«[^»\n]{6,400}»|「[^」\n]{4,400}」|『[^』\n]{4,400}』|"
    r"(?<![\w'])'(?=[^'\n]*\s)[^'\n]{6,200}'(?!\w)"
)
"""What stands between quotes is what is worked with: a message to translate, a comment as it shall be."""

_UNQUOTED = 12
"""Characters that must be left beside quotes; else the quote is what is asked."""

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
_SENTENCE = re.compile(r"(?<=[.!?:;])\s+|\n+|(?<=[。！？])")
_STEP = re.compile(r"(?m)^\s*(?:\d+[.)]|[-*•])\s+\S")


class Features(Struct, frozen=True):
    """An ask in numbers.

    Attributes:
        grams: n-grams by their hash, weighted; see `grams_in`.
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
    cut = _without_quotes(cut)
    sentences = sentences_of(cut)
    asks = "?" in cut or "？" in cut
    words = [word for sentence in sentences for word in sentence]
    unspaced = sum([len(run) for run in _UNSPACED.findall(cut)])
    return Features(
        grams=grams_in(sentences, asks),
        words=(*words, "§?") if asks else tuple(words),
        concepts=concepts_of(cut),
        count=len(written.split()) + unspaced // 2,
        steps=len(_STEP.findall(written)),
        pasted=max(0, len(text) - len(written)),
    )


def grams_in(sentences: Sequence[Sequence[str]], asks: bool) -> dict[int, float]:
    """The n-grams of a text by their hash.

    There are words, pairs, pieces of words and the first words of sentences; what is asked for mostly begins
    one. Each kind is of the same length, so that the many pieces do not drown the few words, and of each
    n-gram the root of its number counts.
    """
    words: dict[int, float] = {}
    pairs: dict[int, float] = {}
    pieces: dict[int, float] = {}
    starts: dict[int, float] = {}
    if asks:
        words[_key("§?")] = pairs[_key("§?", _SEED_OF_STARTS)] = 1.0
    for sentence in sentences:
        before = "^"
        for word in sentence:
            whole, parts = _grams_of(word)
            words[whole] = words.get(whole, 0.0) + 1.0
            pair = _key(f"{before} {word}")
            pairs[pair] = pairs.get(pair, 0.0) + 1.0
            before = word
            for piece, times in parts:
                pieces[piece] = pieces.get(piece, 0.0) + times
        for size in _START:
            start = _key(" ".join(sentence[:size]), _SEED_OF_STARTS)
            starts[start] = starts.get(start, 0.0) + 1.0
    grams: dict[int, float] = {}
    for kind, length in (
        (words, _LENGTH),
        (pairs, _LENGTH),
        (pieces, _LENGTH),
        (starts, _LENGTH_OF_STARTS),
    ):
        # The square of a root is the number itself.
        scale = length / math.sqrt(sum(kind.values()) or 1.0)
        for key, times in kind.items():
            grams[key] = grams.get(key, 0.0) + scale * math.sqrt(times)
    return grams


def _without_quotes(prose: str) -> str:
    """The prose with a placeholder, §q, for what it quotes."""
    bare = _QUOTED.sub(" §q ", prose)
    return bare if len(bare) - 4 * bare.count(" §q ") >= _UNQUOTED else prose


def prose_of(text: str) -> str:
    """What a person wrote, without code, logs, diffs and stack traces; where all is such, its beginning."""
    bare = _FENCE.sub("\n", text) if "```" in text else text
    if "\n" not in bare:
        return bare.strip()
    lines = [line for line in bare.split("\n") if line.strip()]
    kept: list[str] = []
    for setting, run in groupby(lines, key=_is_setting):
        block = list(run)
        if not setting or len(block) < _SETTINGS:
            kept += [line for line in block if not _is_pasted(line)]
    return "\n".join(kept).strip() or text[:300].strip()


def _is_setting(line: str) -> bool:
    return _SETTING.match(line) is not None


def _is_pasted(line: str) -> bool:
    if _PASTED.match(line):
        return True
    start = line[:200]
    return len(start) > 20 and len(_SYMBOLS.findall(start)) > 0.12 * len(start)


def sentences_of(prose: str) -> list[list[str]]:
    """The words of each sentence, in lower case.

    Placeholders stand for some: §u an address, §p a path, §c a name of code, §q a quote, 0 a number.
    """
    text = _URL.sub(" §u ", prose) if "://" in prose else prose
    text = _CODE.sub(" §c ", _PATH.sub(" §p ", text))
    return [words for sentence in _SENTENCE.split(text) if sentence and (words := tokens(sentence))]


@lru_cache(maxsize=8192)
def keys_of(word: str) -> tuple[int, ...]:
    """The hashes of a word and of its pieces."""
    whole, pieces = _grams_of(word)
    return (whole, *[key for key, _ in pieces])


@lru_cache(maxsize=8192)
def _grams_of(word: str) -> tuple[int, tuple[tuple[int, float], ...]]:
    """The hash of a word, and those of its pieces, each with how often it counts."""
    if _UNSPACED.match(word):
        pieces = [
            (word[start : start + size], times)
            for size, times in _UNSPACED_PIECES
            for start in range(len(word) - size + 1)
        ]
    else:
        edged = f"<{word[:40]}>"
        pieces = [
            (edged[start : start + size], 1.0) for size in _PIECES for start in range(len(edged) - size + 1)
        ]
    return _key(word), tuple([(_key(piece, _SEED_OF_PIECES), times) for piece, times in pieces])


def _key(gram: str, seed: int = 0) -> int:
    return crc32(gram.encode("utf-8", "replace"), seed) & ((1 << BITS) - 1)
