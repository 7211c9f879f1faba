"""Terms of a text for the index: code-aware, so that `parseConfig`, `parse_config` and `config` meet.

SQLite's tokenizers know nothing of code. So texts are cut up here, and the index is given the terms with
blanks between them.
"""

from __future__ import annotations

import re
from functools import lru_cache

LONGEST_TEXT = 8_000
"""Characters that are looked at."""

_LONGEST_TERM = 64
_LONGEST_STATEMENT = 500
_WORD = re.compile(r"[^\W_]+(?:[_.\-/\\:@+]{1,3}[^\W_]+)*[+#]{0,2}")
"""A word, an identifier or a path as a whole."""

_PARTS = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W0-9A-Za-z_]+")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
"""Scripts that put no blanks between words."""

_STOP_WORDS = """
a about after all also am an and any are as at be because been before but by can could did do does doing
done for from get had has have he her here his how i if in into is it its just let like me more most my
now of off on one only or other our out over own please she should so some such than that the their
them then there these they this those to too up us very want was we were what when where which while who
why will with would you your
aber als am an auch auf aus bei bin bis bitte da damit dann das dass dein dem den der des die dies diese
doch du durch ein eine einem einen einer er es für hat ich ihr im ist ja kann man mein mich mir mit
nach noch nun nur ob oder sich sie sind so soll um und uns unser von vor war was wenn wie wir wird zu
zum zur über
au aux avec ce ces cette dans de des du elle en est et il ils je la le les leur lui ma mais me mes mon ne
nos notre nous ou où par pour que qui sa se ses son sont sur ta te tes toi ton tu un une vous
al como con cual del el ella ellos en es esta este eso la las lo los mas mi muy nos o para pero por que se
si sin sobre son su sus tu un una uno y ya
ao as com da das do dos e em essa esse eu foi isso mais mas na nas nem os ou pelo por se sem ser
seu sua são também um uma você
ai alla che chi ci come con cui da dal degli del della di e gli ha ho il in io la le lo loro ma mi ne nel
non per più se si sono su sua suo ti tra un una
а без бы в вы да для до его если есть же за и из или как к ли мне мы на но о он она от по при с так то
ты у что это я
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""What says nothing in English and six other languages; what negates is no part of it."""


@lru_cache(maxsize=512)
def terms_of(text: str) -> tuple[str, ...]:
    """The terms of a text in their order, repeated as they are; without words that say nothing.

    An identifier or path comes whole and in parts, in lower case, a plural as its singular.
    """
    found: list[str] = []
    for match in _WORD.finditer(text[:LONGEST_TEXT]):
        whole = match[0]
        parts = [piece for part in _PARTS.findall(whole) for piece in _pieces(part)]
        if len(parts) > 1 and len(whole) <= _LONGEST_TERM and not _UNSPACED.search(whole):
            found.append(whole.casefold().replace("\\", "/"))
        for part in parts:
            term = _singular(part.casefold()[:_LONGEST_TERM])
            if term not in STOP_WORDS:
                found.append(term)
        if len(parts) == 1 and whole != parts[0]:  # c++, c#
            found.append(whole.casefold())
    return tuple(found)


def is_code(text: str) -> int:
    """How many identifiers, paths, versions, numbers or quoted pieces of code a text names."""
    return len(_CODE.findall(text[:_LONGEST_STATEMENT]))


def without_code(text: str) -> str:
    """A text without what `is_code` counts: what it says something of, rather than what it says of it."""
    return _CODE.sub(" ", text[:_LONGEST_STATEMENT])


_CODE = re.compile(
    r"`[^`\n]{1,80}`|\b[a-z0-9]+[A-Z]\w*|\b\w+_\w+|[\w.-]*/[\w./-]+|\b\w+\.\w{1,5}\b|\b\d[\d.]*\b|--?[a-z][\w-]+"
)


def _pieces(word: str) -> list[str]:
    """A word cut at its humps; scripts without blanks in overlapping pairs of characters."""
    pieces: list[str] = []
    for piece in _CAMEL.findall(word):
        if _UNSPACED.search(piece) is None:
            pieces.append(piece)
            continue
        at = 0
        for run in _UNSPACED.finditer(piece):
            if run.start() > at:
                pieces.append(piece[at : run.start()])
            pairs = [run[0][index : index + 2] for index in range(max(1, len(run[0]) - 1))]
            pieces += pairs
            at = run.end()
        if at < len(piece):
            pieces.append(piece[at:])
    return pieces


def _singular(word: str) -> str:
    if (
        len(word) > 3
        and word not in ("always", "toujours")
        and word.endswith("s")
        and not word.endswith(("ss", "us", "is"))
    ):
        return word[:-1]
    return word
