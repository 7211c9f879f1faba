"""The labelled requests by which routing is judged: well-formed, complete, and about code that exists.

Messages name a line by its id and never show its text: whoever works on the router may run these tests too.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lynkr_desktop.engine.analysis import grammar

ROOT = Path(__file__).parents[2] / "benchmarks" / "routing" / "data"
LOOSE = ("validate",)
"""Splits whose authors took `path` and `by_result` more widely, see data/README.md."""

SPLITS = sorted(path.parent.name for path in ROOT.glob("*/requests.jsonl"))
TIERS = ["simple", "medium", "complex", "reasoning"]
GRAMMARS = {
    ".py": "python",
    ".ts": "typescript",
    ".tsx": "tsx",
    ".rs": "rust",
    ".go": "go",
    ".java": "java",
    ".cs": "csharp",
}
REQUIRED = {"id", "workspace", "shape", "human_language", "tier", "acceptable", "tags", "pair", "why"}
OPTIONAL = {"ask", "messages", "system", "max_tokens"}
SHAPES = {"bare", *(path.stem for path in (ROOT / "envelopes").glob("*.json"))}

Line = dict[str, Any]


class Lines(list[Line]):
    """The lines of a split, that do not appear when pytest explains a failure."""

    def __repr__(self) -> str:
        return f"<{len(self)} lines>"


def lines_of(split: str) -> Lines:
    text = (ROOT / split / "requests.jsonl").read_text("utf-8")
    return Lines(json.loads(line) for line in text.splitlines())


@pytest.fixture(params=SPLITS)
def split(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def lines(split: str) -> Lines:
    return lines_of(split)


def blamed(lines: Lines, good: Any) -> list[str]:
    """The ids of the lines that are not good."""
    return [line.get("id", "?") for line in lines if not good(line)]


def workspaces(split: str) -> Path:
    """The folder of a split's workspaces; `validate` speaks of those of `tune`."""
    return ROOT / "workspaces" / {"validate": "tune"}.get(split, split)


def folder(split: str, line: Line) -> Path:
    return workspaces(split) / str(line["workspace"])


