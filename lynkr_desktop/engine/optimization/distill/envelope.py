"""What harnesses put around a tool's output: exit codes, durations, reminders, tags."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import Json

_HEADS = re.compile(
    r"(?:(?:Exit code|Chunk ID|Wall time|Process |Original token count|Total output lines|Command:"
    r"|Output:|stdout:)[^\n]{0,200}\n|<(?:file|content|path|type|output|stdout|returncode|result)>[^\n<]{0,300}(?:</\w+>)?\n"
    r"|Here's the (?:result of running|files and directories)[^\n]{0,400}:\n"
    r"|Found \d+ (?:files?|matches|lines?)[^\n]{0,100}\n"
    r"|\[Command finished[^\n]{0,100}\n|Command (?:executed|completed)[^\n]{0,100}\n|\n)"
)
_TAILS = (
    "\n<system-reminder>",
    "\n[The command completed with exit code",
    "\n[Current working directory:",
    "\n[Python Interpreter:",
    "\n[Command finished with exit code",
    "\n(End of file",
    "\n(Showing lines ",
    "\n(File has more lines",
    "\n</file>",
    "\n</content>",
    "\n</output>",
    "\n<bash_metadata>",
    "\n<returncode>",
)
_REACH = 6_000
"""Characters at the end of a text in which what was appended is looked for."""


class Wrapped(Struct, frozen=True):
    """An output that stands as `output` in a JSON object, as Codex gives it to many models."""

    output: str
    fields: Json

    def around(self, output: str) -> str:
        """The object with another output."""
        return msgspec.json.encode(self.fields | {"output": output}).decode()


def unwrapped(text: str) -> Wrapped | None:
    """The output in a JSON object; None where there is none, or where it could not be put back."""
    if not text.startswith('{"output":"') or not text.endswith("}"):
        return None
    try:
        fields = msgspec.json.decode(text)
        msgspec.json.encode(fields)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    output = fields.get("output")
    return Wrapped(output, fields) if isinstance(output, str) else None


def split_envelope(text: str) -> tuple[str, str, str]:
    """Head, body and tail, the outer two may be empty; joined they are the text."""
    at = 0
    for _ in range(12):
        found = _HEADS.match(text, at)
        if found is None:
            break
        at = found.end()
    end = len(text)
    reach = max(at, len(text) - _REACH)
    for mark in _TAILS:
        found_at = text.find(mark, reach, end)
        if found_at >= 0:
            end = found_at
    return text[:at], text[at:end], text[end:]
