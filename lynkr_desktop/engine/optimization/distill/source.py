"""Where a tool result came from: the file that was read, the search, the command."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Literal

from msgspec import Struct

from lynkr_desktop.engine.optimization.stage import RESTORE
from lynkr_desktop.engine.routing.calls import command_of, paths_of, writes
from lynkr_desktop.engine.wire.canonical import ToolUse

Kind = Literal["file", "search", "listing", "shell", "other"]

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = re.compile(r"[a-z0-9]+")
_READS = frozenset({"read", "view", "cat", "open", "editor", "contents"})
_SEARCHES = frozenset({"grep", "search", "rg", "ripgrep"})
_LISTS = frozenset({"glob", "list", "ls", "tree", "find", "files"})

_SHELLS = re.compile(r"^(?:\S*/)?(?:ba|z|da)?sh -\w*c ")
_ENTER = re.compile(r"^cd (\S{1,300}) ?(?:&&|;) ?")
_COMMANDS: dict[str, Kind] = {
    **dict.fromkeys(
        ("cat", "nl", "bat", "head", "tail", "sed", "less", "more", "type", "get-content"), "file"
    ),
    **dict.fromkeys(("grep", "rg", "ag", "ack", "egrep", "fgrep"), "search"),
    **dict.fromkeys(("ls", "find", "fd", "tree"), "listing"),
}
_SUBCOMMANDS: dict[tuple[str, str], Kind] = {
    ("git", "grep"): "search",
    ("git", "ls-files"): "listing",
    ("git", "ls-tree"): "listing",
    ("rg", "--files"): "listing",
}
_PARTIAL_KEYS = (
    "offset",
    "limit",
    "view_range",
    "start_line",
    "end_line",
    "line_start",
    "line_end",
    "lines",
    "range",
)
_CONTENT_KEYS = ("content", "file_text", "contents", "text")


class Source(Struct, frozen=True):
    """What a result came from.

    Attributes:
        kind: what was done.
        path: of the file that was read, with forward slashes; empty where it was no single file.
        partial: only some lines of the file were asked for.
        label: the call in a few words, for people and models.
        looks_for: what a search looked for.
    """

    kind: Kind = "other"
    path: str = ""
    partial: bool = False
    label: str = "a tool"
    looks_for: str = ""


def source_of(call: ToolUse | None) -> Source | None:
    """What a call's result comes from; None for results that must stay as they are."""
    if call is None:
        return Source()
    if call.name == RESTORE:
        return None
    words = set(_WORDS.findall(_CAMEL.sub(" ", call.name).lower()))
    if (command := call.input.get("command", call.input.get("cmd"))) and not words & {"editor", "edit"}:
        return _of_command(command_of(call) if not isinstance(command, str) else command[:4_000], call.name)
    path = next(paths_of(call), "")
    pattern = call.input.get("pattern", call.input.get("query", call.input.get("regex")))
    looks_for = pattern if isinstance(pattern, str) else ""
    label = _one_line(f"{call.name[:40]} {(path or looks_for)[:200]}")
    if writes_file(call):
        return Source(label=label)
    if words & _SEARCHES:
        return Source("search", label=label, looks_for=looks_for[:300])
    if words & _LISTS:
        return Source("listing", label=label)
    if path and words & _READS:
        partial = any(call.input.get(key) is not None for key in _PARTIAL_KEYS)
        return Source("file", path=_normal(path), partial=partial, label=label)
    return Source(label=label)


def writes_file(call: ToolUse) -> bool:
    """Whether a call changes a file."""
    if call.input.get("command") in ("view", "read"):
        return False
    return writes(call)


def written_by(call: ToolUse) -> tuple[str, str] | None:
    """The path and the whole text of a file that a call writes."""
    if not writes_file(call):
        return None
    path = next(paths_of(call), "")
    for key in _CONTENT_KEYS:
        if path and isinstance(text := call.input.get(key), str):
            return _normal(path), text
    return None


def _of_command(command: str, tool: str) -> Source:
    label = _one_line(f"{tool[:40]} {command[:160]}")
    command = command.strip()
    if shell := _SHELLS.match(command):
        command = command[shell.end() :].strip().strip("'\"")
    folder = ""
    while entered := _ENTER.match(command):
        folder = posixpath.join(folder, entered[1])
        command = command[entered.end() :]
    command = command.removesuffix(" 2>&1").removesuffix(" 2>/dev/null")
    try:
        words = shlex.split(command[:600]) if "\n" not in command else []
    except ValueError:  # an open quote
        words = []
    if not words:
        return Source("shell", label=label)
    first = posixpath.basename(words[0]).lower()
    kind = _SUBCOMMANDS.get((first, words[1] if len(words) > 1 else ""), _COMMANDS.get(first))
    if kind is None or any(sign in words for sign in ("&&", "||", ";", "&")):
        return Source("shell", label=label)
    pipes = [index for index, word in enumerate(words) if word == "|"]
    cut = [posixpath.basename(words[index + 1]) for index in pipes if index + 1 < len(words)]
    if any(word not in ("head", "tail", "sed", "sort") for word in cut):
        return Source("shell", label=label)
    own = words[1 : pipes[0]] if pipes else words[1:]
    plain = [word for word in own if not word.startswith("-")]
    if kind == "search":
        return Source("search", label=label, looks_for=plain[0][:300] if plain else "")
    if kind == "listing":
        return Source("listing", label=label)
    if first == "sed" and ("-i" in own or "-n" not in own):
        return Source("shell", label=label)
    paths = [word for word in plain if not word.isdecimal() and ("." in word or "/" in word)]
    if len(paths) != 1 or ">" in command or "*" in paths[0] or "<<" in command:
        return Source("shell", label=label)
    partial = first in ("head", "tail", "sed") or bool(pipes)
    return Source("file", path=_normal(posixpath.join(folder, paths[0])), partial=partial, label=label)


def _normal(path: str) -> str:
    return posixpath.normpath(path.replace("\\", "/"))


def _one_line(text: str) -> str:
    return " ".join(text[:400].split())


def same_file(one: str, other: str) -> bool:
    """Whether two paths may name one file: agents name it by its whole path or from their folder."""
    if one == other:
        return True
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    return longer.endswith("/" + shorter.lstrip("./"))
