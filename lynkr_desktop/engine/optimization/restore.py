"""Gives a model back what was left out of its prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO

from lynkr_desktop.engine.optimization.stage import PATH, Inner, InnerTool
from lynkr_desktop.engine.wire.canonical import Json

_LEAST = 4_000
"""Characters that an answer may always have."""

_HANDLE = re.compile(rf"{PATH}(r_[0-9a-f]{{12}})\b")
_ALTERNATIVES = re.compile(r"\\?\|")
_PATTERN = re.compile(r"\[[^\]]{0,200}\]|\\[a-zA-Z]|\{[\d,]{1,20}\}")
_WORDS = re.compile(r"\w+")
_QUERY = 500


class Restorer:
    """Originals of one request, in whole or in part.

    Args:
        originals: by handle.
        window: tokens that the model takes. An answer takes about a quarter of them at most, and says which
            lines are next.
    """

    def __init__(self, originals: Mapping[str, str], window: int | None = None) -> None:
        self._originals = originals
        self._most = max(window, _LEAST) if window is not None else None

    def __contains__(self, handle: object) -> bool:
        return handle in self._originals

    @property
    def handles(self) -> str:
        """The handles there are, for a model that asks for another."""
        return ", ".join(self._originals) or "none; nothing was left out"

    def lines(self, handle: str, first: int | None = None, last: int | None = None) -> str:
        """Some lines, counted from 1; all of them by default."""
        original = self._originals[handle]
        most = self._most
        if first is None and last is None and (most is None or len(original) <= most):
            return original
        lines = _lines(original)
        begin = max(1, first or 1)
        part = "".join(lines[begin - 1 : last])
        if most is not None and len(part) > most:
            # The last line is cut only where it does not fit alone.
            kept = part[:most].rpartition("\n")[0] or part[:most]
            then = begin + kept.count("\n") + 1
            part = f"{kept}\n[of {len(lines)} lines; goes on at line {then}]"
        return part or f"There are {len(lines)} lines, none of them in that range."

    def last_lines(self, handle: str, number: int) -> str:
        """Some lines of the end."""
        return self.lines(handle, max(1, len(_lines(self._originals[handle])) - number + 1))

    def find(self, handle: str, pattern: str) -> str:
        """The lines that a search would find, with their numbers; also in what was left out of these.

        A pattern is taken by its words: a line that has all of an alternative's words, in any case, is found.
        So all is found that a regular expression without classes would find, in a time that no pattern can
        make long.
        """
        terms = [
            words
            for part in _ALTERNATIVES.split(pattern[:_QUERY])
            if (words := frozenset(_WORDS.findall(_PATTERN.sub(" ", part).lower())))
        ]
        if not terms:
            return self.lines(handle)
        found: list[str] = []
        waiting, seen = [handle], {handle}
        while waiting:
            name = waiting.pop(0)
            lines = _lines(self._originals[name])
            lead = "" if name == handle else f"{PATH}{name}:"
            for number, line in enumerate(lines, 1):
                lower = line.lower()
                if any(all(word in lower for word in words) for words in terms):
                    found.append(f"{lead}{number}:{line.rstrip()}")
            inside = [one for one in _HANDLE.findall(self._originals[name]) if one in self._originals]
            waiting += [one for one in dict.fromkeys(inside) if one not in seen]
            seen.update(inside)
        if not found:
            return f"No line has these words. There are {len(_lines(self._originals[handle]))} lines."
        text = "\n".join(found)
        if self._most is not None and len(text) > self._most:
            return f"{text[: self._most]}\n[more was found than fits; ask for rarer words]"
        return text


def restorer(originals: Mapping[str, str], window: int | None = None) -> InnerTool:
    """What answers the tool `lynkr_restore`.

    Args:
        originals: of one request, by handle.
        window: tokens that the model takes, None where that is not known.
    """
    kept = Restorer(originals, window)

    def restore(arguments: Json) -> Inner:
        handle = arguments.get("id")
        handle = handle.strip().removeprefix(PATH) if isinstance(handle, str) else handle
        if not isinstance(handle, str) or handle not in kept:
            return Inner(text=f"There is nothing under this id. The ids are: {kept.handles}.")
        if isinstance(words := arguments.get("find"), str) and words:
            return Inner(text=kept.find(handle, words))
        first, last = line_number(arguments.get("first_line")), line_number(arguments.get("last_line"))
        return Inner(text=kept.lines(handle, first, last))

    return restore


def line_number(value: object) -> int | None:
    """A number of a line, however the model writes it; None where it is none."""
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value[:12])
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _lines(text: str) -> list[str]:
    return list(StringIO(text, newline="\n"))  # nothing else ends a line where they were counted
