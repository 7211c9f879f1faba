"""What shortens prompts in the evaluation: the pipeline, and what it is compared with."""

from __future__ import annotations

import abc
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.config.schema import OptimizationOptions
from lynkr_desktop.engine.optimization.pipeline import Pipeline
from lynkr_desktop.engine.optimization.stage import InnerTool
from lynkr_desktop.engine.optimization.stages import stage_makers
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, ToolResult, ToolUse
from lynkr_desktop.protocol.optimization import StageName

WORKER = Path(__file__).parent / "headroom_worker.py"


class Made(Struct, frozen=True):
    """A prompt as the model gets it; `inner` answers the tools that were added to it."""

    request: Request
    inner: Mapping[str, InnerTool] = {}
    skipped: tuple[str, ...] = ()


class Subject(abc.ABC):
    """Something that shortens prompts.

    Attributes:
        name: as it stands in the table.
    """

    name: str

    @abc.abstractmethod
    def make(self, request: Request) -> Made:
        """The shortened prompt."""

    def fresh(self) -> None:  # noqa: B027 - most remember nothing
        """Forgets what it remembers, where it remembers something."""


class Nothing(Subject):
    """Sends what the client sent."""

    name = "nothing"

    def make(self, request: Request) -> Made:
        return Made(request)


class Lynkr(Subject):
    """The pipeline with some stages, as the engine runs it.

    Args:
        stages: in order.
        window: tokens that the target takes.
    """

    def __init__(self, stages: Sequence[StageName], window: int | None = None) -> None:
        self._names = tuple(stages)
        self._window = window
        self.name = "Lynkr: " + " + ".join(stages) if len(stages) < 3 else f"Lynkr, {len(stages)} stages"
        self.name += f", window {window:,}" if window else ""
        self.fresh()

    def fresh(self) -> None:
        makers = stage_makers(OptimizationOptions(), Path(tempfile.gettempdir()) / "lynkr-fidelity")
        # A loaded machine must not change figures, so the time limit is no part of this.
        self._pipeline = Pipeline([makers[name]() for name in self._names], seconds=60)

    def make(self, request: Request) -> Made:
        made = self._pipeline.run(request, self._window)
        skipped = tuple(f"{one.stage}: {'; '.join(one.did)}" for one in made.receipts if one.skipped)
        return Made(made.request, made.inner, skipped)


class LastTurns(Subject):
    """Keeps the last turns, as many a chat program does."""

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.name = f"the last {turns} turns"

    def make(self, request: Request) -> Made:
        messages = request.messages[-self._turns :]
        while messages and messages[0].role != "user":
            messages = messages[1:]
        return Made(replace(request, messages=messages))


class OldResultsCleared(Subject):
    """Puts a note in the place of all tool results but those of the last turns."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.name = f"results older than {kept} turns cleared"

    def make(self, request: Request) -> Made:
        edge = len(request.messages) - 2 * self._kept
        messages = [
            replace(message, content=tuple(_cleared(block) for block in message.content))
            if place < edge
            else message
            for place, message in enumerate(request.messages)
        ]
        return Made(replace(request, messages=tuple(messages)))


def _cleared(block: Any) -> Any:
    return (
        replace(block, content=(Text("[old tool result cleared]"),))
        if isinstance(block, ToolResult)
        else block
    )


class Headroom(Subject):
    """The library of the Headroom project with its defaults, in a process of its own.

    Args:
        python: of an environment with `headroom-ai`.
    """

    name = "Headroom (library)"

    def __init__(self, python: Path) -> None:
        environment = {
            **os.environ,
            "HEADROOM_OFFLINE": "1",
            "HEADROOM_TELEMETRY": "off",
            "HEADROOM_UPDATE_CHECK": "off",
            "HF_HUB_OFFLINE": "1",
        }
        self._process = subprocess.Popen(
            [str(python), str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self.version = str(self._call({"hello": True})["version"])

    def __enter__(self) -> Headroom:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def make(self, request: Request) -> Made:
        answer = self._call({"messages": [_anthropic(message) for message in request.messages]})
        messages = tuple(_canonical(message) for message in answer["messages"])
        return Made(replace(request, messages=messages))

    def _call(self, asked: dict[str, Any]) -> dict[str, Any]:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.write(msgspec.json.encode(asked) + b"\n")
        into.flush()
        return _line(out)


def _line(out: IO[bytes]) -> dict[str, Any]:
    line = out.readline()
    if not line:
        raise RuntimeError("The Headroom process ended.")
    found: dict[str, Any] = msgspec.json.decode(line)
    return found


def _anthropic(message: Message) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for block in message.content:
        match block:
            case Text():
                content.append({"type": "text", "text": block.text, **block.extra})
            case ToolUse():
                content.append({"type": "tool_use", "id": block.id, "name": block.name, "input": block.input})
            case ToolResult():
                said = {
                    "type": "tool_result",
                    "tool_use_id": block.tool_use_id,
                    "content": block.text,
                    **block.extra,
                }
                content.append({**said, "is_error": True} if block.is_error else said)
    return {"role": message.role, "content": content}


def _canonical(message: dict[str, Any]) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return Message(message["role"], (Text(content),))
    blocks: list[Text | ToolUse | ToolResult] = []
    for block in content:
        extra = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
        match block["type"]:
            case "text":
                blocks.append(Text(block["text"], extra))
            case "tool_use":
                blocks.append(ToolUse(block["id"], block["name"], block["input"]))
            case "tool_result":
                said = block["content"]
                text = said if isinstance(said, str) else "\n".join(part.get("text", "") for part in said)
                blocks.append(
                    ToolResult(block["tool_use_id"], (Text(text),), bool(block.get("is_error")), extra)
                )
    return Message(message["role"], tuple(blocks))