def blocks(line: Line) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every block with the role of its turn."""
    for message in line.get("messages", ()):
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield message["role"], block


def words_of_a_person(line: Line) -> str:
    if "ask" in line:
        return str(line["ask"])
    return "\n".join(
        block["text"] for role, block in blocks(line) if role == "user" and block["type"] == "text"
    )


def texts(line: Line) -> str:
    """What a person wrote, and what tools were asked for and gave."""
    return words_of_a_person(line) + "\n" + json.dumps(line.get("messages", ()))


def test_there_is_a_split_to_tune_on() -> None:
    assert "tune" in SPLITS


def test_fields(split: str, lines: Lines) -> None:
    def good(line: Line) -> bool:
        return (
            line.keys() >= REQUIRED
            and line.keys() <= REQUIRED | OPTIONAL
            and ("ask" in line) != ("messages" in line)
            and line["id"].startswith(f"{split}-")
            and line["shape"] in SHAPES
            and re.fullmatch(r"[a-z]{2}", line["human_language"]) is not None
            and bool(line["tags"])
            and bool(line["why"].strip())
        )

    assert not blamed(lines, good)


def test_ids_are_unique_over_all_splits() -> None:
    ids = [line["id"] for split in SPLITS for line in lines_of(split)]
    assert len(ids) == len(set(ids))


def test_no_ask_stands_in_two_lines(lines: Lines) -> None:
    seen: dict[int, list[str]] = defaultdict(list)
    for line in lines:
        what = line.get("messages") or line["ask"], line.get("system"), line["workspace"]
        seen[hash(json.dumps(what))].append(line["id"])
    twice = [ids for ids in seen.values() if len(ids) > 1]
    assert not twice


def test_acceptable_tiers_are_one_run_around_the_best(lines: Lines) -> None:
    def good(line: Line) -> bool:
        places = [TIERS.index(tier) for tier in line["acceptable"]]
        return (
            line["tier"] in line["acceptable"]
            and len(places) <= 3
            and places == list(range(places[0], places[0] + len(places)))
        )

    assert not blamed(lines, good)


def test_conversations_are_what_a_harness_could_send(lines: Lines) -> None:
    def good(line: Line) -> bool:
        messages = line.get("messages")
        if messages is None:
            return bool(line["ask"].strip())
        roles = [message["role"] for message in messages]
        if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
            return False
        open_calls: set[str] = set()
        for role, block in blocks(line):
            if block["type"] == "tool_use":
                if role != "assistant" or block["id"] in open_calls:
                    return False
                open_calls.add(block["id"])
            elif block["type"] == "tool_result":
                if role != "user" or block["tool_use_id"] not in open_calls:
                    return False
                open_calls.remove(block["tool_use_id"])
            elif block["type"] != "text" or not block["text"].strip():
                return False
        return not open_calls

    assert not blamed(lines, good)


def test_pairs_are_complete_and_their_tiers_differ(lines: Lines) -> None:
    pairs: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line["pair"] is not None:
            pairs[line["pair"]].append(line)
    for name, members in pairs.items():
        assert len(members) >= 2, name
        assert len({line["workspace"] for line in members}) == 1, name
        tiers = [line["tier"] for line in members]
        assert len(tiers) == len(set(tiers)), name
        words = [set(words_of_a_person(line).split()) for line in members]
        others = max(len(said.difference(words[0].intersection(*words))) for said in words)
        assert others <= 4, f"{name} differs in more than the name of the code"


def test_workspaces_exist_and_are_of_one_language_each(split: str, lines: Lines) -> None:
    assert not blamed(lines, lambda line: line["workspace"] is None or folder(split, line).is_dir())
    languages = set()
    for place in sorted(workspaces(split).iterdir()):
        found = {GRAMMARS[path.suffix] for path in place.rglob("*") if path.suffix in GRAMMARS}
        assert len(found - {"tsx"}) == 1, place.name
        languages |= found
    assert languages >= set(GRAMMARS.values()) - {"tsx"}


def test_code_of_the_workspaces_parses(split: str) -> None:
    broken = [
        path.relative_to(ROOT).as_posix()
        for path in sorted(workspaces(split).rglob("*"))
        if path.suffix in GRAMMARS and grammar.parse(GRAMMARS[path.suffix], path.read_bytes()).has_error
    ]
    assert not broken


_PATH = re.compile(r"[\w./\\-]+\.(?:py|tsx?|rs|go|java|cs)\b")


def test_files_that_are_named_exist(split: str, lines: Lines) -> None:
    def good(line: Line) -> bool:
        if line["workspace"] is None or "path" not in line["tags"] or split in LOOSE:
            return True
        there = [path.relative_to(folder(split, line)).as_posix() for path in folder(split, line).rglob("*")]
        named = [name.replace("\\", "/").lstrip("./") for name in _PATH.findall(texts(line))]
        return any(("/" + path).endswith("/" + name.split("}/")[-1]) for path in there for name in named)

    assert not blamed(lines, good)


def test_symbols_that_are_named_exist(split: str, lines: Lines) -> None:
    code: dict[str, set[str]] = {}
    for place in workspaces(split).iterdir():
        files = [path for path in place.rglob("*") if path.suffix in GRAMMARS]
        code[place.name] = {word for path in files for word in re.findall(r"\w+", path.read_text("utf-8"))}

    def good(line: Line) -> bool:
        if line["workspace"] is None or "symbol" not in line["tags"]:
            return True
        said = set(re.findall(r"[A-Za-z_]\w{2,}", words_of_a_person(line)))
        return bool(said & code[line["workspace"]])

    assert not blamed(lines, good)


def test_files_that_tools_read_are_as_in_the_workspace(split: str, lines: Lines) -> None:
    """What a conversation says that a file holds is what the index will find in it."""

    def good(line: Line) -> bool:
        if line["workspace"] is None or "by_result" not in line["tags"] or split in LOOSE:
            return True
        results = [str(block["content"]) for _, block in blocks(line) if block["type"] == "tool_result"]
        sources = [path for path in folder(split, line).rglob("*") if path.suffix in GRAMMARS]
        return any(
            sum(len(row) > 20 and row in result for row in path.read_text("utf-8").splitlines()) >= 2
            for result in results
            for path in sources
        )

    assert not blamed(lines, good)


LEAST = {
    "tune": {
        "side": 25,
        "trap": 40,
        "tool_results": 20,
        "multi_turn": 20,
        "path": 30,
        "symbol": 30,
        "no_code": 15,
    },
    "test": {"side": 10, "trap": 15, "tool_results": 5, "multi_turn": 5},
}


@pytest.mark.parametrize("split", [split for split in SPLITS if split in LEAST])
def test_every_kind_is_there_often_enough(split: str) -> None:
    lines = lines_of(split)
    for tag, least in LEAST[split].items():
        assert sum(tag in line["tags"] for line in lines) >= least, tag
    for tier in TIERS:
        assert sum(line["tier"] == tier for line in lines) >= len(lines) * 0.15, tier
    abroad = [line["human_language"] for line in lines if line["human_language"] != "en"]
    assert len(set(abroad)) >= 7
    assert 0.1 <= len(abroad) / len(lines) <= 0.3
    assert len({line["pair"] for line in lines} - {None}) >= (24 if split == "tune" else 12)
    assert {line["shape"] for line in lines} >= {"bare", "claude_code", "codex"}
    assert len(lines) >= (220 if split == "tune" else 100)


@pytest.mark.parametrize("path", sorted((ROOT / "envelopes").glob("*.json")), ids=lambda path: path.stem)
def test_envelopes_can_wrap_any_ask(path: Path) -> None:
    envelope = json.loads(path.read_text("utf-8"))
    assert set(envelope) == {"shape", "system", "before", "ask", "after", "tools"}
    assert envelope["shape"] == path.stem
    assert envelope["ask"].count("{ask}") == 1
    whole = "\n".join([envelope["system"], *envelope["before"], *envelope["after"]])
    assert "{workspace}" in whole
    assert len(envelope["tools"]) >= 5
    for tool in envelope["tools"]:
        assert set(tool) == {"name", "description", "input_schema"}
