"""What a terminal shows and a model does not need: colours, progress bars, blanks at the ends of lines."""

from __future__ import annotations

import re
from itertools import groupby, islice
from operator import eq

# A hyperlink (OSC 8) carries an address, so it stays.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,40}[ -/]{0,4}[@-~]|\](?!8;)[^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)"
    r"|[()][0-9A-B]|[=>78DEHMNOZc])"
)
_CHANGING = re.compile(r"[\d\s#=>.\-|/\\█▉▊▋▌▍▎▏░▒▓━╸╺⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏%:,kKMGTiB?]+")
"""What differs between two states of a progress bar."""

_PADDED = 0.95
"""Blanks at the ends of lines go where a text is at most this long without them."""

_AGAIN = "[the line above {} more times]"
_AGAIN_LINE = re.compile(r"\[the line above (\d+) more times\]")


def clean(text: str) -> str:
    """The text as a terminal shows it in the end. The number of lines stays the same."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    if "\r" in text:
        text = "\n".join([_final_state(line) if "\r" in line else line for line in text.split("\n")])
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        stripped = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
        # A few blanks may belong to code that is to be edited by its exact words.
        if len(stripped) < _PADDED * len(text):
            return stripped
    return text


def _final_state(line: str) -> str:
    """The last state of each bar that was drawn on one line, and all that is no bar."""
    line = line.rstrip("\r")
    if "\r" not in line:
        return line
    last: dict[str, str] = {}
    for state in line.split("\r"):
        if state.strip():
            kind = _CHANGING.sub("", state)
            last.pop(kind, None)
            last[kind] = state
    return "\r".join(last.values())


def fold_repeats(text: str) -> str:
    """Runs of one line as that line and how often it comes again; of blank lines one stays."""
    lines = text.split("\n")
    if "[the line above " in text or not any(map(eq, lines, islice(lines, 1, None))):
        return text
    folded: list[str] = []
    for line, run in groupby(lines):
        count = sum(1 for _ in run)
        if not line and count > 2:
            folded.append(line)
        elif (count - 1) * (len(line) + 1) > 40 and count > 2:
            folded += [line, _AGAIN.format(count - 1)]
        else:
            folded += [line] * count
    return "\n".join(folded)


def unfold_repeats(text: str) -> str:
    """The text that `fold_repeats` was given, but for runs of blank lines."""
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and (found := _AGAIN_LINE.fullmatch(line)):
            lines += [lines[-1]] * int(found[1])
        else:
            lines.append(line)
    return "\n".join(lines)
