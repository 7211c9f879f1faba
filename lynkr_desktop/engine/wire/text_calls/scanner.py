"""Tells calls from ordinary text, and text about calls from calls."""

from __future__ import annotations

import re

from lynkr_desktop.engine.wire.text_calls.formats import FORMATS, Format, whole_answer
from lynkr_desktop.engine.wire.text_calls.reader import Marks, Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools

_THINK, _END_THINK = "<think>", "</think>"
_MARKS = Marks((*FORMATS, _THINK, _END_THINK))
_ENDS = ("<|im_end|>", "<|eom_id|>", "<|eot_id|>", "<|end|>", "</s>", "<｜end▁of▁sentence｜>")
"""Tokens that end a turn; where a server lets them through after a call, they are no text."""

_MAX_FAILURES = 1000
"""Marks without a call, after which no more of them are read: such an answer is meant to cost us time."""

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
        self._failures = 0
        self._idle = False
        """The scan waits for more, with nothing unread."""
        self._steps = self._scan()
        next(self._steps)

    @property
    def holding(self) -> bool:
        """Whether some text is undecided."""
        return self._reader.holding or bool(self._space)

    def feed(self, piece: str) -> list[str | Call]:
        """Takes more text; gives what is decided."""
        if not piece:
            return []
        if self._idle and self._context.text_seen and not _MARKS.may_stand_in(piece):
            self._context.see(piece)  # as the scan would do, for a fourth of its price
            return [piece]
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
            yield from self._try(whole_answer)
        while True:
            self._pass(reader.pass_before(_MARKS))
            self._idle = True
            more = yield from reader.need()
            self._idle = False
            if not more:
                break
            if self._failures >= _MAX_FAILURES:
                self._pass(reader.release_all())
                continue
            mark = yield from reader.take_mark(_MARKS)
            quoted = bool(mark) and self._context.quoted
            if mark in FORMATS and not (thinking or quoted):
                yield from self._try(FORMATS[mark])
                continue
            answer_begins = mark == _END_THINK and (thinking or not quoted)
            thinking = mark != _END_THINK and (thinking or (mark == _THINK and not self._context.text_seen))
            self._pass(reader.release())
            if answer_begins:
                yield from self._try(whole_answer)
        if not self._called:
            self._out.append(self._space)
        self._space = ""

    def _try(self, read: Format) -> Step[None]:
        try:
            calls = yield from read(self._reader, self._tools)
        except Mismatch:
            self._failures += 1
            self._pass(self._reader.release())
            return
        self._reader.drop()
        self._out += calls
        self._space, self._called = "", True
        self._context = _Context()
        yield from self._reader.accept(*_ENDS)
        self._reader.drop()

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


_QUOTES = '"“”„«»'
_TOKEN = re.compile(rf"\n|`+|~+|[{_QUOTES}]|[^\n`~{_QUOTES}]+")
_HEAD_LENGTH = 40
_RUN_LENGTH = 100
_LINE_BEGINS = re.compile(r"\s*(?:(?:[-*+>]|\d{1,9}[.)])\s+)*")
_INDENTED = re.compile(r" {4}| {0,3}\t")


class _Context:
    """Where in its text a mark stands: in code, or in quotes, it is spoken of and not used."""

    def __init__(self) -> None:
        self.text_seen = False
        self._fence = ""
        self._fence_line = False
        """This line has opened the fence."""
        self._code = ""
        self._quote = False
        self._run = ""
        """Backticks or tildes just read; what follows them tells what they are."""
        self._run_begins_line = False
        self._head = ""
        """How this line begins."""
        self._last = ""

    @property
    def quoted(self) -> bool:
        """Whether a mark that comes now stands in code, in a block quote or in quotation marks."""
        self._end_run("<")
        in_code = bool(self._fence or self._code or _INDENTED.match(self._head))
        in_quotes = self._quote or self._last in ("'", "‘") or self._head.lstrip().startswith(">")
        return in_code or in_quotes

    def see(self, text: str) -> None:
        """Takes the text that goes before."""
        self.text_seen = True
        for token in _TOKEN.findall(text):
            first = token[0]
            if self._run[:1] != first:
                self._end_run(first)
            if first == "\n":
                if len(self._code) >= 3:  # as models write it: "like this: ```json"
                    self._fence = self._code
                self._head, self._fence_line = "", False
                self._code, self._quote = "", False
                continue
            if first in "`~":
                if not self._run:
                    self._run_begins_line = _LINE_BEGINS.fullmatch(self._head) is not None
                self._run += token[: _RUN_LENGTH - len(self._run)]
            elif first in _QUOTES:
                self._quote = not self._quote
            if len(self._head) < _HEAD_LENGTH:
                self._head += token[:_HEAD_LENGTH]
        self._last = text[-1]

    def _end_run(self, following: str) -> None:
        run, self._run = self._run, ""
        if not run:
            return
        if self._fence:
            closes = self._run_begins_line and following.isspace()
            if run.startswith(self._fence) and (closes or self._fence_line):
                self._fence = ""
        elif len(run) >= 3 and self._run_begins_line:
            self._fence, self._fence_line = run, True
        elif run[0] == "`":
            self._code = "" if self._code == run else self._code or run
