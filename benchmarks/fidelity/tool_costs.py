"""What sessions cost under the stages that shorten tool lists, where a prompt cache serves equal prefixes.

A session is a situation of `tool_sets`, over some requests; the tools that it needs are called one after
another, spread evenly. Costs are in tokens of uncached input: what was sent before, up to the first
difference, is read at 0.1, the rest written at 1.25. Where a tool is not offered, the model first looks for
it, which is a request more.

    python -m benchmarks.fidelity.tool_costs
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.fidelity.tool_sets import Situation, situations
from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.meta_tools import MetaToolsStage
from lynkr_desktop.engine.optimization.stage import Scene, Stage
from lynkr_desktop.engine.optimization.tool_selection import ToolSelectionStage
from lynkr_desktop.engine.optimization.tool_sets import DESCRIBE, MORE_TOOLS
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse

READ, WRITE = 0.1, 1.25
SYSTEM, GROWTH = 4_000, 1_200
"""Tokens of the system prompt, and those that each request adds to the history."""


class Cache:
    """A provider's prompt cache for one session."""

    def __init__(self) -> None:
        self.cost = 0.0
        self._tools: list[Tool] = []
        self._rest = 0

    def send(self, tools: Sequence[Tool], rest: int) -> None:
        """Pays for a prompt of some tools, with `rest` tokens behind them."""
        same = 0
        for one, other in zip(self._tools, tools, strict=False):
            if one != other:
                break
            same += 1
        served = sum(map(tokens.of_tool, tools[:same]))
        whole = sum(map(tokens.of_tool, tools)) + rest
        if same == len(self._tools) == len(tools):
            served += min(self._rest, rest)
        self.cost += READ * served + WRITE * (whole - served)
        self._tools, self._rest = list(tools), rest


def session_cost(situation: Situation, stages: Sequence[Stage], requests: int) -> float:
    """What a session costs."""
    cache = Cache()
    messages = [Message("user", (Text(situation.asks[0]),))]
    later = list(situation.asks[1:])
    step = max(1, requests // (len(situation.needs) + 1))
    needs = {(number + 1) * step: name for number, name in enumerate(situation.needs)}
    rest = SYSTEM
    for turn in range(requests):
        if later and turn == requests // 3:
            messages.append(Message("assistant", (Text("Done."),)))
            messages.append(Message("user", (Text(later.pop(0)),)))
        scene = Scene(count=tokens.count, restorable=True, seconds=30)
        request = Request("m", tuple(messages), tools=situation.tools)
        for stage in stages:
            request = stage.apply(request, scene)
        own = [tool for tool, _ in scene.inner.values()]
        cache.send((*request.tools, *own), rest)
        rest += GROWTH
        name = needs.get(turn)
        if name is None:
            continue
        if name not in {tool.name for tool in request.tools}:
            tool = next(tool for tool in situation.tools if tool.name == name)
            if MORE_TOOLS in scene.inner:
                text = scene.inner[MORE_TOOLS][1]({"query": tool.description}).text
            else:
                text = scene.inner[DESCRIBE][1]({"names": [name]}).text
            cache.send((*request.tools, *own), rest + tokens.count(text))
        messages.append(Message("assistant", (ToolUse(f"c{turn}", name, {}),)))
        messages.append(Message("user", (ToolResult(f"c{turn}", (Text("done"),)),)))
    return cache.cost


def main() -> None:
    """Prints one row per length of a session and set of stages."""
    rows: dict[str, list[Stage]] = {
        "smart_tool_selection": [ToolSelectionStage()],
        "code_mode_meta_tools": [MetaToolsStage()],
        "both": [ToolSelectionStage(), MetaToolsStage()],
    }
    for requests in (5, 15, 40):
        for label, stages in rows.items():
            shares = [
                session_cost(case, stages, requests) / session_cost(case, [], requests)
                for case in situations()
            ]
            dearer = sum(share > 1 for share in shares)
            print(
                f"{requests} requests, {label}: {1 - sum(shares) / len(shares):.1%} below direct on average, "
                f"worst {max(shares) - 1:+.1%}, {dearer} of {len(shares)} dearer"
            )


if __name__ == "__main__":
    main()
