"""What a person asked for last, and how far the work on it is.

A conversation holds many turns, most of them results of tools. The score goes by the newest words of a
person; where these only say yes, go on, or that it still fails, by the words that they refer to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from lynkr_desktop.engine.routing.calls import Work
from lynkr_desktop.engine.routing.clean import RESUMED, clean_text
from lynkr_desktop.engine.routing.leaning import leaning
from lynkr_desktop.engine.routing.words import read_words
from lynkr_desktop.engine.wire.canonical import Message, Request, Text

_EARLIER = 4
_EARLIER_TEXT = 2_000
_INTENT = re.compile(r"Primary Request and Intent:?\**\s*(.+?)(?=\n\s*\d+\.\s|\Z)", re.DOTALL)
"""The part of a compacted session's summary that says what the work is."""

_WORDS = read_words("follow_ups")


def _any(kind: str) -> str:
    return "|".join(pattern for patterns in _WORDS[kind].values() for pattern in patterns)


_AGREED = re.compile(rf"(?:{_any('agreed')})(?: (?:{_any('agreed')}))*")
_CONTINUED = re.compile(_any("continued"))
_THANKED = re.compile("|".join(_WORDS["thanked"]))
_FAILED = re.compile(
    r"(?:(?:no|nope|hm+|but|and|sorry|well|argh|ugh|nein|non|nee|nie|нет|いや|不)[,.! ]+){0,2}"
    rf"(?:{_any('failed')})"
)
_CLAUSES = re.compile(
    r"[,.!;:，。、！،]+\s*|\s+(?:and|und|then|please)\s+|\s+-\s+|\s+(?:please|thanks|bitte|thx|merci)$"
)
_FOLLOW_UP_WORDS = 12
"""A follow-up is short. A longer text says itself what it wants."""

_COMPLAINT_WORDS = 60
"""A complaint may bring the error along."""

_LEANS, _FAILS, _MAY_FAIL = 0.5, 0.5, 0.2
"""From here on a turn counts as a follow-up, as a complaint, and as one beside a sure one."""

_LIKELY_ROW = 0.7
"""Two turns in a row that likely complain do so where their likelihoods sum to this."""

_AGAIN = 0.8
"""Who complains again goes on with the same thing, and leans at least this much on what was said."""

_SLIGHT = 0.2
"""A turn that leans less than this on what was said says all of the work itself."""

_PROPOSED = 0.5
"""What the model had proposed says as much of the work as the ask that led to it."""

_PROPOSAL_PART = 300
"""Characters at the ends of what a model said that are read as its proposal."""

_WORK_TURNS = 60
"""Messages before a turn in which failed attempts are looked for."""

_NOTHING_DONE = Work(())

FollowUp = Literal["", "agreed", "continued", "failed"]


class Ask(Struct, frozen=True, kw_only=True):
    """What a person wants, and how far the work on it is.

    Attributes:
        text: what was asked last, cleaned and bounded; empty where nobody asked anything.
        follow_up: whether `text` only agrees to, continues or rejects what was done for an earlier one.
        earlier: asks before it, the newest first.
        proposal: what the model had said just before a follow-up that is no complaint; its beginning and end.
        position: of its message in the request, -1 where nobody asked anything.
        first: the first ask of the conversation; it names a conversation whose client gives no session.
        continuation: whether the newest turn carries tool results and no words of a person.
        tools: how many the client offers; with some of them it can work on its own.
        results: tool results since the ask.
        errors: those that say that something went wrong.
        failures: attempts at it that failed, see `Work`; for a follow-up with those at what it goes on with.
        complaints: how often in a row, up to now, a person said that it still does not work.
        paths: what the model's calls since the ask named, the newest first.
        written: those of them that it changed or created.
    """

    text: str = ""
    follow_up: FollowUp = ""
    earlier: tuple[str, ...] = ()
    proposal: str = ""
    position: int = -1
    first: str = ""
    continuation: bool = False
    tools: int = 0
    results: int = 0
    errors: int = 0
    failures: int = 0
    complaints: int = 0
    paths: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """The texts that say what the work is, the newest first, with how far each does; together 1."""
        if not self.earlier:
            return ((self.text, 1.0),)
        found: list[tuple[str, float]] = []
        rest = 1.0
        text = self.text
        for number, before in enumerate(self.earlier):
            leans = _leans(text)
            if number == 0 and self.complaints > 1:
                leans = max(leans, _AGAIN)
            if leans < _SLIGHT:
                break
            if leans < 1.0:
                found.append((text, rest * (1.0 - leans)))
                rest *= leans
            text = before
        if self.proposal:
            return (*found, (text, rest * (1 - _PROPOSED)), (self.proposal, rest * _PROPOSED))
        return (*found, (text, rest))

    @property
    def leans(self) -> float:
        """How far the newest text leans on earlier ones, 0..1; 0 where there are none."""
        return _leans(self.text) if self.earlier else 0.0

    @property
    def subject(self) -> str:
        """The text that says most of what the work is: of a follow-up, one before it."""
        return max(self.shares, key=lambda share: share[1])[0] if self.earlier else self.text


