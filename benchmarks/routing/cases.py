"""The labelled requests of a split, as requests of clients: bare, or in the envelope of a harness."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.anthropic import AnthropicClient
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.tiers import Tier

DATA = Path(__file__).parent / "data"
SHAPES = ("bare", "claude_code", "codex", "openhands", "opencode")
Shape = Literal["bare", "claude_code", "codex", "openhands", "opencode"]

MANY_TOOLS = 60

_SHARED = {"validate": "tune"}
"""Splits about the workspaces of another one."""


class Case(Struct, frozen=True):
    """One labelled request, see data/README.md."""

    id: str
    shape: Shape
    human_language: str
    tier: Tier
    acceptable: tuple[Tier, ...]
    tags: tuple[str, ...]
    why: str
    workspace: str | None = None
    ask: str | None = None
    messages: tuple[dict[str, Any], ...] | None = None
    system: str | None = None
    max_tokens: int | None = None
    pair: str | None = None

    @property
    def side(self) -> bool:
        """Whether a harness asks for itself."""
        return "side" in self.tags

    def folder(self, split: str) -> Path | None:
        """The folder of its workspace, None without one."""
        return DATA / "workspaces" / _SHARED.get(split, split) / self.workspace if self.workspace else None


class Envelope(Struct, frozen=True):
    """What a harness puts around a request."""

    shape: Shape
    system: str
    before: tuple[str, ...]
    ask: str
    after: tuple[str, ...]
    tools: tuple[dict[str, Any], ...]


def load(split: str) -> tuple[Case, ...]:
    """All cases of a split.

    Raises:
        FileNotFoundError: the split is not there.
        msgspec.ValidationError: a line has not the documented form.
    """
    return read_cases(DATA / split / "requests.jsonl")


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a file, one in a line. Raises as `load`."""
    with path.open("rb") as lines:
        return tuple(msgspec.json.decode(line, type=Case) for line in lines if line.strip())


def envelopes() -> dict[str, Envelope]:
    """The envelopes by shape."""
    return {
        path.stem: msgspec.json.decode(path.read_bytes(), type=Envelope)
        for path in sorted((DATA / "envelopes").glob("*.json"))
    }


def request_of(case: Case, split: str, envelope: Envelope | None, *, tools: int = 0) -> Request:
    """A case as a client sends it.

    Args:
        case: the case; side requests bring their own system prompt and are never wrapped.
        split: where its workspace is.
        envelope: what is put around it, None for nothing.
        tools: pad the tools of the envelope to so many.
    """
    folder = str(case.folder(split) or "/home/dev/empty")
    turns = list(case.messages or ({"role": "user", "content": case.ask},))
    body: dict[str, Any] = {"model": "auto-route", "max_tokens": case.max_tokens or 8192}
    if case.side:
        body["system"] = case.system or ""
    elif envelope is not None:
        body["system"] = envelope.system
        body["tools"] = list(_padded(envelope.tools, tools))
        asked = [number for number, turn in enumerate(turns) if turn["role"] == "user"]
        for number in asked:
            blocks = list(_dressed(turns[number]["content"], envelope))
            if number == asked[0]:
                blocks = [*_texts(envelope.before), *blocks]
            if number == asked[-1]:
                blocks += _texts(envelope.after)
            turns[number] = {"role": "user", "content": blocks}
    body["messages"] = turns
    text = json.dumps(body, ensure_ascii=False).replace("{workspace}", json.dumps(folder)[1:-1])
    return AnthropicClient().decode_request(text.encode())


def _dressed(content: Any, envelope: Envelope) -> Iterator[dict[str, Any]]:
    for block in _texts((content,)) if isinstance(content, str) else content:
        if block["type"] == "text":
            yield {**block, "text": envelope.ask.replace("{ask}", block["text"])}
        else:
            yield block


def _texts(texts: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text} for text in texts]


def _padded(tools: tuple[dict[str, Any], ...], count: int) -> Iterator[dict[str, Any]]:
    yield from tools
    for number in range(len(tools), count):
        tool = tools[number % len(tools)]
        yield {**tool, "name": f"mcp__server{number}__{tool['name']}"}


def rank_range(case: Case) -> tuple[int, int]:
    """The ranks of the lowest and the highest acceptable tier."""
    ranks = [tier.rank for tier in case.acceptable]
    return min(ranks), max(ranks)
