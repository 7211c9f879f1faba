"""A scripted model that works with real agents: it decides from what it was asked, as a model does.

An agent offers tools of its own, and asks again with what they gave. A `Brain` reads the request in whatever
format the fake provider got it, and goes on with the task by the tools that were offered:

    brain = Brain(folder)
    fake.brain = lambda asked: brain.answer(asked.path, asked.json)
    ...  # run the agent
    assert brain.problems == []

The task: read two files at once, change one of them, run it, say what it printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fakes.openai_responses import offered
from tests.support.script import Call, Json, Reply, Say, Think, text

TITLE = "Area of a circle"
ROUGH, EXACT = "3.14159", "3.141592653589793"
PROGRAM = f"PI = {ROUGH}\n\n\ndef area(radius):\n    return PI * radius**2\n\n\nprint(area(2))\n"
NOTES = "Use all the digits of \N{GREEK SMALL LETTER PI}.\n"
PRINTED = "12.566370614359172"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a request says, whatever its format.

    Attributes:
        tools: the JSON schema of each offered tool, by name.
        calls: the ids of the calls so far, in order; empty ones where the format has none.
        answers: the id and the text of every tool result, in order.
    """

    tools: dict[str, Json]
    calls: list[str]
    answers: list[tuple[str, str]]

    @property
    def results(self) -> list[str]:
        """The results in the order of their calls: matched by id where there are ids, else by position."""
        known = dict(self.answers)
        if len(known) == len(self.answers) and all(known):
            return [known[call] for call in self.calls if call in known]
        return [result for _, result in self.answers]


# ---------------------------------------------------------------- formats

_FREE: Json = {"properties": {"input": {"type": "string"}}}
"""Stands for the schema of a tool that takes text."""


def ollama(body: Json) -> Seen:
    """Ollama's native chat. Models see no ids: what counts is the order."""
    functions = [tool["function"] for tool in body.get("tools") or ()]
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    return Seen(
        {function["name"]: function["parameters"] for function in functions},
        [],
        [("", result) for result in results],
    )


def openai_chat(body: Json) -> Seen:
    """OpenAI Chat."""
    functions = [tool["function"] for tool in body.get("tools") or ()]
    messages = body["messages"]
    return Seen(
        {function["name"]: function.get("parameters") or {} for function in functions},
        [call["id"] for message in messages for call in message.get("tool_calls") or ()],
        [
            (message["tool_call_id"], _text(message["content"]))
            for message in messages
            if message["role"] == "tool"
        ],
    )


def openai_responses(body: Json) -> Seen:
    """OpenAI Responses."""
    tools = list(offered(body))
    calls, outputs = (
        [item for item in body["input"] if item.get("type") in kinds]
        for kinds in (
            ("function_call", "custom_tool_call"),
            ("function_call_output", "custom_tool_call_output"),
        )
    )
    return Seen(
        {tool["name"]: tool.get("parameters") or {} for tool in tools if tool["type"] == "function"}
        | {tool["name"]: _FREE for tool in tools if tool["type"] == "custom"},
        [item["call_id"] for item in calls],
        [(item["call_id"], _text(item["output"])) for item in outputs],
    )


def anthropic(body: Json) -> Seen:
    """Anthropic Messages."""
    blocks = list(_blocks(body))
    return Seen(
        {tool["name"]: tool.get("input_schema") or {} for tool in body.get("tools") or ()},
        [block["id"] for block in blocks if block.get("type") == "tool_use"],
        [
            (block["tool_use_id"], _text(block["content"]))
            for block in blocks
            if block.get("type") == "tool_result"
        ],
    )


def gemini(body: Json) -> Seen:
    """Gemini's generateContent."""
    functions = [
        function for tool in body.get("tools") or () for function in tool.get("functionDeclarations") or ()
    ]
    parts = [part for content in body["contents"] for part in content["parts"]]
    answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
    return Seen(
        {
            function["name"]: function.get("parametersJsonSchema") or function.get("parameters") or {}
            for function in functions
        },
        [part["functionCall"].get("id", "") for part in parts if "functionCall" in part],
        [(answer.get("id", ""), _text(answer["response"])) for answer in answers],
    )


def converse(body: Json) -> Seen:
    """Bedrock's Converse."""
    tools = [tool for tool in (body.get("toolConfig") or {}).get("tools") or () if "toolSpec" in tool]
    results = [block["toolResult"] for block in _blocks(body) if "toolResult" in block]
    return Seen(
        {tool["toolSpec"]["name"]: tool["toolSpec"]["inputSchema"]["json"] for tool in tools},
        [block["toolUse"]["toolUseId"] for block in _blocks(body) if "toolUse" in block],
        [(result["toolUseId"], _text(result["content"])) for result in results],
    )


def read(path: str, body: Json) -> Seen:
    """A request that a fake got at a path."""
    for mark, reader in _READERS.items():
        if mark in path:
            return reader(body)
    raise ValueError(f"no model answers at {path}")


_READERS: dict[str, Callable[[Json], Seen]] = {
    "/api/chat": ollama,
    "/chat/completions": openai_chat,
    "/responses": openai_responses,
    "/messages": anthropic,
    "awPredict": anthropic,
    "enerateContent": gemini,
    "/converse": converse,
}
"""A piece of each path, as far as its variants share it."""


def _blocks(body: Json) -> Iterator[Json]:
    for message in body["messages"]:
        if not isinstance(message["content"], str):
            yield from message["content"]


