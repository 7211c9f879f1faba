"""Whether facts are still there: in the prompt, or behind a handle that a model finds in it."""

from __future__ import annotations

import re
from collections import Counter
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
_ENTRY = re.compile(r"(\d+)-(\d+) (.+)")
_NAMED = re.compile(r"\w+")
_TOLD = 4
"""Parts of what was left out that are read because a line about them fits the question."""

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


class Look(Struct, frozen=True):
    """What is read of an original: some lines, to its end where `last` is 0; or the lines with a word."""

    handle: str
    first: int = 1
    last: int = 0
    word: str = ""


class Reader:
    """A model by script that looks for facts in one prompt.

    Where it does not see them it asks for what was left out, as often as the engine allows within one reply:
    first for the handles in the answer that the question is about, then for the parts of others of which a
    line says that they hold it, then for the newest that it sees. Where a question names a word it searches
    for that before it reads all, as agents do with long files.
    """

    def __init__(self, made: Made, searches: bool = True) -> None:
        self._made = made
        self._searches = searches
        self._texts = text_of(made.request)
        self._handles = list(dict.fromkeys(_HANDLE.findall("\n".join(self._texts))))
        self._own = {
            block.tool_use_id: _HANDLE.findall(block.text)
            for message in made.request.messages
            for block in message.content
            if isinstance(block, ToolResult)
        }
        self._told = [entry for text in self._texts for entry in _told_parts(text)]

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
        asks = _WORD.search(needle.question) if self._searches else None
        word = asks[1] if asks is not None else ""
        waiting = [Look(handle, word=word) for handle in near] if word else []
        waiting += [*map(Look, near), *self._fitting(needle.question), *map(Look, others)]
        while waiting and len(tried) < MOST_CALLS:
            look = waiting.pop(0)
            handle = look.handle
            name, asked = self._call(look)
            if name not in self._made.inner:
                return Found("lost", tuple(tried), tuple(rounds))
            said = self._made.inner[name](asked).text
            tried.append(handle)
            last = rounds[-1] if rounds else self._made.request
            rounds.append(_continued(last, name, asked, said))
            if holds(said, needle.facts, needle.path):
                return Found("restored", tuple(tried), tuple(rounds))
            if look.word:
                continue
            # What was left out may go on, and may have had something left out of it before.
            known = {*tried, *(one.handle for one in waiting)}
            inside = [Look(one) for one in dict.fromkeys(_HANDLE.findall(said)) if one not in known]
            goes_on = _GOES_ON.search(said)
            more = [Look(handle, int(goes_on[1]), look.last)] if goes_on is not None else []
            waiting = [*more, *inside, *waiting]
        return Found("lost", tuple(tried), tuple(rounds))

    def _fitting(self, question: str) -> list[Look]:
        """The parts that lines tell of which have most words of a question, rare ones before others."""
        asked = frozenset(_NAMED.findall(question.lower()))
        held = Counter(word for _, words in self._told for word in words)
        fits = [(sum(1 / held[word] for word in words & asked), look) for look, words in self._told]
        ranked = sorted((fit for fit in fits if fit[0]), key=lambda fit: -fit[0])
        return [look for _, look in ranked[:_TOLD]]

    def _call(self, look: Look) -> tuple[str, dict[str, object]]:
        """A call that reads lines of an original, or searches it for a word."""
        path, first, last, word = f"{PATH}{look.handle}", look.first, look.last, look.word
        tools = {tool.name: tool.input_schema.get("properties", {}) for tool in self._made.request.tools}
        for name, known in tools.items():
            if word and "pattern" in known and name in self._made.inner:
                return name, {"pattern": word, "path": path}
            if not word and "file_path" in known and name in self._made.inner:
                lines = {"offset": first, **({"limit": last - first + 1} if last else {})}
                return name, {"file_path": path, **lines}
        for name, known in tools.items():
            if "command" in known and name in self._made.inner:
                sed = f"sed -n '{first},{last or '$'}p' {path}"
                return name, {"command": f"grep -nF '{word}' {path}" if word else sed}
        if word:
            return RESTORE, {"id": path, "find": word}
        return RESTORE, {"id": path, "first_line": first, **({"last_line": last} if last else {})}

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
            if all(fact in said.text for fact in needle.facts):
                return Found("restored", (), tuple(rounds))
        return Found("lost", (), tuple(rounds))


def _told_parts(text: str) -> list[tuple[Look, frozenset[str]]]:
    """The parts of originals that a text lists by their lines, with the words of each."""
    found: list[tuple[Look, frozenset[str]]] = []
    handle = ""
    for line in text.split("\n"):
        if (named := _HANDLE.search(line)) is not None:
            handle = named[0]
        elif handle and (entry := _ENTRY.fullmatch(line)) is not None:
            words = frozenset(_NAMED.findall(entry[3].lower()))
            if words:
                found.append((Look(handle, int(entry[1]), int(entry[2])), words))
    return found


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
