"""Writes a conversation down while its commands run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from msgspec import Struct

from benchmarks.fidelity.conversations import Conversation, Needle, Shape, Split
from benchmarks.fidelity.record import shapes
from benchmarks.fidelity.record.needles import choose
from benchmarks.fidelity.record.tools import ENVELOPES, names
from benchmarks.fidelity.record.workspace import Workspace
from lynkr_desktop.engine.wire.canonical import Json, Message, Text, ToolResult, ToolUse

FEWEST_TOOLS = 14
"""That any agent offers."""


class Done(Struct, frozen=True):
    """A call with its answer; `kind` is what the answer is."""

    name: str
    input: Json
    output: str
    kind: str
    failed: bool = False


class Recorder:
    """One conversation.

    Args:
        name: its id.
        split: the part of the evaluation that it belongs to.
        kind: what most of it is.
        shape: whose tools it has.
        workspace: where commands run.
        tools: names of further tools (of MCP servers) that are offered.
    """

    def __init__(
        self,
        name: str,
        split: Split,
        kind: str,
        shape: Shape,
        workspace: Workspace,
        tools: tuple[str, ...] = (),
    ) -> None:
        self.name, self.split, self.kind, self.shape = name, split, kind, shape
        self.workspace = workspace
        self.messages: list[Message] = []
        self._envelope = json.loads((ENVELOPES / f"{shape}.json").read_text())
        own = tuple(tool["name"] for tool in self._envelope["tools"])
        self._tools = (*own, *tools)
        for server in ("slack", "sentry"):
            if len(self._tools) < FEWEST_TOOLS:
                self._tools += tuple(name for name in names(server) if name not in self._tools)
        self._kinds: dict[str, str] = {}
        self._by_hand: list[Needle] = []
        self._number = 0

    # ---------------------------------------------------------------- turns

    def ask(self, text: str) -> None:
        """A person's turn. The first has what the harness puts around it."""
        around: list[str] = [text]
        if not self.messages:
            around = [*self._envelope["before"], text]
        elif self.shape == "claude_code":
            around = [text, *self._envelope["after"]]
        blocks = tuple(Text(part.replace("{workspace}", self.workspace.shown)) for part in around)
        if self.messages and self.messages[-1].role == "user":  # a person speaks while the agent works
            blocks = (*self.messages.pop().content, *blocks)
        self.messages.append(Message("user", blocks))

    def say(self, text: str) -> None:
        """The model ends its turn with words."""
        self.messages.append(Message("assistant", (Text(text),)))

    def do(self, text: str, *calls: Done) -> None:
        """The model calls tools, all in one turn."""
        uses, results = [], []
        for call in calls:
            self._number += 1
            prefix = "toolu_01" if self.shape == "claude_code" else "call_"
            name = f"{prefix}{self.name.replace('-', '')}{self._number:04d}"
            uses.append(ToolUse(name, call.name, call.input))
            results.append(ToolResult(name, (Text(call.output),), is_error=call.failed))
            self._kinds[name] = call.kind
        said = (Text(text),) if text else ()
        self.messages += [Message("assistant", (*said, *uses)), Message("user", tuple(results))]

    # ---------------------------------------------------------------- calls

    def sh(self, line: str, kind: str = "command", seconds: float = 120) -> Done:
        """Runs a command."""
        said, code = self.workspace.run(line, seconds)
        name, given = shapes.command(self.shape, line, self.workspace.shown)
        said = shapes.command_said(self.shape, said, code, self.workspace.shown)
        return Done(name, given, said, kind, self.shape == "claude_code" and code != 0)

    def read(self, path: str, first: int | None = None, last: int | None = None, kind: str = "file") -> Done:
        """Reads a file, or some lines of it."""
        text = self.workspace.clean((self.workspace.root / path).read_text("utf-8"))
        shown = f"{self.workspace.shown}/{path}"
        folder = self.workspace.shown
        name, given = shapes.read(self.shape, shown, first, last, folder)
        return Done(
            name,
            given,
            shapes.read_said(self.shape, shown, text, first, last, folder),
            kind,
        )

    def edit(self, path: str, old: str, new: str) -> Done:
        """Changes a file for real."""
        file = self.workspace.root / path
        text = file.read_text("utf-8")
        if text.count(old) < 1:
            raise ValueError(f"{path} does not hold {old!r}")
        text = text.replace(old, new, 1)
        file.write_text(text, "utf-8")
        shown = f"{self.workspace.shown}/{path}"
        name, given = shapes.edit(self.shape, shown, old, new)
        return Done(name, given, shapes.edit_said(self.shape, shown, text, new), "edit")

    def grep(self, pattern: str, path: str) -> Done:
        """Searches Python files."""
        said, code = self.workspace.run(f"grep -rn --include='*.py' '{pattern}' {path}")
        name, given = shapes.grep(self.shape, pattern, path, self.workspace.shown)
        if self.shape != "claude_code":
            said = shapes.command_said(self.shape, said, code, self.workspace.shown)
        return Done(name, given, said.rstrip("\n"), "grep")

    def mcp(self, name: str, given: Json, output: str, kind: str = "json") -> Done:
        """Calls the tool of an MCP server."""
        if name not in self._tools:
            raise ValueError(f"{name} is not offered")
        return Done(name, given, output, kind)

    # ---------------------------------------------------------------- needles

    def hand(self, question: str, *facts: str, asked: bool = True) -> None:
        """A needle that a person wrote, about the newest answer that holds its facts."""
        for turn in range(len(self.messages) - 1, -1, -1):
            for block in self.messages[turn].content:
                if isinstance(block, ToolResult) and all(fact in block.text for fact in facts):
                    self._by_hand.append(
                        Needle(
                            question=question,
                            facts=facts,
                            source=block.tool_use_id,
                            turn=turn,
                            asked=asked,
                            by_hand=True,
                        )
                    )
                    return
        raise ValueError(f"{self.name}: no answer holds {facts}")

    def tool_needle(self, question: str, name: str, *facts: str) -> None:
        """A needle about a tool that is offered."""
        if name not in self._tools:
            raise ValueError(f"{name} is not offered")
        self._by_hand.append(
            Needle(question=question, facts=(name, *facts), source=name, turn=-1, by_hand=True)
        )

    def written(self) -> Conversation:
        """The conversation, with its needles."""
        system = self._envelope["system"].replace("{workspace}", self.workspace.shown)
        return Conversation(
            id=self.name,
            split=self.split,
            kind=self.kind,
            shape=self.shape,
            system=system,
            toolset=self._tools,
            messages=tuple(self.messages),
            kinds=self._kinds,
            needles=choose(self.messages, self.name, tuple(self._by_hand)),
        )


def python_files(root: Path, under: str) -> list[str]:
    """Python files of a folder, the largest first, with their paths from the root."""
    files = [file for file in (root / under).rglob("*.py") if not re.search(r"__pycache__|\.venv", str(file))]
    files.sort(key=lambda file: (-file.stat().st_size, str(file)))
    return [file.relative_to(root).as_posix() for file in files]
