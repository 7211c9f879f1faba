"""The files that a patch touches: Codex's own format, unified diffs, and single operations of Responses."""

from __future__ import annotations

import re
import shlex

from msgspec import Struct

_BEGIN = "*** Begin Patch"
_HEAD = re.compile(r"(?m)^\s*\*\*\* (Add|Update|Delete) File: (.+?)\s*$|^\s*\*\*\* Move to: (.+?)\s*$")
_UNIFIED = re.compile(r"(?m)^--- (?:a/)?(\S[^\t\n]*)[^\n]*\n\+\+\+ (?:b/)?(\S[^\t\n]*)")
_NO_FILE = "/dev/null"


class Touched(Struct, frozen=True):
    """One file of a patch.

    Attributes:
        path: as the patch names it.
        what: what becomes of the file.
        old: the lines that go.
        new: the lines that come.
    """

    path: str
    what: str
    old: str = ""
    new: str = ""


def is_patch(text: str) -> bool:
    """Whether a text is, or holds, a patch in Codex's format."""
    return _BEGIN in text


def touched(patch: str) -> tuple[Touched, ...]:
    """The files of a patch, in its order; empty where it is none that is known."""
    heads = list(_HEAD.finditer(patch))
    if not heads:
        return _unified(patch)
    files: list[Touched] = []
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(patch)
        old, new = _lines(patch[head.end() : end])
        if head[3] is not None:
            files.append(Touched(head[3], "add", "", new))
        else:
            files.append(Touched(head[2], head[1].lower(), old, new))
    return tuple(files)


def _unified(patch: str) -> tuple[Touched, ...]:
    heads = list(_UNIFIED.finditer(patch))
    files: list[Touched] = []
    for number, head in enumerate(heads):
        end = heads[number + 1].start() if number + 1 < len(heads) else len(patch)
        old, new = _lines(patch[head.end() : end])
        before, after = head[1].strip(), head[2].strip()
        if after == _NO_FILE:
            files.append(Touched(before, "delete", old, new))
        else:
            files.append(Touched(after, "add" if before == _NO_FILE else "update", old, new))
    return tuple(files)


def _lines(body: str) -> tuple[str, str]:
    """The lines that go and those that come."""
    lines = body.splitlines()
    return (
        "\n".join(line[1:] for line in lines if line.startswith("-")),
        "\n".join(line[1:] for line in lines if line.startswith("+")),
    )


def removal(path: str) -> str:
    """The command that does what the removal of a file or folder does, for the rules about commands."""
    return f"rm -r -- {shlex.quote(path)}"
