"""A first complexity score: a sum of named points over what is asked and how it will be worked on.

It looks at the newest thing that a person asked for, never at system prompts, tool schemas or text that a
harness injected, so that the same request scores the same bare and inside an agent's envelope.
"""

from __future__ import annotations

import re
from operator import attrgetter

from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import Message, Request, Text, ToolResult
from lynkr_desktop.protocol.routing import ContributionGroup

_INJECTED = re.compile(
    r"<(system-reminder|environment_context|environment_details|user_instructions|local-command-\w+|command-\w+)\b"
    r"[^>]*>.*?</\1>",
    re.DOTALL,
)
_MAX_TEXT = 20_000
"""Characters of the ask that are looked at; more says nothing new and costs time."""


class Contribution(Struct, frozen=True):
    """One reason for a score. `value` is what was measured, `points` what it adds."""

    name: str
    value: float
    points: float
    reason: str
    group: ContributionGroup = "ask"


class Score(Struct, frozen=True):
    """A complexity in [0, 1] with its reasons, the strongest first."""

    value: float
    contributions: tuple[Contribution, ...]

    @property
    def reason(self) -> str:
        """The strongest reasons in one line."""
        named = ", ".join(item.reason for item in self.contributions[:3])
        return named or "nothing but a short question"


class _Words(Struct, frozen=True):
    """Words to look for. A plain search for how they begin spares most texts the pattern, which is slow."""

    pattern: re.Pattern[str]
    beginnings: tuple[str, ...]

    def stand_in(self, lowered: str) -> bool:
        """Whether one of them stands in the text."""
        return any(map(lowered.__contains__, self.beginnings)) and self.pattern.search(lowered) is not None


class _Signal(Struct, frozen=True):
    name: str
    words: _Words
    points: float
    reason: str


def _words(*stems: str) -> _Words:
    """Words by how they begin, as patterns that begin with plain letters."""
    beginnings = tuple(re.split(r"[^a-z ]", stem, maxsplit=1)[0] for stem in stems)
    return _Words(re.compile(r"\b(?:" + "|".join(stems) + r")"), beginnings)


_SIGNALS = (
    _Signal(
        "edit",
        _words("implement", "add ", "write ", "create ", "build ", "extend ", "convert ", "port "),
        0.10,
        "asks for new code",
    ),
    _Signal(
        "repair",
        _words("fix", "bug", "debug", "fail(?:s|ing|ed|ure)", "crash", "error", "broken", "traceback"),
        0.14,
        "asks to find a fault",
    ),
    _Signal(
        "restructure",
        _words("refactor", "migrat", "redesign", "restructur", "untangle", "decoupl", "rewrite", "split up"),
        0.26,
        "asks to restructure code",
    ),
    _Signal(
        "breadth",
        _words(
            "across",
            "every (?:file|module|caller|endpoint)",
            "whole",
            "entire",
            "all (?:files|modules|callers)",
        ),
        0.14,
        "spans many places",
    ),
    _Signal(
        "risk",
        _words(
            "auth(?!or)",
            "security",
            "encrypt",
            "permission",
            "concurren",
            "deadlock",
            "race condition",
            "thread.?safe",
            "data loss",
            "transaction",
            "payment",
        ),
        0.20,
        "touches something risky",
    ),
    _Signal(
        "reasoning",
        _words(
            "prove",
            "proof",
            "why does",
            "root cause",
            "trade.?offs?",
            "architect",
            "design ",
            "invariant",
            "algorithm",
            "complexity of",
            "formal",
            "consensus",
            "step by step",
        ),
        0.26,
        "asks to reason",
    ),
    _Signal(
        "performance",
        _words("optimi[sz]", "performance", "memory leak", "latency", "throughput", "profil(?:e|ing)"),
        0.14,
        "asks for speed",
    ),
)
_BEGINNINGS = tuple(beginning for signal in _SIGNALS for beginning in signal.words.beginnings)
_PATHS = re.compile(
    r"(?<![\w./\\-])[\w./\\-]+\.(?:py|pyi|ts|tsx|js|jsx|rs|go|java|cs|c|h|cpp|hpp|rb|php|kt|swift|sql)\b"
)
_STEPS = re.compile(r"(?m)^\s*(?:\d+[.)]|[-*])\s+\S")


def score(request: Request) -> Score:
    """Scores a request; deterministic, no I/O, well under a millisecond for usual sizes."""
    text, since = _ask(request)
    found: list[Contribution] = []

    def add(name: str, value: float, points: float, reason: str) -> None:
        found.append(Contribution(name, value, round(points, 4), reason))

    if words := len(text.split()):
        add("length", words, min(0.18, words / 1500), f"{words} word{'s' if words > 1 else ''}")
    lowered = text.lower()
    if any(map(lowered.__contains__, _BEGINNINGS)):
        for signal in _SIGNALS:
            if signal.words.stand_in(lowered):
                add(signal.name, 1, signal.points, signal.reason)
    if "." in text and (files := len(set(_PATHS.findall(text)))):
        add("files", files, min(0.15, 0.05 * files), f"names {files} file{'s' if files > 1 else ''}")
    if code := text.count("```") // 2 + text.count("Traceback (most recent call last)"):
        add("code", code, min(0.10, 0.05 * code), "carries code or a traceback")
    if ("\n" in text or not text[:1].isalpha()) and (steps := len(_STEPS.findall(text))):
        add("steps", steps, min(0.15, 0.03 * steps), f"lists {steps} steps")
    if results := [block for turn in since for block in turn.content if isinstance(block, ToolResult)]:
        add("work", len(results), min(0.08, 0.01 * len(results)), f"{len(results)} tool results so far")
        if failures := sum(result.is_error for result in results):
            add("failures", failures, min(0.20, 0.05 * failures), f"{failures} of them failed")

    total = min(1.0, sum([item.points for item in found]))
    found.sort(key=attrgetter("points"), reverse=True)
    return Score(round(total, 4), tuple(found))


def _ask(request: Request) -> tuple[str, tuple[Message, ...]]:
    """What a person asked last, cleaned, and the turns since then."""
    for position in range(len(request.messages) - 1, -1, -1):
        message = request.messages[position]
        if message.role == "user" and (text := clean_text(message)):
            return text, request.messages[position + 1 :]
    return "", request.messages


def clean_text(message: Message) -> str:
    """The text of a turn without what a harness injected into it."""
    parts: list[str] = []
    room = _MAX_TEXT
    for block in message.content:
        if isinstance(block, Text) and room > 0:
            text = _INJECTED.sub("", block.text) if "<" in block.text else block.text
            parts.append(text[:room])
            room -= len(text)
    return "\n".join(parts).strip()
