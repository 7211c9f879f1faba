"""Names a path once: hits of a search by file, paths of a listing by folder. Nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_HIT = re.compile(r"((?:[A-Za-z]:)?[^\s:()][^:()\n]{0,300}?)(:\d+:|\(\d+,\d+\):)")
_BARE_HIT = re.compile(r"((?:[A-Za-z]:)?[^\s:()\"'{}]{3,400}):(?=[ \t]{0,200}\S)")
_PATH = re.compile(r"(?:[A-Za-z]:)?[\w.@~+\-/\\\[\]() ]{1,400}")
_MIN_LINES = 6
_MIN_PREFIX = 10

HITS = "[hits grouped by file: below each path stand its lines, indented]"
HITS_UNDER = "[hits grouped by file: below each path stand its lines, indented; the paths are relative to {}]"
PATHS = "[paths grouped by folder: each line is a folder and what is in it]"
PATHS_UNDER = "[paths grouped by folder: each line is a folder and what is in it; folders are relative to {}]"
_UNDER = re.compile(r"(?:; the paths|; folders) are relative to (.*)\]")


def group_hits(text: str) -> str | None:
    """`path:12:text` as the path and, below it, ` 12:text`, also for compilers' `path(1,2): text`.

    None where hits are few, or where the form could not be read back.
    """
    lines = text.split("\n")
    if len(lines) < _MIN_LINES or not mostly(lines, lambda line: _HIT.match(line) or _BARE_HIT.match(line)):
        return None
    grouped: list[tuple[str, list[str]]] = []
    path = ""
    hits = 0
    for line in lines:
        if path and line.startswith(path) and line[len(path) : len(path) + 1] in (":", "-", "("):
            grouped[-1][1].append(line[len(path) :])
            hits += 1
            continue
        found = _HIT.match(line) or _BARE_HIT.match(line)
        if found and ("/" in found[1] or "." in found[1] or "\\" in found[1]):
            path = found[1]
            grouped.append((path, [line[len(path) :]]))
            hits += 1
        else:
            grouped.append(("", [line]))
            if line != "--":
                path = ""
    paths = [path for path, _ in grouped if path]
    if hits < max(_MIN_LINES, 0.5 * len(lines)):
        return None
    prefix = common_folder(paths)
    parts = [HITS_UNDER.format(prefix) if prefix else HITS]
    for path, rest in grouped:
        if path:
            parts.append(path[len(prefix) :])
            parts += [f" {line[1:] if line.startswith(':') else line}" for line in rest]
        else:
            parts += [f"|{line}" for line in rest]
    written = "\n".join(parts)
    return written if ungroup_hits(written) == text else None


def ungroup_hits(text: str) -> str:
    """The text that `group_hits` was given."""
    legend, *rest = text.split("\n")
    prefix = _prefix_of(legend)
    path = ""
    lines: list[str] = []
    for line in rest:
        if line.startswith(" "):
            lines.append(f"{path}{'' if line[1:2] in ('-', '(') else ':'}{line[1:]}")
        elif line.startswith("|"):
            lines.append(line[1:])
        else:
            path = prefix + line
    return "\n".join(lines)


def group_paths(text: str) -> str | None:
    """Lines that are paths as `folder/: name, name`; None where they are few or could not be read back."""
    lines = text.split("\n")
    if len(lines) < _MIN_LINES or not mostly(lines, lambda line: "/" in line and _is_path(line)):
        return None
    grouped: list[tuple[str, list[str]]] = []
    paths = 0
    for line in lines:
        folder, slash, name = line.rpartition("/")
        if not slash or not name or not _is_path(line) or " " in name or ": " in line:
            grouped.append(("", [line]))
            continue
        paths += 1
        if grouped and grouped[-1][0] == folder + "/":
            grouped[-1][1].append(name)
        else:
            grouped.append((folder + "/", [name]))
    if paths < _MIN_LINES or paths < 0.6 * len(lines):
        return None
    prefix = common_folder([folder for folder, _ in grouped if folder])
    parts = [PATHS_UNDER.format(prefix) if prefix else PATHS]
    parts += [
        f"{folder[len(prefix) :] or './'}: {' '.join(names)}" if folder else f"|{names[0]}"
        for folder, names in grouped
    ]
    written = "\n".join(parts)
    return written if ungroup_paths(written) == text else None


def ungroup_paths(text: str) -> str:
    """The text that `group_paths` was given."""
    legend, *rest = text.split("\n")
    prefix = _prefix_of(legend)
    lines: list[str] = []
    for line in rest:
        folder, _, names = line.partition(": ")
        if line.startswith("|"):
            lines.append(line[1:])
            continue
        if prefix and folder == "./":
            folder = ""
        lines += [f"{prefix}{folder}{name}" for name in names.split(" ")]
    return "\n".join(lines)


def _is_path(line: str) -> bool:
    """Whether a line is nothing but a path; a command line has more blanks."""
    return line.count(" ") < 3 and _PATH.fullmatch(line) is not None


def mostly(lines: Sequence[str], fits: Callable[[str], object]) -> bool:
    """Whether many of some lines fit: most texts are told apart by that."""
    sample = lines[:: max(1, len(lines) // 40)]
    return sum(1 for line in sample if fits(line)) > 0.3 * len(sample)


def _prefix_of(legend: str) -> str:
    found = _UNDER.search(legend)
    return found[1] if found else ""


def common_folder(paths: Sequence[str]) -> str:
    """The folder that all paths begin with, with its slash, where naming it once is worth it."""
    if len(paths) < 3:
        return ""
    low, high = min(paths), max(paths)
    size = next(
        (at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low)
    )
    prefix = low[: low.rfind("/", 0, size) + 1]
    return prefix if len(prefix) >= _MIN_PREFIX else ""
