"""How much a text has to do with what is asked: by the words, paths and symbols that they share."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TERM = re.compile(r"[^\W\d][\w.\-/\\]{1,119}")
_NAME = re.compile(r"[._/\\\d]|[a-z][A-Z]")
"""What paths and symbols have and plain words have not."""

_PLAIN_WORDS = """
the and for with that this from are was were not but you your can could would should please have has had all
any its into when what which why how who out get got let make made use used using now then than also just some
more only there here they them our about add fix new run see one two does did will may must der die das und
ist nicht mit les des une est pour con los las
"""
_PLAIN = frozenset(_PLAIN_WORDS.split())
_MOST_TERMS = 24
_READ = 60_000
"""Characters of an ask that are looked at."""

_HEAD, _TAIL = 3_000, 1_000
"""Characters of a text in which the terms are looked for."""

_NAME_WEIGHT = 3


class Terms:
    """What an ask is about.

    Args:
        asks: the words of a person, the newest first; older ones count where the newer say too little.
    """

    def __init__(self, asks: Iterable[str]) -> None:
        self._weights: dict[str, int] = {}
        for ask in asks:
            self._read(ask[:_READ])
            if len(self._weights) >= 3:
                break
        self._all = sum(self._weights.values())

    def share(self, text: str) -> float:
        """Which part of what is asked for a text names, from 0 to 1. Long texts are not read whole."""
        if not self._all:
            return 0.0
        if len(text) > _HEAD + _TAIL:
            text = f"{text[:_HEAD]}\n{text[-_TAIL:]}"
        text = text.lower()
        return sum(weight for term, weight in self._weights.items() if term in text) / self._all

    def _read(self, ask: str) -> None:
        for found in _TERM.finditer(ask):
            if len(self._weights) >= _MOST_TERMS:
                return
            term = found[0].rstrip(".-/\\")
            name = _NAME.search(term) is not None
            term = re.split(r"[/\\]", term)[-1].lower() if name else term.lower()
            if len(term) > 2 and term not in _PLAIN:
                self._weights.setdefault(term, _NAME_WEIGHT if name else 1)
