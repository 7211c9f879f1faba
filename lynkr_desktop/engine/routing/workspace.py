"""The workspace of a request: the folder of the code that it speaks of.

Agents state in their own prompts in which folder they work; a header says it for those that do not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal
from urllib.parse import unquote

from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import Request, Text

HEADER = "x-lynkr-workspace"

_MAX_PATH = 1_000
_AROUND = 1_200
"""Characters of a prompt in which a folder is looked for behind a mark."""

_MAX_TURNS = 400
_MAX_MARKS = 20
_BLOCKS = (
    "<environment_context>",
    "<environment_details>",
    "<env>",
    "<user_info>",
    "<workspace_info>",
    "<session_context>",
    "<uploaded_files>",
    "This is the Gemini CLI.",
)
"""Where agents say in a user's turn where they are. Elsewhere a person may be quoting."""

_MARKS = ("<", "This is the G")
"""One of these stands in each of them."""

_PATH = r"""(?P<path>(?:[A-Za-z]:[\\/]|\\\\|/)[^\n<>"|?*]*?)"""
_STATED = tuple(
    (mark, re.compile(pattern.replace("PATH", _PATH)))
    for mark, pattern in (
        # Codex
        ("<cwd>", r"<cwd>\s*PATH\s*</cwd>"),
        # Claude Code, opencode, and what is modelled on them
        ("orking directory: ", r"(?:Primary w|W|w)orking directory: `?PATH`?\s*(?:\n|$)"),
        # Cline, Roo, Kilo: every turn lists the files of the folder
        ("Directory (", r"# Current (?:Working|Workspace) Directory \(PATH\)"),
        # Cursor
        ("orkspace Path: ", r"Workspace Path: PATH\s*(?:\n|$)"),
        # Copilot, Gemini CLI, OpenHands, goose, Continue and others, in prose
        ("orking directory", r"orking directory(?: is)?:? [`'\"]?PATH[`'\"]?(?:[.,]?\s*(?:\n|$)|\. |, )"),
        ("orking in the directory", r"orking in the directory:? [`'\"]?PATH[`'\"]?\s*(?:\n|$)"),
        ("orkspace folder", r"orkspace folders?:?\s*(?:\n\s*-\s*)?[`'\"]?PATH[`'\"]?\s*(?:\n|$)"),
        ("orkspace is at", r"orkspace is at:? [`'\"]?PATH[`'\"]?(?:\.?\s*(?:\n|$)|\. )"),
        ("<uploaded_files>", r"<uploaded_files>\s*PATH\s*</uploaded_files>"),
    )
)


class Workspace(Struct, frozen=True):
    """A folder as it was stated. It need not exist, nor lie on this machine."""

    folder: str
    source: Literal["header", "request", "configured"]

    @property
    def path(self) -> Path | None:
        """The folder on this machine; None for one of another system, such as a Windows path on Linux."""
        pure = PureWindowsPath if os.name == "nt" else PurePosixPath
        return Path(self.folder) if pure(self.folder).is_absolute() else None


def workspace_of(
    request: Request, headers: Mapping[str, str], configured: Path | None = None
) -> Workspace | None:
    """Finds the workspace of a request.

    Args:
        request: the request; its prompts are searched for what agents write into them.
        headers: those of the request; `x-lynkr-workspace` is taken as it is, a file: URL too.
        configured: the folder that the configuration names for requests that state none.

    Returns:
        The folder with where it was found, None where nothing states one.
    """
    if (named := headers.get(HEADER)) and (folder := _folder(named)):
        return Workspace(folder, "header")
    for text in _prompts(request):
        if folder := _stated(text):
            return Workspace(folder, "request")
    return Workspace(str(configured), "configured") if configured is not None else None


def _prompts(request: Request) -> Iterator[str]:
    """Where agents say where they are: the newest turn that does, then the system prompt and the tools."""
    for message in request.messages[: -_MAX_TURNS - 1 : -1]:
        if message.role == "user":
            for block in message.content:
                if isinstance(block, Text) and any(map(block.text.__contains__, _MARKS)):
                    for mark in _BLOCKS:
                        if (at := block.text.find(mark)) >= 0:
                            yield block.text[at:]
                            break
    for part in request.system:
        yield part.text
    for tool in request.tools:  # OpenHands says it with each tool that takes a path
        yield tool.description


def _stated(text: str) -> str:
    for mark, pattern in _STATED:
        at = text.find(mark)
        for _ in range(_MAX_MARKS):  # prompts speak of "the working directory" before they name it
            if at < 0:
                break
            found = pattern.search(text, max(0, at - 20), at + _AROUND)
            if found is not None and (folder := _folder(found["path"])):
                return folder
            at = text.find(mark, at + len(mark))
    return ""


def _folder(text: str) -> str:
    """An absolute path without the slash at its end; empty where there is none."""
    text = text.strip()[:_MAX_PATH]
    if text.startswith("file://"):
        text = unquote(text.removeprefix("file://"))
        if re.match(r"/[A-Za-z]:", text):
            text = text[1:]
    if "\0" in text:
        return ""
    if text.startswith("/"):
        return text.rstrip("/") or "/"
    if PureWindowsPath(text).is_absolute():
        return text if re.fullmatch(r"[A-Za-z]:[\\/]", text) else text.rstrip("\\/")
    return ""
