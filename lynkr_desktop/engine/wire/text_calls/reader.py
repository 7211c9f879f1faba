"""Reads text that arrives in pieces as though it were whole.

What reads is a generator that yields whenever it needs a character that is not there yet. So a grammar is
written down once, from left to right, and its result cannot depend on where the pieces were cut.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Step = Generator[None, None, T]
"""A reading that pauses while text is missing, and returns a `T`."""

MAX_HELD = 1_000_000
"""Characters of one call; what is longer is text."""

_SPACE = re.compile(r"\s*")


class Mismatch(Exception):
    """What was read is no call. The character that shows it is not read yet."""


class Reader:
    """The text of one block.

    What has been taken is kept until `drop` (it became calls) or `release` (it stays text).
    """

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._start = 0
        self._pieces: list[str] = []
        self._size = 0
        self.ended = False
        self.last = False
        """The text has ended, and so has the answer: no other block follows."""
        self.clean = False
        """The answer ended by itself: it was not cut at a limit either."""

    # ------------------------------------------------------------ from outside

    def feed(self, piece: str) -> None:
        """More text."""
        if self._start < self._at:
            self._pieces.append(self._text[self._start : self._at])
            self._size += self._at - self._start
        self._text = self._text[self._at :] + piece
        self._at = self._start = 0

    def end(self, *, last: bool, clean: bool) -> None:
        """There is no more text."""
        self.ended, self.last, self.clean = True, last, last and clean

    @property
    def holding(self) -> bool:
        """Whether some text is undecided."""
        return bool(self._size) or self._start < len(self._text)

    def release(self) -> str:
        """The text that was taken, to be passed on."""
        text = "".join(self._pieces) + self._text[self._start : self._at]
        self.drop()
        return text

    def release_all(self) -> str:
        """All text that is undecided, to be passed on."""
        self._at = len(self._text)
        return self.release()

    def drop(self) -> None:
        """Forgets the text that was taken."""
        self._pieces.clear()
        self._size = 0
        self._start = self._at

    # ------------------------------------------------------------ outside of a call

    def pass_before(self, marks: Marks) -> str:
        """Text up to the next mark, or up to what may become one when more text is there."""
        found = marks.find(self._text, self._at, ended=self.ended)
        text = self._text[self._at : found]
        self._at = self._start = found
        return text

    def take_mark(self, marks: Marks) -> Step[str]:
        """Takes the mark that stands next; empty when it turns out to be none."""
        while True:
            if found := marks.pattern.match(self._text, self._at):
                return self.take(len(found[0]))
            text = self._text[self._at : self._at + marks.longest]
            if not marks.may_begin(text) or not (yield from self.need(len(text) + 1)):
                return ""

    # ------------------------------------------------------------ within a call

    def need(self, count: int = 1) -> Step[bool]:
        """Waits for `count` unread characters; False when the text ends before."""
        while len(self._text) - self._at < count:
            if self.ended:
                return False
            yield
        return True

    def take(self, count: int) -> str:
        """Takes characters that are there."""
        return self._take_to(self._at + count)

    def _take_to(self, end: int) -> str:
        limit = self._start + MAX_HELD - self._size
        if end > limit:
            self._at = limit
            raise Mismatch
        text = self._text[self._at : end]
        self._at = end
        return text

    def take_through(self, pattern: re.Pattern[str]) -> Step[tuple[str, str]]:
        """Takes text to the end of the next match of a pattern of one character; (all of it, the match)."""
        parts: list[str] = []
        while not (found := pattern.search(self._text, self._at)):
            parts.append(self._take_to(len(self._text)))
            if not (yield from self.need()):
                raise Mismatch
        parts.append(self._take_to(found.end()))
        return "".join(parts), found[0]

    def peek(self) -> Step[str]:
        """The next character; empty at the end."""
        return self._text[self._at] if (yield from self.need()) else ""

    def comes(self, *options: str) -> Step[str]:
        """The longest of `options` that stands next, empty when none does; nothing is taken."""
        longest = max(map(len, options))
        while True:
            text = self._text[self._at : self._at + longest]
            may_come = any(option.startswith(text) for option in options if len(option) > len(text))
            if not (may_come and (yield from self.need(len(text) + 1))):
                return max((option for option in options if text.startswith(option)), key=len, default="")

    def accept(self, *options: str) -> Step[str]:
        """Takes one of `options` if it stands next; empty when none does."""
        found = yield from self.comes(*options)
        self.take(len(found))
        return found

    def expect(self, *options: str) -> Step[str]:
        """Takes one of `options`. Raises `Mismatch` when none stands next."""
        found = yield from self.accept(*options)
        if not found:
            raise Mismatch
        return found

    def space(self) -> Step[str]:
        """Takes white space; gives the next character, empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            assert found is not None
            self._take_to(found.end())
            if self._at < len(self._text):
                return self._text[self._at]
            if not (yield from self.need()):
                return ""

    def word(self, pattern: re.Pattern[str], longest: int = 128) -> Step[str]:
        """Takes the longest run of characters that match; may be empty. Raises `Mismatch` when too long."""
        word = ""
        while (yield from self.need()):
            found = pattern.match(self._text, self._at)
            length = found.end() - self._at if found else 0
            if len(word) + length > longest:
                self.take(longest - len(word))
                raise Mismatch
            word += self.take(length)
            if self._at < len(self._text):
                break
        return word

    def until(self, mark: str) -> Step[str]:
        """Takes text up to `mark`, and the mark; gives the text. Raises `Mismatch` when it never comes."""
        parts: list[str] = []
        while (found := self._text.find(mark, self._at)) < 0:
            parts.append(self._take_to(max(self._at, len(self._text) - len(mark) + 1)))
            if not (yield from self.need(len(self._text) - self._at + 1)):
                self._take_to(len(self._text))
                raise Mismatch
        parts.append(self._take_to(found))
        self.take(len(mark))
        return "".join(parts)


class Marks:
    """Strings that may open a call, found fast. None of them begins another."""

    def __init__(self, marks: tuple[str, ...]) -> None:
        self._marks = marks
        self._first = re.compile("[" + "".join(re.escape(char) for char in {mark[0] for mark in marks}) + "]")
        self.pattern = re.compile("|".join(re.escape(mark) for mark in marks))
        self.longest = max(map(len, marks))

    def may_stand_in(self, text: str) -> bool:
        """Whether the text holds a character that begins a mark."""
        return self._first.search(text) is not None

    def may_begin(self, text: str) -> bool:
        """Whether a mark begins with this text, and goes on after it."""
        return any(mark.startswith(text) for mark in self._marks if len(mark) > len(text))

    def find(self, text: str, start: int, *, ended: bool) -> int:
        """Where the next mark begins, or the beginning of one at the very end; else the end."""
        found = self.pattern.search(text, start)
        if found:
            return found.start()
        if not ended:
            for first in self._first.finditer(text, max(start, len(text) - self.longest + 1)):
                if self.may_begin(text[first.start() :]):
                    return first.start()
        return len(text)
