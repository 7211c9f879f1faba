"""How hard a request is, in 0..1, as a sum of named contributions.

Difficulty is counted in tiers first: what is asked (a learned model), moved by the structure of the code
that it touches, by failures of the work on it, and by risk. The sum is then read as a score in which the
default thresholds are whole tiers, so that every tier can be reached and a tier more or less is the same
step everywhere.

It looks at the words of a person alone, never at system prompts, tool schemas or what harnesses inject, so
the same ask scores the same bare and inside an agent's envelope.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from lynkr_desktop.engine.analysis.index import Touched
from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.engine.routing.features import Features
from lynkr_desktop.engine.routing.leaning import read_features
from lynkr_desktop.engine.routing.mentions import named_in
from lynkr_desktop.engine.routing.model import Model, Reading, shipped
from lynkr_desktop.engine.routing.structure import structure_of
from lynkr_desktop.protocol.routing import ContributionGroup, ContributionRow

_THRESHOLDS = (0.0, 0.35, 0.65, 0.85, 1.0)
"""Scores at which 0, 1, 2, 3 and 4 tiers are full; those of the default configuration."""

_FAILURES = 2
"""Failed attempts, or complaints in a row, that put a tier on; one may be a slip."""

_PROTECTED = re.compile(
    r"(?:^|[/\\_.-])(?:auth|authn|authz|login|security|secrets?|credentials?|crypto|passwords?|permissions?|"
    r"payments?|billing|migrations?|\.env|\.github|terraform|deploy)(?:$|[/\\_.-])",
    re.IGNORECASE,
)
_WRITES = frozenset(("add", "fault", "refactor", "migrate", "speed", "spelled"))
_PROTECTED_EFFECT, _REVIEWED_EFFECT = 0.35, 0.8
_PASSING, _AT_LEAST = 0.4, 0.65
_HEAD = 500
_ABOUT_CODE = frozenset(("explain", "tests", "review", "refactor", "speed"))
_NOT_ABOUT_CODE = frozenset(("define", "lookup", "spelled", "boilerplate", "chat"))
_WHAT_IT_DOES = re.compile(
    r"\bwhat (?:exactly )?(?:does|do) \S.{0,80}? do\b|"
    r"\bhow (?:exactly )?(?:does|do|is) \S.{0,80}? (?:work|function|done)|"
    r"\bwas (?:genau )?(?:macht|tut)\b|\bwie (?:genau )?funktioniert|\bque fait\b|"
    r"\bcomment (?:fonctionne|marche)|\bqu[eé] hace\b|\bc[oó]mo funciona|\bcosa fa\b|\bcome funziona|"
    r"\bo que faz\b|\bwat doet\b|\bhoe werkt|\bco robi\b|\bjak działa|\bчто делает|\bкак работает|"
    r"\bne yapıyor|\bnasıl çalış|何をし|どう動|どのように動|"
    r"做什么|干什么|怎么工作|如何工作|무엇을 하|어떻게 (?:동작|작동)",
    re.IGNORECASE,
)
"""Asks for an explanation of code, where the code that it names is found."""


class Score(Struct, frozen=True):
    """A complexity in [0, 1].

    Attributes:
        value: the complexity.
        contributions: what it is made of, the strongest first; their points sum to it.
        reason: the strongest reasons in one line.
    """

    value: float
    contributions: tuple[ContributionRow, ...]
    reason: str


def score(ask: Ask, touched: Touched | None = None, model: Model | None = None) -> Score:
    """Scores an ask; deterministic, no I/O, well under a millisecond for usual sizes.

    Args:
        ask: what a person wants.
        touched: the code that it names, None where no workspace is known.
        model: the learned part, None for the one that comes with the package.
    """
    model = model or shipped()
    shares, subject = ask.shares, ask.subject
    found, reading, said, alone = _read(subject, model)
    failed = max(ask.failures, ask.complaints)
    if touched is None and len(shares) == 1 and not (failed or ask.errors or ask.results or ask.tools):
        return alone
    tally, fixed = said.copy(), reading.fixed
    if len(shares) > 1:
        own = (reading.level, reading.fixed)
        read = [(share, own if text is subject else _weigh(text, model)) for text, share in shares]
        level = sum([share * of_text for share, (of_text, _) in read])
        fixed = sum([share * of_text for share, (_, of_text) in read])
        reason = _context(ask, subject)
        tally.add("ask", "context", len(shares), level - reading.level, reason)
    structure = structure_of(touched)
    if structure is not None:
        sensitive = _sensitivity(subject, fixed, found.concepts)
        if structure.move < 0 and not named_in(subject) and not named_in(ask.text):
            # That a simple file was read on the way does not make simple what nobody said is about it.
            sensitive *= _PASSING
        for metric in structure.metrics:
            tally.add("code", metric.name, metric.value, sensitive * metric.effect, metric.reason)
    if failed >= _FAILURES:
        tally.add("work", "failures", failed, 1.0, f"{failed} attempts failed")
    elif failed or ask.errors:
        tally.add(
            "work", "failures", max(failed, ask.errors), 0.0, "an error on the way, which may be a slip"
        )
    if ask.results:
        tally.add("work", "results", ask.results, 0.0, f"{ask.results} tool results so far")
    if ask.tools:
        tally.add("work", "tools", ask.tools, 0.0, f"{ask.tools} tools on offer")
    if touched is not None and (effect := _protected(ask, touched, found, fixed)):
        tally.add("risk", "protected path", 1.0, effect, "changes code that guards something")
    return tally.score()


@lru_cache(maxsize=512)
def _read(text: str, model: Model) -> tuple[Features, Reading, _Tally, Score]:
    """What the words say, and the score where they say all there is.

    An ask stays the same over all turns of its task, which may be hundreds.
    """
    found = read_features(text)
    reading = model.read(found)
    tally = _Tally()
    for part in reading.parts:
        tally.add("risk" if part.risk else "ask", part.name, part.value, part.effect, part.reason)
    return found, reading, tally, tally.copy().score()


@lru_cache(maxsize=512)
def _weigh(text: str, model: Model) -> tuple[float, float]:
    """The level of a text that says a part of what the work is, and how far that is fixed."""
    return model.weigh(read_features(text))


def _sensitivity(text: str, fixed: float, concepts: dict[str, str]) -> float:
    """How much of the code's structure counts: all of it up to 0.7, none from 0.85 on.

    Where no known word says that an ask does not depend on code, leaf and tangled code stay a tier apart.
    To explain, test, review or restructure something is as hard as the thing, however the ask is worded.
    """
    if concepts.keys() & _ABOUT_CODE and not concepts.keys() & _NOT_ABOUT_CODE:
        return 1.0
    if _WHAT_IT_DOES.search(text[:_HEAD]):
        return 1.0
    sensitive = 1.0 - min(1.0, max(0.0, (fixed - 0.7) / 0.15))
    return sensitive if concepts.keys() & _NOT_ABOUT_CODE else max(sensitive, _AT_LEAST)


def _protected(ask: Ask, touched: Touched, found: Features, fixed: float) -> float:
    """What it adds, in tiers, that code is changed which guards something, or a change of it is judged."""
    concepts = found.concepts.keys()
    judges = "review" in concepts and found.pasted > 0
    if fixed > 0.5 or not (ask.written or judges or concepts & _WRITES):
        return 0.0
    paths = (*ask.written, *[file.path for file in touched.files])
    if not any(_PROTECTED.search(path) for path in paths):
        return 0.0
    return _REVIEWED_EFFECT if judges else _PROTECTED_EFFECT


class _Tally:
    """Adds up effects in tiers, and says of each what it adds to the score at that place."""

    def __init__(self, level: float = 0.0, items: Sequence[ContributionRow] = ()) -> None:
        self._level = level
        self._value = _value_at(level)
        self._items = [*items]

    def copy(self) -> _Tally:
        """Another one that goes on from here."""
        return _Tally(self._level, self._items)

    def add(self, group: ContributionGroup, name: str, value: float, effect: float, reason: str) -> None:
        before = self._value
        self._level += effect
        self._value = _value_at(self._level)
        self._items.append(ContributionRow(name, value, round(self._value - before, 6), reason, group))

    def score(self) -> Score:
        total, items = self._value, self._items
        value = min(1.0, max(0.0, total))
        if value != total:
            beyond = round(value - total, 6)
            items.append(ContributionRow("limit", total, beyond, "scores lie between 0 and 1"))
        items.sort(key=_strongest)
        named = [item for item in items if item.name not in ("base", "limit", "together")]
        said = ", ".join([item.reason for item in named[:3] if abs(item.points) >= 0.005])
        return Score(round(value, 4), tuple(items), said or "nothing but a short question")


def _context(ask: Ask, subject: str) -> str:
    """What a turn goes on with, in words; where its task is told already, what it says to it."""
    text = ask.text if subject != ask.text else ask.shares[-1][0]
    line = " ".join(text[:80].split())
    short = line if len(line) <= 40 else f"{line[:39]}…"
    return f"goes on with: {short}" if subject == ask.text else f"said to it: {short}"


def _strongest(item: ContributionRow) -> tuple[float, str]:
    return -abs(item.points), item.name


def _value_at(level: float) -> float:
    """The score of a difficulty in tiers; linear between thresholds, and beyond them as in the next tier."""
    place = min(3, max(0, int(level)))
    low, high = _THRESHOLDS[place], _THRESHOLDS[place + 1]
    return low + (level - place) * (high - low)
