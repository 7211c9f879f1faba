"""How well tool calls that models write as text are told from text that only looks like one.

Run it as `python benchmarks/text_calls/run.py`. Three sets of answers: `corpus.jsonl`, written by
hand after the formats' documents; `heldout.jsonl`, written later after what people report of their models;
and what the built-in Qwen2.5-Coder wrote (tests/fixtures/qwen_tool_calls.json).
Beside ours stand two trivial ways: never to see a call, and to take by a regular expression whatever has a
name and arguments.

Both sets by hand were tuned on after their first runs, so only those (see the README) measure anything new.

Precision and recall count answers: an answer is found when a call was made of it. `exact` is the share of all
answers where the calls are the right ones, with the right arguments, and no others.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from lynkr_desktop.engine.wire.canonical import (  # noqa: E402
    BlockStarted,
    BlockStopped,
    Failed,
    Reply,
    Request,
    Started,
    Stopped,
    Text,
    TextDelta,
    Tool,
    ToolUse,
    Usage,
)
from lynkr_desktop.engine.wire.text_calls import TextToolCalls  # noqa: E402

Case = dict[str, Any]
Calls = list[tuple[str, Any]]
Finder = Callable[[str, dict[str, Any]], Calls]

_ANY = re.compile(
    r'"name"\s*:\s*"(?P<name>[\w.-]+)"[^{}]*"(?:arguments|parameters|args|input)"\s*:\s*(?P<arguments>\{[^{}]*\})'
    r"|<function=(?P<function>[\w.-]+)>|<invoke name=\"(?P<invoke>[\w.-]+)\">"
)


def never(text: str, tools: dict[str, Any]) -> Calls:
    """No answer holds a call."""
    return []


def regex_any(text: str, tools: dict[str, Any]) -> Calls:
    """Whatever looks like a name with arguments is a call."""
    calls: Calls = []
    for found in _ANY.finditer(text):
        name = found["name"] or found["function"] or found["invoke"]
        try:
            arguments = json.loads(found["arguments"] or "{}")
        except ValueError:
            continue
        calls.append((name, arguments))
    return calls


def ours(text: str, tools: dict[str, Any]) -> Calls:
    """What the engine makes of it."""
    request = Request("m", (), tools=tuple(Tool(name, "", schema) for name, schema in tools.items()))
    finder = TextToolCalls(request)
    events = finder.feed([Started(), BlockStarted(0, Text(""))])
    for start in range(0, len(text), 4):  # about a token
        events += finder.feed([TextDelta(0, text[start : start + 4])])
    events += finder.feed([BlockStopped(0), Stopped("end_turn", Usage())])
    reply = Reply.of(events)
    assert not isinstance(reply, Failed)
    calls = [(block.name, block.input) for block in reply.content if isinstance(block, ToolUse)]
    kept = "".join(block.text for block in reply.content if isinstance(block, Text))
    assert calls or kept == text, f"text was changed: {text!r} became {kept!r}"
    return calls


def measure(title: str, cases: list[Case]) -> list[str]:
    """Prints one table; gives the answers on which ours is wrong."""
    wrong: list[str] = []
    real = sum(bool(case["expected"]) for case in cases)
    print(f"\n{title}: {len(cases)} answers, {real} with calls\n")
    print("| | precision | recall | exact | false calls |\n| --- | --- | --- | --- | --- |")
    finders: dict[str, Finder] = {"never": never, "regex any": regex_any, "lynkr": ours}
    for name, finder in finders.items():
        hits = false = exact = 0
        for case in cases:
            found = finder(case["text"], case["tools"])
            hits += bool(found and case["expected"])
            false += bool(found and not case["expected"])
            exact += found == case["expected"]
            if finder is ours and found != case["expected"]:
                wrong.append(f"{case['id']}: expected {case['expected']}, found {found}")
        precision = f"{hits / (hits + false):.3f}" if hits + false else "-"
        print(f"| {name} | {precision} | {hits / real:.3f} | {exact / len(cases):.3f} | {false} |")
    return wrong


def written(name: str) -> list[Case]:
    """The answers that were written by hand."""
    folder = Path(__file__).parent
    tools = json.loads((folder / "tools.json").read_text(encoding="utf-8"))
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return [_case(row["id"], row["text"], tools, row["calls"]) for row in map(json.loads, lines)]


def recorded() -> list[Case]:
    """The answers of a real model."""
    path = ROOT / "tests" / "fixtures" / "qwen_tool_calls.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    schemas = {name: tool["parameters"] for name, tool in document["tools"].items()}
    return [
        _case(f"qwen-{number}", row["content"], {name: schemas[name] for name in row["tools"]}, row["calls"])
        for number, row in enumerate(document["outputs"], 1)
    ]


def _case(name: str, text: str, tools: dict[str, Any], calls: list[dict[str, Any]]) -> Case:
    expected = [(call["name"], call["arguments"]) for call in calls]
    return {"id": name, "text": text, "tools": tools, "expected": expected}


def main() -> int:
    """Prints the tables and what was got wrong."""
    wrong = measure("Written by hand", written("corpus.jsonl"))
    wrong += measure("Held out", written("heldout.jsonl"))
    wrong += measure("Written by Qwen2.5-Coder 1.5B", recorded())
    print("\nWrong:" if wrong else "\nNothing wrong.")
    for line in wrong:
        print(f"- {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
