"""What is worth remembering of what was said, found by rules.

Only a person's own words can become a preference, a decision or a fact. Results of tools, fetched pages,
files and quotes never do: whoever wrote those could else have the model told what to do in every later
session. Of a model's words only statements of what was wrong and how it was mended are kept, and none that
asks for anything.
"""

from __future__ import annotations

import re

from msgspec import Struct

from lynkr_desktop.engine.memory import phrases
from lynkr_desktop.engine.memory.terms import is_code, terms_of, without_code
from lynkr_desktop.engine.security.redaction import MASK, redact
from lynkr_desktop.protocol.memory import MemoryKind, MemorySource

LONGEST, SHORTEST = 300, 12
"""Characters of a sentence that is kept."""

_MOST = 8
"""Memories from one turn."""

_OWN_WORDS = 3_000
"""Characters of a turn beyond which most of it is taken to be pasted."""

_ENDS = 600
"""Characters at both ends of such a turn in which a person speaks."""

_ELEMENT = re.compile(r"<([A-Za-z][\w-]{0,40})\b[^<>\n]{0,200}>")
_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?](?!\s|$)[^.!?。！？\n]*)*[.!?。！？]*")
_BULLET = re.compile(r"^\s{0,6}(?:[-*•+]|\d{1,2}[.)])\s+")
_QUOTED = re.compile(r"^\s{0,3}>|^\s{4,}\S|^\t")
_LOG = re.compile(
    r"^\s*(?:\d{4}-\d\d-\d\d|\[?\d\d:\d\d:\d\d|\[?(?:INFO|WARN|WARNING|ERROR|DEBUG|TRACE|FATAL)\b"
    r"|at \S+\(|File \"|Traceback|"
    r"npm ERR|error(?:\[\w+\])?:|E\s{2,}|[+-]{3} |@@ |\$ |>>> |# )"
)
_OPENS_QUOTE = re.compile(r"^\s*[\"“”«「]")
_SPACES = re.compile(r"\s+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_TAG = re.compile(r"</?\s*lynkr-memory[^>]{0,40}>?", re.IGNORECASE)


class Statement(Struct, frozen=True, kw_only=True):
    """A sentence that is worth remembering.

    Attributes:
        topic: what it says something of; a newer one of the same topic takes its place. Empty where that
            cannot be told.
        value: what it says of it, where a choice between things is made.
        instead: what it takes the place of, as it says itself.
    """

    kind: MemoryKind
    text: str
    source: MemorySource
    topic: str = ""
    value: str = ""
    instead: str = ""


def said_by_person(text: str) -> list[Statement]:
    """What to remember of a person's words.

    Args:
        text: of one turn, already without what the harness put into it.
    """
    found: list[Statement] = []
    for sentence in _sentences(own_words(text)):
        kind = _kind_of(sentence)
        if kind is not None and (kept := statement(sentence, kind, "person")) is not None:
            found.append(kept)
        if len(found) == _MOST:
            break
    return found


def said_by_model(text: str) -> list[Statement]:
    """What to remember of a model's words that the person let stand."""
    found: list[Statement] = []
    for sentence in _sentences(own_words(text)):
        mends = phrases.FIX.search(sentence) and specificity(sentence) >= 0.3
        if not mends or phrases.DEMANDS.search(sentence):
            continue
        if (kept := statement(sentence, "fix", "model")) is not None:
            found.append(kept)
        if len(found) == _MOST:
            break
    return found


def statement(sentence: str, kind: MemoryKind, source: MemorySource) -> Statement | None:
    """A sentence as it is kept; None where there is nothing to keep or it must not be kept."""
    text = tidy(sentence)
    if MASK in text and MASK not in sentence:
        return None  # it speaks of a secret
    if not SHORTEST <= len(text) <= LONGEST or phrases.COMMANDS.search(text):
        return None
    topic, value, instead = _about(text, kind)
    return Statement(kind=kind, text=text, source=source, topic=topic, value=value, instead=instead)


def tidy(text: str) -> str:
    """A text on one line, without secrets, invisible characters and what could pass for our own marks."""
    text = _UNSEEN.sub(" ", text[: 4 * LONGEST])
    return _TAG.sub("", _SPACES.sub(" ", redact(text))).strip(" \t-*•")


def specificity(text: str) -> float:
    """How particular a text is, 0..1: by its identifiers, paths and numbers, and by words that say much."""
    words = len(set(terms_of(text)))
    return min(1.0, 0.4 * min(1.0, words / 6) + 0.3 * min(2, is_code(text)))


# ---------------------------------------------------------------- a person's own words


def own_words(text: str) -> str:
    """A text without code, quotes, elements, logs, and what stands behind a line that announces a paste."""
    kept: list[str] = []
    fenced = False
    for line in _without_elements(text[:40_000]).split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
            continue
        if fenced or _QUOTED.match(line) or _LOG.match(line) or _OPENS_QUOTE.match(line):
            kept.append("")
            continue
        if len(line) < 200 and phrases.PASTED.search(line):
            break
        kept.append(line)
    own = "\n".join(kept)
    if len(own) > _OWN_WORDS:
        head, tail = own[:_ENDS], own[-_ENDS:]
        own = f"{head.rpartition(chr(10))[0]}\n{tail.partition(chr(10))[2]}"
    return own


def _without_elements(text: str) -> str:
    kept: list[str] = []
    at = 0
    unclosed: set[str] = set()
    while (found := _ELEMENT.search(text, at)) is not None:
        name = found[1]
        end = -1 if name in unclosed else text.find(f"</{name}>", found.end())
        if end < 0:
            unclosed.add(name)
            kept.append(text[at : found.end()])
            at = found.end()
        else:
            kept.append(text[at : found.start()])
            at = end + len(name) + 3
    kept.append(text[at:])
    return "".join(kept)


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    for line in text.split("\n"):
        line = _BULLET.sub("", line[:4_000])
        for match in _SENTENCE.finditer(line):
            sentence = match[0].strip()
            if SHORTEST <= len(sentence) <= LONGEST or (
                sentence and not sentence.isascii() and len(sentence) > 5
            ):
                found.append(sentence)
            if len(found) == 200:
                return found
    return found


def _kind_of(sentence: str) -> MemoryKind | None:
    if sentence.endswith(("?", "？")):
        return None
    if phrases.PREFERENCE.search(sentence):
        return "preference"
    if phrases.DECISION.search(sentence):
        return "decision"
    if phrases.FIX.search(sentence):
        return "fix" if specificity(sentence) >= 0.3 else None
    if phrases.FACT.match(sentence) and is_code(sentence) and not phrases.PASSING.search(sentence):
        return "fact"
    return None


# ---------------------------------------------------------------- what a statement is about

_CHOICE = re.compile(
    r"\b(?:use|using|prefer|go(?:ing)? with|stick(?:ing)? (?:to|with)|stay(?:ing)? with"
    r"|switch(?:ed)? to|moved? to|"
    r"verwende[nt]?|benutze[nt]?|nutze[nt]?|nehmen|nimm|utilisez?|on part sur|usar|usa|use[ns]?"
    r"|usamos|prefiero|préfère|bevorzuge)\s+"
    r"(?P<value>[^\s,.;]{1,60})",
    re.IGNORECASE,
)
_PURPOSE = re.compile(
    r"\s(?:for|as|when|in|für|als|bei|beim|pour|dans|para|como)\s+(?P<purpose>[^,.;]{2,60})", re.IGNORECASE
)
_INSTEAD = re.compile(
    r"\b(?:instead of|rather than|not|no longer|over|statt|anstatt|anstelle von|au lieu (?:de|d')"
    r"|plutôt que|en lugar de|en vez de|"
    r"em vez de|invece di|from)\s+(?P<other>[^\s,.;:]{1,60})",
    re.IGNORECASE,
)
_EMPTY_VALUES = frozenset(
    [
        "the",
        "a",
        "an",
        "to",
        "in",
        "it",
        "this",
        "that",
        "only",
        "your",
        "our",
        "my",
        "always",
        "never",
        "der",
        "die",
        "das",
        "immer",
        "nie",
        "le",
        "la",
        "les",
        "toujours",
        "jamais",
        "el",
        "los",
        "siempre",
        "nunca",
        "sempre",
    ]
)
_NEGATED = re.compile(
    r"(?:\b(?:don'?t|do not|don’t|never|avoid|stop|nie|niemals|nunca|jamais|no|não|non)\s+(?:\w+\s+)?$)",
    re.IGNORECASE,
)


def _about(text: str, kind: MemoryKind) -> tuple[str, str, str]:
    if kind == "fix":
        return "", "", ""
    if kind == "fact":
        return _topic("fact", without_code(text)), "", ""
    choice = _CHOICE.search(text)
    if choice is None:
        return "", "", ""
    value = choice["value"].strip("`'\"*()").casefold()
    if value in _EMPTY_VALUES or not value[:1].isalnum():
        return "", "", ""
    if _NEGATED.search(text, max(0, choice.start() - 30), choice.start()):
        return "", "", value
    other = _INSTEAD.search(text, choice.end())
    purpose = _PURPOSE.search(text, choice.end())
    topic = _topic("choice", purpose["purpose"]) if purpose is not None else ""
    return topic, value, other["other"].strip("`'\"*()").casefold() if other is not None else ""


def _topic(word: str, text: str) -> str:
    terms = sorted(set(terms_of(text)))[:8]
    return f"{word}: {' '.join(terms)}" if terms else ""
