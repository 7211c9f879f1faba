"""Tells calls from ordinary text, and text about calls from calls."""

from __future__ import annotations

import re

from lynkr_desktop.engine.wire.text_calls.formats import FORMATS, Format, whole_answer
from lynkr_desktop.engine.wire.text_calls.reader import Marks, Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools

_THINK, _END_THINK = "<think>", "</think>"
_MARKS = Marks((*FORMATS, _THINK, _END_THINK))
_MAX_SPACE = 1000
"""White space that is held back because a call may follow, in characters."""


class Scanner:
    """One text block of an answer, in pieces, to what is text and what is a call.

    Args:
        tools: what may be called.
        beginning: the answer begins with this block.
    """

    def __init__(self, tools: OfferedTools, *, beginning: bool) -> None:
        self._tools = tools
        self._reader = Reader()
        self._context = _Context()
        self._out: list[str | Call] = []
        self._space = ""
        self._called = False
        """A call was found, and since then no text but white space."""
        self._beginning = beginning
        self._steps = self._scan()
        next(self._steps)

    @property
    def holding(self) -> bool:
        """Whether some text is undecided."""
        return self._reader.holding or bool(self._space)

    def feed(self, piece: str) -> list[str | Call]:
        """Takes more text; gives what is decided."""
        self._reader.feed(piece)
        return self._advance()

    def finish(self, *, last: bool, clean: bool) -> list[str | Call]:
        """Tells that the block has ended: `last` of the answer, which ended by itself if `clean`."""
        self._reader.end(last=last, clean=clean)
        return self._advance()

    def abandon(self) -> str:
        """Gives up; what is undecided is text."""
        text = self._space + self._reader.release_all()
        self._space = ""
        self._steps.close()
        return text

    def _advance(self) -> list[str | Call]:
        next(self._steps, None)
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------ the scan

    def _scan(self) -> Step[None]:
        reader = self._reader
        thinking = False
        if self._beginning:
            yield from self._whole()
        while True:
            self._pass(reader.pass_before(_MARKS))
            if not (yield from reader.need()):
                break
            mark = yield from reader.accept(*_MARKS.marks)
            if mark in FORMATS and not (thinking or self._context.quoted):
                yield from self._try(FORMATS[mark])
                continue
            thinking = mark != _END_THINK and (thinking or (mark == _THINK and not self._context.text_seen))
            self._pass(reader.release())
            if mark == _END_THINK:
                yield from self._whole()
        if not self._called:
            self._out.append(self._space)
        self._space = ""

    def _whole(self) -> Step[None]:
        """An answer that is nothing but calls needs no mark."""
        reader = self._reader
        first = yield from reader.space()
        if first in ("{", "`") or (first == "[" and not (yield from reader.comes("[TOOL_CALLS]"))):
            yield from self._try(whole_answer)
        else:
            self._pass(reader.release())

    def _try(self, read: Format) -> Step[None]:
        try:
            calls = yield from read(self._reader, self._tools)
        except Mismatch:
            self._pass(self._reader.release())
            return
        self._reader.drop()
        self._out += calls
        self._space, self._called = "", True
        self._context = _Context()

    def _pass(self, text: str) -> None:
        """Passes text on; white space waits, for a call may follow it."""
        if not text:
            return
        if not self._context.text_seen and text.isspace() and len(self._space) + len(text) <= _MAX_SPACE:
            self._space += text
            return
        text = self._space + text
        self._space, self._called = "", False
        self._context.see(text)
        self._out.append(text)


_TOKEN = re.compile(r"\n|`+|[\"“”„«»]|[^\n`\"“”„«»]+")


class _Context:
    """Where in its text a mark stands: in code, or in quotes, it is spoken of and not used."""

    def __init__(self) -> None:
        self.text_seen = False
        self._fence = 0
        self._fence_line = False
        self._code = 0
        self._quote = False
        self._ticks = 0
        self._line_start = True
        self._ticks_at_start = False
        self._last = ""

    @property
    def quoted(self) -> bool:
        """Whether a mark that comes now stands in a code fence, inline code or quotation marks."""
        self._settle("")
        return bool(self._fence or self._code or self._quote) or self._last in ("'", "‘")

    def see(self, text: str) -> None:
        """Takes the text that goes before."""
        self.text_seen = True
        for token in _TOKEN.findall(text):
            first = token[0]
            if first == "`":
                if not self._ticks:
                    self._ticks_at_start = self._line_start
                self._ticks += len(token)
                self._line_start = False
                continue
            self._settle(first)
            if first == "\n":
                self._line_start, self._fence_line = True, False
                self._code, self._quote = 0, False
            elif first in '"“”„«»':
                self._quote = not self._quote
                self._line_start = False
            elif self._line_start:
                self._line_start = token.isspace()
        self._last = text[-1]

    def _settle(self, following: str) -> None:
        """Judges a run of backticks once it is over."""
        ticks, self._ticks = self._ticks, 0
        if not ticks:
            return
        if self._fence:
            closes = self._ticks_at_start and following.strip() == ""
            if ticks >= self._fence and (closes or self._fence_line):
                self._fence = 0
        elif ticks >= 3 and self._ticks_at_start:
            self._fence, self._fence_line = ticks, True
        elif not self._code:
            self._code = ticks
        elif ticks == self._code:
            self._code = 0
