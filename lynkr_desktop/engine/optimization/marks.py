"""What stands where turns went: which calls they held, and at which lines of what is kept these stand.

A model that looks for something sees by the files, commands and errors that a line names which part to read,
and reads only that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.optimization.stage import Scene, left_out
from lynkr_desktop.engine.wire.canonical import Block, Message, Text, Thinking, ToolResult, ToolUse

_ENTRY, _SHORT_ENTRY = 30, 14
"""Tokens that a mark spends on a call at most, and when there are many."""

_LABEL, _PATH, _VALUES = 64, 44, 4
"""Characters of a call's argument that are named, of a path from its end, and arguments."""

_ASIDE = frozenset(("workdir", "cwd", "working_directory", "timeout", "timeout_ms", "description"))
"""Arguments that do not tell calls apart."""

_READ, _WORDS = 1_000, 12
"""Characters of an argument that are looked at, and words of a command that is a list."""

_WENT_WRONG = re.compile(
    r"^(?:E   \S|FAILED |ERROR |Traceback |fatal: |panic: |npm ERR! |error(?:\[\w+\])?: |[A-Z]\w{2,40}Error)"
    r"[^\n]{0,80}",
    re.MULTILINE,
)
"""A line by which a tool tells that something went wrong: at its beginning, unlike in what files hold."""

_LOOKED_AT = 20_000
"""Characters at the end of a result in which such a line is looked for."""


def contents_cost(calls: int, budget: int) -> int:
    """Tokens that marks take at most to tell which calls went.

    Args:
        calls: that went.
        budget: that the marks may take together.
    """
    return min(calls * _ENTRY, budget)


def mark_of(run: Sequence[Message], scene: Scene, calls: int, budget: int) -> str:
    """What stands for some turns: a line, and which calls stand at which lines of what is left out.

    Args:
        run: the turns; they are kept under a handle.
        scene: where they are kept.
        calls: that went in all runs of the conversation.
        budget: tokens that the marks of all of them may take together to tell these.
    """
    text, entries, folder = told(run)
    what = f"{len(run)} turns that followed" if len(run) > 1 else "a turn that followed"
    lines = [left_out(what, scene.keep(text))]
    room = min(_ENTRY, budget // max(1, calls))
    # Where there are too many, one entry is for several calls.
    each = 1 if room >= _SHORT_ENTRY else -(-calls * _SHORT_ENTRY // max(_SHORT_ENTRY, budget))
    if budget >= _SHORT_ENTRY and entries:
        lines.append(f"In it, by line, below {folder}:" if folder else "In it, by line:")
        for start in range(0, len(entries), each):
            group = entries[start : start + each]
            label = ", ".join(dict.fromkeys(entry.label for entry in group))
            line = f"{group[0].first}-{group[-1].last} {label}".replace("\n", " ")
            lines.append(_fitting(line, max(room, _SHORT_ENTRY) - 1, scene.count))
    return "\n".join(lines)


def _fitting(line: str, most: int, count: Callable[[str], int]) -> str:
    """A line of some tokens at most."""
    while (cost := count(line)) > most:
        line = f"{line[: min(len(line) - 2, len(line) * most // cost)]}…"
    return line


# ---------------------------------------------------------------- what is kept, and what it holds


class Entry(Struct, frozen=True):
    """Where a call and its result stand in a text that keeps turns; lines count from 1."""

    first: int
    last: int
    label: str


def told(messages: Sequence[Message]) -> tuple[str, list[Entry], str]:
    """Turns as a text in which nothing is missing but what only a vendor can read.

    Returns:
        The text, what stands where in it, and the folder that paths in that are told relative to.
    """
    blocks = (block for message in messages for block in message.content)
    calls = {block.id: block for block in blocks if isinstance(block, ToolUse)}
    folder = _folder(calls.values())
    parts: list[str] = []
    entries: list[Entry] = []
    line = 1
    for message in messages:
        for block in message.content:
            part = _told(message, block)
            if part is None:
                continue
            parts.append(part)
            last = line + part.count("\n")
            if isinstance(block, ToolResult):
                call = calls.get(block.tool_use_id)
                label = "a result" if call is None else _label(call, folder)
                entries.append(Entry(line, last, f"{label}{_what_went_wrong(block)}"))
            line = last + 2
    return "\n\n".join(parts), entries, folder


def _told(message: Message, block: Block) -> str | None:
    match block:
        case Text():
            return f"## {message.role}\n{block.text}"
        case Thinking() if block.text:
            return f"## {message.role}, thinking\n{block.text}"
        case ToolUse():
            return f"## call of {block.name} ({block.id})\n{arguments(block)}"
        case ToolResult():
            texts = "\n".join(part.text for part in block.content if isinstance(part, Text))
            return f"## {'error' if block.is_error else 'result'} of {block.tool_use_id}\n{texts}"
    return None


def _label(call: ToolUse, folder: str) -> str:
    """A call in a few words: the files, commands or patterns that it names, and its tool where these do not
    speak for themselves.

    Args:
        call: the call.
        folder: that paths are told relative to; empty for none.
    """
    named: list[str] = []
    for key, value in call.input.items():
        text = "" if key in _ASIDE else _named(value)
        if folder:
            text = text.replace(folder, "")
        is_path = len(text) > _PATH and "/" in text and " " not in text
        if text:
            named.append(f"…{text[-_PATH:]}" if is_path else text[:_LABEL])
    speaks = any("/" in text or " " in text or "." in text for text in named)
    return " ".join([*([] if speaks else [call.name[:32]]), *named[:_VALUES]])


def _named(value: object) -> str:
    """An argument in one line: a range of numbers, a command that is a list, the first line of a text."""
    match value:
        case bool():
            return ""
        case int(number):
            return str(number)
        case [int(start), int(end)]:
            return f"{start}-{end}"
        case [str(), "-c" | "-lc", str(script)]:
            return _named(script)
        case [str(), *_] as words:
            return _named(" ".join(word for word in words[:_WORDS] if isinstance(word, str)))
        case str(text):
            line, _, rest = text[:_READ].strip().partition("\n")
            # What a patch changes stands in its second line.
            return rest.partition("\n")[0] if line == "*** Begin Patch" else line
    return ""


def _folder(calls: Iterable[ToolUse]) -> str:
    """The folder in which most files are that some calls name, with a slash at its end."""
    given = [(key, value) for call in calls for key, value in call.input.items() if isinstance(value, str)]
    texts = (f"{value}/" if key in _ASIDE else value for key, value in given)
    paths = [text for text in texts if text.startswith("/") and len(text) < _READ and " " not in text]
    folders = Counter(path[: at + 1] for path in paths for at in range(1, len(path)) if path[at] == "/")
    shared = [folder for folder, count in folders.items() if count > 1 and 2 * count > len(paths)]
    return max(shared, key=len, default="")


def _what_went_wrong(result: ToolResult) -> str:
    text = result.text
    found = _WENT_WRONG.search(text, max(0, len(text) - _LOOKED_AT))
    if found is None and not result.is_error:
        return ""
    return f" ! {found[0] if found is not None else text.strip()[:_LABEL]}"


def arguments(call: ToolUse) -> str:
    """A call's arguments as JSON."""
    try:
        return msgspec.json.encode(call.input).decode()
    except (UnicodeEncodeError, RecursionError):  # a lone surrogate; nested too deeply
        return str(call.input)