def _text(content: Any) -> str:
    """The text in a tool result, however it is wrapped."""
    match content:
        case str():
            return content
        case list():
            return "".join(map(_text, content))
        case {"text": str(found)}:
            return found
        case dict():
            return "".join(map(_text, content.values()))
    return json.dumps(content)


# ---------------------------------------------------------------- agents


@dataclass(frozen=True, slots=True)
class Hands:
    """How an agent's tools read, change and run a file."""

    read: Callable[[Path], Call]
    change: Callable[[Path], Call]
    run: Callable[[str], Call]

    @property
    def names(self) -> set[str]:
        """The tools that this takes."""
        some = Path("a")
        return {self.read(some).name, self.change(some).name, self.run("").name}


CLAUDE_CODE = Hands(
    read=lambda path: Call("Read", {"file_path": str(path)}),
    change=lambda path: Call("Edit", {"file_path": str(path), "old_string": ROUGH, "new_string": EXACT}),
    run=lambda command: Call("Bash", {"command": command, "description": "Run it"}),
)


def _shell(command: str) -> Call:
    return Call("exec_command", {"cmd": command, "yield_time_ms": 10_000})


def _patch(path: Path) -> str:
    change = f"*** Update File: {path.name}\n@@\n-PI = {ROUGH}\n+PI = {EXACT}"
    return f"*** Begin Patch\n{change}\n*** End Patch\n"


CODEX = Hands(
    read=lambda path: _shell(f"cat {path.name}"),
    change=lambda path: _shell(f"apply_patch <<'EOF'\n{_patch(path)}EOF\n"),
    run=_shell,
)

# For models that it knows, Codex takes patches as plain text, ...
CODEX_PATCHES = Hands(
    read=CODEX.read, change=lambda path: Call("apply_patch", {"input": _patch(path)}), run=CODEX.run
)


def _script(tool: str, given: Any, *, shown: str = "") -> Call:
    return Call("exec", {"input": f"const r = await tools.{tool}({json.dumps(given)});\ntext(r{shown});\n"})


# ... and for the newest, programs that use the tools.
CODEX_SCRIPTS = Hands(
    read=lambda path: _script("exec_command", {"cmd": f"cat {path.name}"}, shown=".output"),
    change=lambda path: _script("apply_patch", _patch(path)),
    run=lambda command: _script("exec_command", {"cmd": command}, shown=".output"),
)


def _edit(command: str, path: Path, **more: Any) -> Call:
    return Call("file_editor", {"command": command, "path": str(path), **more})


OPENHANDS = Hands(
    read=lambda path: _edit("view", path),
    change=lambda path: _edit("str_replace", path, old_str=ROUGH, new_str=EXACT),
    run=lambda command: Call("terminal", {"command": command}),
)

AGENTS = (CLAUDE_CODE, CODEX_SCRIPTS, CODEX_PATCHES, CODEX, OPENHANDS)


# ---------------------------------------------------------------- task


class Brain:
    """Works on one task until it is done.

    Args:
        folder: where the agent works; the files of the task are written there.

    Attributes:
        problems: what an agent gave that a model should not have got.
        turns: how often it was asked with tools.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self.turns = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.program, self.notes, self.output = folder / "a.py", folder / "notes.txt", folder / "out.txt"
        self.program.write_text(PROGRAM, encoding="utf-8")
        self.notes.write_text(NOTES, encoding="utf-8")

    @property
    def prompt(self) -> str:
        """What to ask the agent."""
        return f"Read {self.program.name} and {self.notes.name}, do what the notes say, and run the program."

    def answer(self, path: str, body: Json) -> Reply:
        """The next step. Agents also ask without tools, for a title say: they get one."""
        seen = read(path, body)
        hands = next((hands for hands in AGENTS if hands.names <= set(seen.tools)), None)
        if hands is None:
            if seen.tools:
                self.problems.append(f"unknown tools: {sorted(seen.tools)}")
            return text(TITLE)
        self.turns += 1
        return self._next(hands, seen)

    def _next(self, hands: Hands, seen: Seen) -> Reply:
        match seen.results:
            case []:
                reads = (hands.read(self.program), hands.read(self.notes))
                return self._act(seen, "They want the files first.", *reads)
            case [program, notes]:
                self._expect(ROUGH, program)
                self._expect(NOTES.strip(), notes)
                return self._act(seen, "Both are read; now the change.", hands.change(self.program))
            case [_, _, _]:
                command = f'"{sys.executable}" {self.program.name} | tee {self.output.name}'
                return self._act(seen, "It is changed; now run it.", hands.run(command))
            case [_, _, changed, printed]:
                self._expect(PRINTED, f"{printed} (after: {changed})")
                return Reply((Say("Done: it prints "), Say(f"{PRINTED}.")))
        self.problems.append(f"{len(seen.results)} results: {seen.results}")
        return text("That is not what was asked for.")

    def _act(self, seen: Seen, thought: str, *calls: Call) -> Reply:
        for call in calls:
            missing = set(seen.tools[call.name].get("required", ())) - set(call.arguments)
            unknown = set(call.arguments) - set(seen.tools[call.name].get("properties", ()))
            if missing or unknown:
                self.problems.append(f"{call.name}: without {sorted(missing)}, with {sorted(unknown)}")
        return Reply((Think(thought), Say("I go on."), *calls))

    def _expect(self, wanted: str, result: str) -> None:
        if wanted not in result:
            self.problems.append(f"{wanted!r} is not in {result!r}")
