"""Tool lists under the two stages that shorten them: tokens saved, and whether what a task needs is in reach.

A tool that is not offered counts as reached where a model that asks for it in plain words finds it, by
`lynkr_more_tools` or by the tool that lists, and can call it.

    python -m benchmarks.fidelity.tool_sets
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.meta_tools import MetaToolsStage
from lynkr_desktop.engine.optimization.stage import Scene, Stage
from lynkr_desktop.engine.optimization.tool_selection import ToolSelectionStage
from lynkr_desktop.engine.optimization.tool_sets import CALL, LIST, MORE_TOOLS
from lynkr_desktop.engine.wire.canonical import Json, Message, Request, Text, Tool

_FILE = Path(__file__).parent / "tool_situations.toml"


class Situation(Struct, frozen=True):
    """A task, the tools that the client sends, and the names of those that the task needs."""

    tools: tuple[Tool, ...]
    asks: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def request(self) -> Request:
        """The conversation up to its last ask."""
        messages: list[Message] = []
        for ask in self.asks:
            if messages:
                messages.append(Message("assistant", (Text("Done."),)))
            messages.append(Message("user", (Text(ask),)))
        return Request("m", tuple(messages), tools=self.tools)


class Outcome(Struct, frozen=True):
    """What came of one situation.

    Attributes:
        before: tokens of the tools as the client sends them.
        after: tokens with what the engine adds.
        offered: needed tools that are in the list.
        reached: needed tools that are not, but are found and can be called.
        lost: needed tools that are neither.
    """

    before: int
    after: int
    offered: int
    reached: int
    lost: tuple[str, ...]


def situations() -> list[Situation]:
    """All situations of the file."""
    data = tomllib.loads(_FILE.read_text("utf-8"))
    sets = {name: [_tool(line) for line in text.strip().splitlines()] for name, text in data["sets"].items()}
    return [
        Situation(
            tuple(tool for name in entry["sets"] for tool in sets[name]),
            (entry["ask"], *entry.get("later", ())),
            tuple(entry["needs"]),
        )
        for entry in data["situation"]
    ]


def judge(situation: Situation, stages: Sequence[Stage]) -> Outcome:
    """Takes a situation through stages."""
    scene = Scene(count=tokens.count, restorable=True, seconds=30)
    request = situation.request
    for stage in stages:
        scene.begin()
        request = stage.apply(request, scene)
    names = {tool.name for tool in request.tools}
    missing = [name for name in situation.needs if name not in names]
    lost = tuple(name for name in missing if not _reached(name, situation, scene))
    own = sum(tokens.of_tool(tool) for tool, _ in scene.inner.values())
    return Outcome(
        before=sum(map(tokens.of_tool, situation.tools)),
        after=sum(map(tokens.of_tool, request.tools)) + own,
        offered=len(situation.needs) - len(missing),
        reached=len(missing) - len(lost),
        lost=lost,
    )


def _reached(name: str, situation: Situation, scene: Scene) -> bool:
    tool = next(tool for tool in situation.tools if tool.name == name)
    # What a model says that needs a tool: what is to be done, not the tool's name.
    wanted = {"query": tool.description.split(".")[0][:80]}
    finder = next((finder for finder in (MORE_TOOLS, LIST) if finder in scene.inner), None)
    if finder is None:
        return False
    listed = scene.inner[finder][1](wanted).text
    required = tool.input_schema.get("required", [])
    called = scene.inner[CALL][1]({"name": name, "arguments": dict.fromkeys(required, "x")}).call
    return name in listed and called is not None and called[0] == name


def _tool(line: str) -> Tool:
    name, description, rest = (part.strip() for part in (*line.split("|"), "", "")[:3])
    properties: dict[str, Json] = {}
    required: list[str] = []
    for word in rest.split():
        key = word.rstrip("*").removesuffix("[]")
        kind: dict[str, Any] = {"type": "string"}
        if "[]" in word:
            kind = {"type": "array", "items": {"type": "string"}}
        said = f"The {key.replace('_', ' ')} that is used for this call."
        properties[key] = {**kind, "description": said}
        if word.endswith("*"):
            required.append(key)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(name, description, schema)


def _p95(stages: Sequence[Stage], requests: Sequence[Request], fresh: bool) -> float:
    took: list[float] = []
    for turn in range(5):
        for request in requests:
            if fresh:
                tools = tuple(
                    replace(tool, description=f"{tool.description} {turn}") for tool in request.tools
                )
                request = replace(request, tools=tools)
                tokens.of_request(request)
            scene = Scene(count=tokens.count, restorable=True, seconds=30)
            began = time.perf_counter()
            for stage in stages:
                stage.apply(request, scene)
            took.append((time.perf_counter() - began) * 1e3)
    return quantiles(took, n=20)[-1]


def main() -> None:
    """Prints one row per order of the stages."""
    rows: dict[str, Callable[[], list[Stage]]] = {
        "smart_tool_selection": lambda: [ToolSelectionStage()],
        "code_mode_meta_tools": lambda: [MetaToolsStage()],
        "selection, then meta": lambda: [ToolSelectionStage(), MetaToolsStage()],
        "meta, then selection": lambda: [MetaToolsStage(), ToolSelectionStage()],
    }
    cases = situations()
    print(f"{len(cases)} situations, {sum(len(case.needs) for case in cases)} needed tools")
    for label, make in rows.items():
        stages = make()
        outcomes = [judge(case, stages) for case in cases]
        before, after = sum(one.before for one in outcomes), sum(one.after for one in outcomes)
        offered, reached = sum(one.offered for one in outcomes), sum(one.reached for one in outcomes)
        lost = [name for one in outcomes for name in one.lost]
        requests = [case.request for case in cases]
        cold, warm = _p95(make(), requests, fresh=True), _p95(stages, requests, fresh=False)
        print(
            f"{label}: {before} -> {after} tokens ({1 - after / before:.1%} less), {offered} offered, "
            f"{reached} reached, {len(lost)} lost {lost or ''}; "
            f"p95 {cold:.2f} ms for a new list, {warm:.2f} ms for a known one"
        )


if __name__ == "__main__":
    main()
