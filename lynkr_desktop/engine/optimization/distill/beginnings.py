"""Runs of lines that begin alike, as those of `git blame` do: how is said once. Nothing is lost."""

from __future__ import annotations

from itertools import pairwise

_LEAST = 20
"""Characters that lines must have in common."""

_MOST = 300
"""Characters of a beginning."""

_LINES = 4
"""Lines that must begin alike, one after the other."""

_SHARE = 0.5
"""Part of the lines that must be in such runs."""

_MARK = "» "
LEGEND = f'[behind "{_MARK.strip()}" stands how the lines below it begin, up to the next {_MARK.strip()}]'


def group_beginnings(text: str) -> str | None:
    """A text with the beginnings of its lines said once for each run; None where few begin alike."""
    lines = text.split("\n")
    if len(lines) < 2 * _LINES or _MARK.strip() in text:
        return None
    sample = range(0, len(lines) - 1, max(1, len(lines) // 20))
    alike = sum(lines[at][:_LEAST] == lines[at + 1][:_LEAST] != "" for at in sample)
    if alike < 0.5 * _SHARE * len(sample):
        return None
    shared = [_beginning(one, other) for one, other in pairwise(lines)]
    parts = [LEGEND]
    index = alike = 0
    known = ""
    while index < len(lines):
        begins = shared[index] if index < len(shared) else ""
        end = index
        while begins and end < len(lines) and lines[end].startswith(begins):
            end += 1
        if end - index < _LINES:
            begins, end = "", index + 1
        if begins != known:
            parts.append(_MARK + begins)
            known = begins
        parts += [line[len(begins) :] for line in lines[index:end]]
        alike += end - index if begins else 0
        index = end
    if alike < _SHARE * len(lines):
        return None
    written = "\n".join(parts)
    return written if ungroup_beginnings(written) == text else None


def ungroup_beginnings(text: str) -> str:
    """The text that `group_beginnings` was given."""
    begins = ""
    lines: list[str] = []
    for line in text.split("\n")[1:]:
        if line.startswith(_MARK):
            begins = line.removeprefix(_MARK)
        else:
            lines.append(begins + line)
    return "\n".join(lines)


def _beginning(one: str, other: str) -> str:
    """Whole words that two lines begin with; empty where they are too short to be worth it."""
    if one[:_LEAST] != other[:_LEAST] or len(one) < _LEAST:
        return ""
    least, most = _LEAST, min(len(one), len(other), _MOST)
    while least < most:
        half = (least + most + 1) // 2
        least, most = (half, most) if one[:half] == other[:half] else (least, half - 1)
    words = one[: one.rfind(" ", 0, least) + 1].rstrip()
    return words if len(words) >= _LEAST else ""
