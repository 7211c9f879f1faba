"""What linters and type checkers find: each file once, in it each message once with all its places.

A message that begins with a code is said in full only the first time. Nothing is lost but the order of
findings at one place.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

from lynkr_desktop.engine.optimization.distill.grouping import common_folder, mostly

_FINDING = re.compile(r"((?:[A-Za-z]:)?[^\s:()][^:()\n]{0,300}?):(\d{1,7}(?::\d{1,5})?): (\S.*)")
_SHORT = re.compile(r" (\d{1,7}(?::\d{1,5})?(?: \d{1,7}(?::\d{1,5})?)*): (\S.*)")
_CODE = re.compile(r"[A-Z]{1,8}-?\d{1,6}")
_MIN_LINES = 10
_SHARE = 0.6
"""Part of the lines that must be findings."""

_AGAIN = " …"
FINDINGS = "[findings by file: below each path stand its places, then what is found there{}{}]"
_AGAIN_LEGEND = "; a code with … has the message that it has above"
_UNDER = "; the paths are relative to "


def group_findings(text: str) -> str | None:
    """`path:12:5: E1 message` as the path and, below it, ` 12:5 14:1: E1 message`.

    None for other texts, where findings are not in the order of their lines, or where the form could not be
    read back.
    """
    lines = text.split("\n")
    if len(lines) < _MIN_LINES or text.count(": ") < _SHARE * len(lines) or not mostly(lines, _FINDING.match):
        return None
    found = [_FINDING.fullmatch(line) for line in lines]
    messages = Counter(finding[3] for finding in found if finding)
    if messages.total() < _SHARE * len(lines) or len(messages) == messages.total():
        return None
    of_code: dict[str, set[str]] = {}
    for message in messages:
        of_code.setdefault(message.partition(" ")[0], set()).add(message)
    coded = {
        next(iter(said)): code for code, said in of_code.items() if len(said) == 1 and _CODE.fullmatch(code)
    }
    prefix = common_folder([finding[1] for finding in found if finding])
    told: set[str] = set()
    parts: list[str] = []
    section: dict[str, list[str]] = {}
    path = ""

    def close() -> None:
        for message, places in section.items():
            said = message
            if message in coded and len(message) > len(coded[message]) + 12:
                said = coded[message] + _AGAIN if message in told else message
                told.add(message)
            parts.append(f" {' '.join(places)}: {said}")
        section.clear()

    for line, finding in zip(lines, found, strict=True):
        if finding is None or finding[1] != path:
            close()
            path = ""
        if finding is None:
            parts.append(f"|{line}")
            continue
        if not path:
            path = finding[1]
            parts.append(path[len(prefix) :])
        section.setdefault(finding[3], []).append(finding[2])
    close()
    again = _AGAIN_LEGEND if any(part.endswith(_AGAIN) for part in parts) else ""
    under = f"{_UNDER}{prefix}" if prefix else ""
    written = "\n".join([FINDINGS.format(again, under), *parts])
    return written if ungroup_findings(written) == by_place(text) else None


def by_place(text: str) -> str:
    """A text with the findings of each place sorted: linters list those of one place in no order."""
    lines = text.split("\n")
    places = [(finding[1], finding[2]) if (finding := _FINDING.fullmatch(line)) else None for line in lines]
    ordered: list[str] = []
    for place, run in groupby(zip(places, lines, strict=True), lambda one: one[0]):
        found = [line for _, line in run]
        ordered += sorted(found) if place else found
    return "\n".join(ordered)


def ungroup_findings(text: str) -> str:
    """The text that `group_findings` was given, but for the order of findings at one place."""
    legend, *rest = text.split("\n")
    _, _, prefix = legend.removesuffix("]").partition(_UNDER)
    path = ""
    messages: dict[str, str] = {}
    section: list[tuple[tuple[int, ...], str]] = []
    lines: list[str] = []

    def close() -> None:
        lines.extend(line for _, line in sorted(section))
        section.clear()

    for line in rest:
        if finding := _SHORT.fullmatch(line):
            message = finding[2]
            if message.endswith(_AGAIN) and message.removesuffix(_AGAIN) in messages:
                message = messages[message.removesuffix(_AGAIN)]
            elif _CODE.fullmatch(code := message.partition(" ")[0]):
                messages.setdefault(code, message)
            for place in finding[1].split(" "):
                spot = tuple(map(int, place.split(":")))
                section.append((spot, f"{path}:{place}: {message}"))
            continue
        close()
        if line.startswith("|"):
            lines.append(line[1:])
        else:
            path = prefix + line
    close()
    return "\n".join(lines)
