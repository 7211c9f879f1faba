"""Trees of folders without the lines that draw them. Nothing is lost: the lines follow from the depths."""

from __future__ import annotations

import re

_MIN_LINES = 8
_BRANCH = re.compile(r"((?:│   |    )*)[├└]── (.+)", re.DOTALL)

TREE = "[tree; the depth of a name is the number of blanks before it]"
SECTIONS = "[names in each folder, in one line]"


def undraw_tree(text: str) -> str | None:
    """The output of `tree` as names behind blanks; None where it is no such output."""
    if "── " not in text:
        return None
    text = text.replace("\xa0", " ")
    lines = text.split("\n")
    parts = [TREE]
    branches = 0
    for line in lines:
        if found := _BRANCH.fullmatch(line):
            parts.append(" " * (len(found[1]) // 4 + 1) + found[2])
            branches += 1
        else:
            parts.append("|" + line)
    written = "\n".join(parts)
    if branches < _MIN_LINES or branches < 0.7 * len(lines) or draw_tree(written) != text:
        return None
    return written


def draw_tree(text: str) -> str:
    """The text that `undraw_tree` was given, with plain blanks."""
    lines = text.split("\n")[1:]
    drawn: list[str] = []
    more_below: list[
        bool
    ] = []  # for each depth, whether another name of that depth follows in the same folder
    for line in reversed(lines):
        if line.startswith("|"):
            more_below = []
            drawn.append(line[1:])
            continue
        name = line.lstrip(" ")
        depth = len(line) - len(name) - 1
        more_below = more_below[: depth + 1] + [False] * (depth + 1 - len(more_below))
        bars = "".join("│   " if more else "    " for more in more_below[:depth])
        drawn.append(f"{bars}{'├' if more_below[depth] else '└'}── {name}")
        more_below[depth] = True
    return "\n".join(reversed(drawn))


def join_sections(text: str) -> str | None:
    """The output of `ls -R` with the names of each folder in one line; None where it is no such output."""
    if ":\n" not in text:
        return None
    parts = [SECTIONS]
    names = 0
    for section in text.split("\n\n"):
        folder, *inside = section.split("\n")
        if folder.endswith(":"):
            parts.append(" ".join([folder, *inside]))
            names += len(inside)
        else:
            parts += [f"|{line}" for line in (folder, *inside)]
            parts.append("|")
    written = "\n".join(parts)
    if names < _MIN_LINES or names < 0.5 * text.count("\n") or split_sections(written) != text:
        return None
    return written


def split_sections(text: str) -> str:
    """The text that `join_sections` was given."""
    sections: list[str] = []
    loose: list[str] = []
    for line in text.split("\n")[1:]:
        if line == "|" and loose:
            sections.append("\n".join(loose))
            loose = []
        elif line.startswith("|"):
            loose.append(line[1:])
        else:
            folder, _, names = line.partition(": ")
            sections.append("\n".join([f"{folder}:", *names.split(" ")]) if names else line)
    return "\n\n".join(sections)
