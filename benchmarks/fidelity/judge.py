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
from lynkr_desktop.engine.optimization.stage import RESTORE
from lynkr_desktop.engine.optimization.tool_sets import DESCRIBE, LIST, MORE_TOOLS
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, ToolResult, ToolUse

Verdict = Literal["present", "restored", "lost"]

_HANDLE = re.compile(r"\br_[0-9a-f]{12}\b")
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_GOES_ON = re.compile(r"first_line (\d+) goes on\]\Z")
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
    first for the handles in the answer that the question is about, then for the newest that it sees.
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
        inner = self._made.inner.get(RESTORE)
        if inner is None:
            return Found("lost")
        tried: list[str] = []
        rounds: list[Request] = []
        near = self._own.get(needle.source, [])
        waiting = [(handle, 1) for handle in dict.fromkeys([*near, *reversed(self._handles)])]
        while waiting and len(tried) < MOST_CALLS:
            handle, first = waiting.pop(0)
            asked: dict[str, object] = {"id": handle} if first == 1 else {"id": handle, "first_line": first}
            said = inner(asked).text
            tried.append(handle)
            last = rounds[-1] if rounds else self._made.request
            rounds.append(_continued(last, RESTORE, asked, said))
            if holds(said, needle.facts, needle.path):
                return Found("restored", tuple(tried), tuple(rounds))
            # What was left out may go on, and may have had something left out of it before.
            known = {*tried, *(one for one, _ in waiting)}
            inside = [(one, 1) for one in dict.fromkeys(_HANDLE.findall(said)) if one not in known]
            more = [(handle, int(found[1]))] if (found := _GOES_ON.search(said)) is not None else []
            waiting = [*more, *inside, *waiting]
        return Found("lost", tuple(tried), tuple(rounds))

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
