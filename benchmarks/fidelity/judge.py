"""Whether facts are still there: in the prompt, or behind a handle that a model finds in it."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.fidelity.blocks import text_of
from benchmarks.fidelity.conversations import Needle
from benchmarks.fidelity.subjects import Made
from lynkr_desktop.engine.optimization.inner import MOST_CALLS
from lynkr_desktop.engine.optimization.stage import PATH, RESTORE
from lynkr_desktop.engine.optimization.tool_sets import DESCRIBE, LIST, MORE_TOOLS
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, ToolResult, ToolUse

Verdict = Literal["present", "restored", "lost"]

_HANDLE = re.compile(r"\br_[0-9a-f]{12}\b")
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_GOES_ON = re.compile(r"goes on at line (\d+)\]\Z")
_WORD = re.compile(r"what stands with (\S+)\?\Z")
_HEADING = re.compile(r"([\w./-]+\.\w+):?$")


class Found(Struct, frozen=True):
    """What became of a needle.

    Attributes:
        verdict: where it was.
        handles: that were tried, in order; the last has it where it was restored.
        rounds: prompts that the model got after the first to find it, each with one answer more.
    """

    verdict: Verdict
    handles: tuple[str, ...] = ()
    rounds: tuple[Request, ...] = ()


class Reader:
    """A model by script that looks for facts in one prompt.

    Where it does not see them it asks for what was left out, as often as the engine allows within one reply:
    first for the handles in the answer that the question is about, then for the newest that it sees. Where a
    question names a word it searches for that before it reads all, as agents do with long files.
    """

    def __init__(self, made: Made) -> None:
        self._made = made
        self._texts = text_of(made.request)
        self._handles = list(dict.fromkeys(_HANDLE.findall("\n".join(self._texts))))
        self._own = {
            block.tool_use_id: _HANDLE.findall(block.text)
            for message in made.request.messages
            for block in message.content
            if isinstance(block, ToolResult)
        }

    def find(self, needle: Needle) -> Found:
        """Looks for a needle, first in what it sees, then behind the handles that it sees."""
        if needle.turn < 0:
            return self._find_tool(needle)
        if any(holds(text, needle.facts, needle.path) for text in self._texts):
            return Found("present")
        tried: list[str] = []
        rounds: list[Request] = []
        near = dict.fromkeys(self._own.get(needle.source, []))
        others = [handle for handle in reversed(self._handles) if handle not in near]
        word = found[1] if (found := _WORD.search(needle.question)) is not None else ""
        waiting = [(handle, 1, word) for handle in near] if word else []
        waiting += [(handle, 1, "") for handle in (*near, *others)]
        while waiting and len(tried) < MOST_CALLS:
            handle, first, word = waiting.pop(0)
            name, asked = self._call(handle, first, word)
            if name not in self._made.inner:
                return Found("lost", tuple(tried), tuple(rounds))
            said = self._made.inner[name](asked).text
            tried.append(handle)
            last = rounds[-1] if rounds else self._made.request
            rounds.append(_continued(last, name, asked, said))
            if holds(said, needle.facts, needle.path):
                return Found("restored", tuple(tried), tuple(rounds))
            if word:
                continue
            # What was left out may go on, and may have had something left out of it before.
            known = {*tried, *(one for one, *_ in waiting)}
            inside = [(one, 1, "") for one in dict.fromkeys(_HANDLE.findall(said)) if one not in known]
            more = [(handle, int(found[1]), "")] if (found := _GOES_ON.search(said)) is not None else []
            waiting = [*more, *inside, *waiting]
        return Found("lost", tuple(tried), tuple(rounds))

    def _call(self, handle: str, first: int, word: str) -> tuple[str, dict[str, object]]:
        """A call that reads an original from a line on, or searches it for a word."""
        path = f"{PATH}{handle}"
        tools = {tool.name: tool.input_schema.get("properties", {}) for tool in self._made.request.tools}
        for name, known in tools.items():
            if word and "pattern" in known and name in self._made.inner:
                return name, {"pattern": word, "path": path}
            if not word and "file_path" in known and name in self._made.inner:
                return name, {"file_path": path, "offset": first}
        for name, known in tools.items():
            if "command" in known and name in self._made.inner:
                command = f"grep -nF '{word}' {path}" if word else f"sed -n '{first},$p' {path}"
                return name, {"command": command}
        return RESTORE, {"id": path, **({"find": word} if word else {"first_line": first})}

    def _find_tool(self, needle: Needle) -> Found:
        name, *facts = needle.facts
        request = self._made.request
        for tool in request.tools:
            if tool.name == name:
                return Found("present" if all(fact in str(tool.input_schema) for fact in facts) else "lost")
        rounds: list[Request] = []
        # What a model would do that has only the question; then by the name, where a prompt shows it.
        shown = any(name.rsplit("__", 1)[-1] in tool.description for tool in request.tools)
        asks = [(MORE_TOOLS, {"query": needle.question})]
        if shown:
            asks += [(MORE_TOOLS, {"query": name}), (DESCRIBE, {"names": [name]})]
        else:
            asks.append((LIST, {"query": needle.question}))
        for tool_name, arguments in asks:
            inner = self._made.inner.get(tool_name)
            if inner is None:
                continue
            said = inner(arguments)
            rounds.append(_continued(rounds[-1] if rounds else request, tool_name, arguments, said.text))
            if any(tool.name == name for tool in said.tools) or all(
                fact in said.text for fact in needle.facts
            ):
                return Found("restored", (), tuple(rounds))
        return Found("lost", (), tuple(rounds))


def holds(text: str, facts: tuple[str, ...], path: str = "") -> bool:
    """Whether all facts stand in a text as words of their own; in a line about a file where one is given.

    A line is about the file that it names, or that the nearest heading above it names.
    """
    text = seen(text)
    if not all(_stands(fact, text) for fact in facts):
        return False
    if not path:
        return True
    lines = text.split("\n")
    return any(
        _about(lines, place, path)
        for place, line in enumerate(lines)
        if all(_stands(fact, line) for fact in facts)
    )


def seen(text: str) -> str:
    """A text without the codes for colours and cursors, as a person sees it."""
    return _CODES.sub("", text) if "\x1b" in text else text


def _stands(fact: str, text: str) -> bool:
    return fact in text and re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", text) is not None


def _about(lines: list[str], place: int, path: str) -> bool:
    if path in lines[place]:
        return True
    for line in reversed(lines[:place]):
        if (heading := _HEADING.match(line)) is not None:
            return path.endswith(heading[1].removeprefix("./"))
    return False


def _continued(request: Request, name: str, arguments: dict[str, object], said: str) -> Request:
    number = f"toolu_inner_{len(request.messages)}"
    turns = (
        Message("assistant", (ToolUse(number, name, arguments),)),
        Message("user", (ToolResult(number, (Text(said),)),)),
    )
    return replace(request, messages=(*request.messages, *turns))