def read_ask(request: Request) -> Ask:
    """Finds the newest text of a person and what happened since."""
    messages = request.messages
    position, text = _newest(messages, len(messages))
    if position < 0:
        work = Work(messages)
        return Ask(tools=_tools(request), results=work.results, errors=work.errors, failures=work.failures)
    earlier: list[str] = []
    places = [position]
    before = position
    while before > 0 and len(earlier) < _EARLIER:
        before, said = _newest(messages, before)
        if before >= 0:
            earlier.append(said[:_EARLIER_TEXT])
            places.append(before)
    if intent := _intent(messages[position]):
        earlier.append(intent)
    complaints = _complaints((text, *earlier)[: len(earlier)]) if earlier else 0
    kind: FollowUp = "failed" if complaints > 1 else _kind(text, bool(earlier))
    newest = position == len(messages) - 1
    work = _NOTHING_DONE if newest else Work(messages[position + 1 :])
    return Ask(
        text=text,
        follow_up=kind,
        earlier=tuple(earlier),
        proposal=_proposal(messages, position) if kind in ("agreed", "continued") else "",
        position=position,
        first=(text if position == 0 else _first(messages))[:_EARLIER_TEXT],
        continuation=not newest,
        tools=_tools(request),
        results=work.results,
        errors=work.errors,
        failures=work.failures + (_failed_before(messages, places, (text, *earlier)) if kind else 0),
        complaints=complaints,
        paths=work.paths,
        written=work.written,
    )


@lru_cache(maxsize=512)
def follow_up(text: str) -> FollowUp:
    """Whether a text surely only answers, continues or rejects what was done, by phrases that people use."""
    start = text[:600].strip()
    words = len(start.split())
    plain = start.strip(".!,;…。！،").casefold().replace("’", "'")
    if words <= _COMPLAINT_WORDS and len(text) <= 600 and _FAILED.match(plain):
        return "failed"
    if words > _FOLLOW_UP_WORDS or len(text) > 120:
        return ""
    clauses = [part for part in _CLAUSES.split(plain) if part and not _THANKED.fullmatch(part)]
    if not clauses:
        return ""
    kinds = [
        "continued" if _CONTINUED.fullmatch(part) else "agreed" if _AGREED.fullmatch(part) else ""
        for part in clauses
    ]
    if not all(kinds):
        return ""
    return "continued" if "continued" in kinds else "agreed"


def _kind(text: str, inside: bool) -> FollowUp:
    """What a turn does; inside a conversation also by what was learned of how people go on."""
    certain = follow_up(text)
    if not inside:
        return "" if certain == "failed" else certain
    if certain or leaning(text).leans < _LEANS:
        return certain
    return "failed" if _complains(text) >= _FAILS else "continued"


def _complaints(texts: Sequence[str]) -> int:
    """How many turns in a row, up to the newest, complain; once one surely does, likely ones count too."""
    found = [_complains(text) for text in texts]
    row = next((place for place, likely in enumerate(found) if likely < _MAY_FAIL), len(found))
    sure = max(found[:row], default=0.0) >= _FAILS or (row > 1 and sum(found[:2]) >= _LIKELY_ROW)
    return row if sure else 0


def _failed_before(messages: tuple[Message, ...], places: Sequence[int], texts: Sequence[str]) -> int:
    """Attempts that failed before a follow-up, back to the ask that it goes on with.

    What ended well does not count, unless a person says that it did not; then it was one attempt at least.
    """
    failures = 0
    for text, (at, before) in zip(texts, pairwise(places), strict=False):
        complains = _complains(text) >= _FAILS
        if not complains and _leans(text) < _LEANS:
            break
        done = Work(messages[max(before + 1, at - _WORK_TURNS) : at])
        failures += max(complains, done.failures if complains or done.red else 0)
    return failures


def _leans(text: str) -> float:
    return 1.0 if follow_up(text) else leaning(text).leans


def _complains(text: str) -> float:
    return 1.0 if follow_up(text) == "failed" else leaning(text).failed


def _proposal(messages: tuple[Message, ...], position: int) -> str:
    """What the model said just before a turn: a consent is to what stands at its beginning or its end."""
    if position == 0 or messages[position - 1].role != "assistant":
        return ""
    said = "\n".join(
        [block.text for block in messages[position - 1].content if isinstance(block, Text)]
    ).strip()
    short = len(said) <= 2 * _PROPOSAL_PART
    return said if short else f"{said[:_PROPOSAL_PART]}\n{said[-_PROPOSAL_PART:]}"


def _intent(message: Message) -> str:
    """What the work is, by the summary from which a compacted session goes on."""
    for block in message.content:
        if isinstance(block, Text) and RESUMED in block.text[:400]:
            found = _INTENT.search(block.text, 0, 8_000)
            return (found[1] if found else block.text[:_EARLIER_TEXT]).strip()[:_EARLIER_TEXT]
    return ""


# ---------------------------------------------------------------- turns


def _newest(messages: tuple[Message, ...], before: int) -> tuple[int, str]:
    """The newest turn before a position in which a person says something, -1 where there is none."""
    for position in range(before - 1, -1, -1):
        message = messages[position]
        if message.role == "user" and (text := clean_text(message)):
            return position, text
    return -1, ""


def _first(messages: tuple[Message, ...]) -> str:
    return next(
        (text for message in messages if message.role == "user" and (text := clean_text(message))), ""
    )


def _tools(request: Request) -> int:
    return len(request.tools) if request.tool_choice.kind != "none" else 0
