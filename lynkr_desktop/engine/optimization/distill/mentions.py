"""What a conversation has spoken of so far: of a long file, these parts are what it is read for."""

from __future__ import annotations

import re
from collections import defaultdict
from string import ascii_letters, digits

from lynkr_desktop.engine.optimization.block_cache import block_key
from lynkr_desktop.engine.routing.clean import clean
from lynkr_desktop.engine.wire.canonical import ToolUse

_WORD = re.compile(r"[^\W\d]\w{2,60}")
_NAME = re.compile(r"_|\d|[a-z][A-Z]")
"""What names in code have and plain words have not."""

_QUOTED = re.compile(r"`([^`\n]{2,80})`")
_PLACE = re.compile(r'(\.[A-Za-z]{1,5})(?::|", line |\()(\d{1,6})\b')
_STEM = re.compile(r"[\w.-]+\Z")
_STEM_CHARS = f"{ascii_letters}{digits}_.-"
_ENDS = re.compile(r"(?:ing|ed|es|s|d|e|ly)$")
_SAID = 6_000
"""Characters of what was said that are looked at."""

_MOST_WORDS = 80
_BROAD = 40
"""Places from which on a result lists what a file has everywhere, and not what it is about."""

_EDITED = ("old_string", "new_string", "old_str", "new_str", "symbol", "symbol_name", "name_path")
_COMMON_WORDS = """
about after again also another any anything are because been before being both but call can change check
class code could def did does done each else even every false file files find first fix for from function
get give had has have her here how import into its just know last like line lines list look make many
method methods module more most must need never new none not now one only other our out over part place
please problem put read really return run same see self should show since so some something still string
such take test tests than that the their them then there these they thing this through today true type
use used using value was way well were what when where which while who why will with work would wrong you
your
"""
_COMMON = frozenset(_COMMON_WORDS.split())
"""Words that say nothing of what is looked for."""


class Places(dict[str, tuple[int, ...]]):
    """Lines that a result names, by the file's name."""

    __slots__ = ()


class Mentions:
    """What was said, called and found up to some block.

    Attributes:
        names: of things in code, in lower case.
        words: of the newest ask and what was said since, without their ends.
    """

    def __init__(self) -> None:
        self.names: dict[str, None] = {}
        self.words: dict[str, None] = {}
        self._asked = ""
        self._narrow: dict[str, set[int]] = defaultdict(set)
        self._broad: dict[str, set[int]] = defaultdict(set)

    def say(self, text: str, *, person: bool) -> None:
        """Takes the words of a person or of the model."""
        said = clean(text) if person else text
        if not said:
            return
        if person:
            self.words = {}
            self._asked = said[:_SAID].lower()
        said = said[:_SAID]
        for quoted in _QUOTED.findall(said):
            self._name(quoted)
        for word in _WORD.findall(said):
            if _NAME.search(word):
                self._add(self.names, word.lower())
            elif len(stem := _ENDS.sub("", word.lower())) > 3 and word.lower() not in _COMMON:
                self._add(self.words, stem)

    def call(self, call: ToolUse, looks_for: str) -> None:
        """Takes what a call searches for or changes."""
        self._name(looks_for)
        for key in _EDITED:
            if isinstance(text := call.input.get(key), str):
                self._name(text[:_SAID])

    def find(self, places: Places) -> None:
        """Takes the places that a result names."""
        kept = self._narrow if sum(map(len, places.values())) <= _BROAD else self._broad
        for name, lines in places.items():
            kept[name].update(lines)

    def asks_for(self, name: str) -> bool:
        """Whether the newest ask names a file: then all of it is what matters."""
        return name.lower() in self._asked

    def narrow(self, name: str) -> set[int]:
        """Lines of a file that a result of few places names."""
        return self._narrow.get(name, set())

    def broad(self, name: str) -> set[int]:
        """Lines of a file that results of many places name."""
        return self._broad.get(name, set())

    def key(self, name: str) -> str:
        """Tells what of it concerns a file from all else."""
        lines = sorted(self.narrow(name)), sorted(self.broad(name))
        return block_key(*self.names, "", *self.words, repr((lines, self.asks_for(name)))).hex()

    def _name(self, text: str) -> None:
        for word in _WORD.findall(text):
            if len(word) > 3 and word.lower() not in _COMMON:
                self._add(self.names, word.lower())

    def _add(self, words: dict[str, None], word: str) -> None:
        words.pop(word, None)  # what was spoken of again is new again
        words[word] = None
        if len(words) > _MOST_WORDS:
            del words[next(iter(words))]


def places_in(text: str) -> Places:
    """Places in files that a text names: `path.py:12`, `path.cs(12`, `"path.py", line 12`."""
    found: dict[str, set[int]] = defaultdict(set)
    for place in _PLACE.finditer(text):
        if stem := _stem(text[max(0, place.start() - 80) : place.start()]):
            found[stem + place[1]].add(int(place[2]))
    return Places({name: tuple(sorted(lines)) for name, lines in found.items()})


def _stem(text: str) -> str:
    """The part of a file's name at the end of a text."""
    rest = text.rstrip(_STEM_CHARS)
    if not rest or rest[-1].isascii():
        return text[len(rest) :]
    found = _STEM.search(text)  # letters of other scripts
    return found[0] if found else ""
