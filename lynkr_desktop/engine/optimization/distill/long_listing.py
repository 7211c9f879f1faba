"""`ls -l` with owners and common modes said once. All values stay; only the blanks that align them go."""

from __future__ import annotations

import re
from collections import Counter

_MIN_LINES = 6
_MODE = r"[-dlbcps][-rwxsStT]{9}[.+@]?"
_REST = r"(\d[\d.,]{0,20}[KMGT]?) +([A-Z][a-z]{2} +\d{1,2} +[\d:]{4,5}|\d{4}-\d\d-\d\d \d\d:\d\d) (\S.*)"
_LINE = re.compile(rf"({_MODE}) +(\d+) +(\S+) +(\S+) +{_REST}", re.DOTALL)
_SHORT = re.compile(rf"([df]|{_MODE}) (\d+) {_REST}", re.DOTALL)
_LEGEND = re.compile(r"\[ls -l; all are of (\S+ \S+); f is (\S+), d is (\S+)\]")


def shorten_listing(text: str) -> str | None:
    """A shorter form of what `ls -l` says; None where it says something else, or of several owners."""
    if "rw" not in text:
        return None
    lines = text.split("\n")
    found = [_LINE.fullmatch(line) for line in lines]
    entries = [entry for entry in found if entry]
    owners = {(entry[3], entry[4]) for entry in entries}
    if len(entries) < max(_MIN_LINES, 0.6 * len(lines)) or len(owners) != 1:
        return None
    ((owner, group),) = owners
    modes = Counter(entry[1] for entry in entries)
    file = max((mode for mode in modes if mode[0] == "-"), key=lambda mode: modes[mode], default="-")
    folder = max((mode for mode in modes if mode[0] == "d"), key=lambda mode: modes[mode], default="-")
    letters = {file: "f", folder: "d"}
    parts = [f"[ls -l; all are of {owner} {group}; f is {file}, d is {folder}]"]
    plain: list[str] = []
    for line, entry in zip(lines, found, strict=True):
        if entry is None:
            parts.append(line)
            plain.append(line)
            continue
        mode, links, _, _, size, date, name = entry.groups()
        date = " ".join(date.split())
        parts.append(f"{letters.get(mode, mode)} {links} {size} {date} {name}")
        plain.append(f"{mode} {links} {owner} {group} {size} {date} {name}")
    written = "\n".join(parts)
    return written if restore_listing(written) == "\n".join(plain) else None


def restore_listing(text: str) -> str:
    """The text that `shorten_listing` was given, with one blank where it had several."""
    legend, *rest = text.split("\n")
    said = _LEGEND.fullmatch(legend)
    if said is None:
        return text
    modes = {"f": said[2], "d": said[3]}
    lines: list[str] = []
    for line in rest:
        if entry := _SHORT.fullmatch(line):
            mode, links, size, date, name = entry.groups()
            lines.append(f"{modes.get(mode, mode)} {links} {said[1]} {size} {date} {name}")
        else:
            lines.append(line)
    return "\n".join(lines)
