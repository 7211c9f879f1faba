"""Leaves lines out of a text, and says which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from lynkr_desktop.engine.optimization.stage import handle_of, left_out

Note = Callable[[str], str]
"""Makes of what is left out the line that says so, with the handle of the original."""

_WORTH = 60
"""Characters that a gap must leave out: its own mark has about 40."""


class Lines:
    """A text as lines, with a reason for each that may go.

    Attributes:
        lines: without their ends.
        drop: why a line may go; None where it stays.

    Args:
        text: to be shortened.
        first: number of its first line in the original.
    """

    def __init__(self, text: str, first: int = 1) -> None:
        self.text = text
        self.lines = text.split("\n")
        self.drop: list[str | None] = [None] * len(self.lines)
        self._first = first

    def gaps(self) -> list[tuple[int, int]]:
        """Runs of lines that go, as (start, end); blank lines between two of them go too."""
        gaps: list[list[int]] = []
        for index, why in enumerate(self.drop):
            if why is None:
                continue
            if gaps and all(not line or line.isspace() for line in self.lines[gaps[-1][1] : index]):
                gaps[-1][1] = index + 1
            else:
                gaps.append([index, index + 1])
        return [
            (start, end) for start, end in gaps if sum(map(len, self.lines[start:end])) + end - start > _WORTH
        ]

    def shortened(self, note: Note) -> str | None:
        """The text with its gaps; None where it has none."""
        gaps = self.gaps()
        if not gaps:
            return None
        gone = sum(end - start for start, end in gaps)
        parts = [note(f"{gone} of {len(self.lines)} lines")]
        position = 0
        told = ""
        for start, end in gaps:
            parts += self.lines[position:start]
            why = self._why(start, end)
            parts.append(self._mark(start, end, "" if why == told else why))
            position, told = end, why
        return "\n".join([*parts, *self.lines[position:]])

    def _why(self, start: int, end: int) -> str:
        whys = Counter(why for why in self.drop[start:end] if why)
        return ", ".join(why for why, _ in whys.most_common(3))

    def _mark(self, start: int, end: int, why: str) -> str:
        first, last = self._first + start, self._first + end - 1
        which = f"lines {first}-{last}" if last > first else f"line {first}"
        return f"[… {which}: {why}]" if why else f"[… {which}]"


def note_for(text: str) -> Note:
    """What makes the line for something that is left out of a text. Its handle is made when it is needed."""
    handle: list[str] = []

    def note(what: str) -> str:
        if not handle:
            handle.append(handle_of(text))
        return left_out(what, handle[0])

    return note
