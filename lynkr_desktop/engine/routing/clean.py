"""Text as a person wrote it, without what a harness put around it.

Agents wrap a short wish in tens of kilobytes: reminders, environment blocks, memories, lists of files, the
output of local commands, other people's instructions. None of it says how hard the wish is.
"""

from __future__ import annotations

import re
from functools import lru_cache

from lynkr_desktop.engine.routing.words import read_words
from lynkr_desktop.engine.wire.canonical import Message, Text

_HEAD, _TAIL = 12_000, 6_000
"""Characters that are kept of a longer text's beginning and end: wishes stand before or behind a paste."""

_WORDS = read_words("harness")
_DROPPED = frozenset(_WORDS["dropped"])
_UNWRAPPED = frozenset(_WORDS["unwrapped"])
_THE_ASK: tuple[str, ...] = tuple(_WORDS["the_ask"])
_MESSAGES: tuple[str, ...] = tuple(_WORDS["messages"])
_SUFFIXES: tuple[str, ...] = tuple(_WORDS["suffixes"])
_LINES = re.compile(f"(?m)^(?:{'|'.join(_WORDS['lines'])})[ \\t]*$")
_RESULTS = re.compile("|".join(_WORDS["results"]))
_LINE_MARKS = ("[", "Caveat: ", "# AGENTS", "Called the ", "I've uploaded ")
"""One of these stands in each of those lines; most texts have none."""

_INTRODUCED = "</uploaded_files>"
RESUMED: str = _WORDS["resumed"]
"""How a turn begins with which a session goes on that was compacted."""

_INJECTED = re.compile(
    r"(?:^|[_-])(?:reminder|instructions|environment|system|editor|ide|workspace|hook|hooks|memory|memories)(?:$|[_-])",
    re.IGNORECASE,
)
"""Names, made of several words, by which harnesses that are not known here mark what they put in."""

_TAG = re.compile(r"<([A-Za-z][\w-]{2,40})\b[^<>]{0,300}>")
_CLOSE = re.compile(r"</([A-Za-z][\w-]{2,40})>")


def clean_text(message: Message) -> str:
    """The text of a turn without what a harness put into it; empty where nothing is left. Bounded."""
    texts = [block.text for block in message.content if isinstance(block, Text)]
    parts: list[str] = []
    room = _HEAD + _TAIL + 1
    for number, text in enumerate(texts):
        part = clean(text) if room > 0 else ""
        # OpenHands says where the code is, and then in words of its own that the request follows.
        introduces = part.endswith(":") and number + 1 < len(texts) and _INTRODUCED in text
        if part and not introduces:
            parts.append(part[:room])
            room -= len(part)
    return "\n".join(parts).strip()


def clean(text: str) -> str:
    """One text without what a harness put into it.

    A text that is longer than can be looked at keeps its beginning and its end. Conversations repeat all that
    was said with each turn, so the latest texts are remembered.
    """
    return _remembered(text) if len(text) <= _HEAD + _TAIL else _cleaned(text)


@lru_cache(maxsize=512)
def _remembered(text: str) -> str:
    return _cleaned(text)


def _cleaned(text: str) -> str:
    start = text[:1000].lstrip()
    if start.startswith(_MESSAGES) or is_result(start):
        return _said_in_a_result(text)
    if start.startswith(RESUMED):
        return "continue"
    for tag in _THE_ASK:
        if (at := text.rfind(f"<{tag}>", max(0, len(text) - _HEAD - _TAIL))) >= 0:
            end = text.find(f"</{tag}>", at)
            text = text[at + len(tag) + 2 : end if end >= 0 else None]
    kept = _without_elements(text) if "<" in text else _bounded(text)
    if any(map(kept.__contains__, _LINE_MARKS)):
        kept = _LINES.sub("", kept)
    for suffix in _SUFFIXES:
        if (at := kept.find(suffix)) >= 0:
            kept = kept[:at]
    return kept.strip()


def is_result(text: str) -> bool:
    """Whether a text is the result of a tool, by harnesses whose tools are called in text."""
    return text.startswith(("[", "EXEC", "OBSE")) and _RESULTS.match(text) is not None


def _bounded(text: str) -> str:
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}"


def _without_elements(text: str) -> str:
    """Walks from tag to tag; each element of a harness is jumped over by one search for its end."""
    kept: list[str] = []
    room, position, at = _HEAD, 0, 0
    in_tail = False
    unclosed: set[str] = set()
    while position < len(text):
        found = _TAG.search(text, at, min(len(text), position + room + 400))
        if found is None or found.start() - position > room:
            kept.append(text[position : position + room])
            rest = position + room
            if in_tail or rest >= len(text):
                break
            # The middle of a long text is not looked at. What is cut there may leave the end of an element.
            in_tail, room = True, _TAIL
            position = at = _after_cut_element(text, max(rest, len(text) - _TAIL))
            continue
        name = found[1]
        if name in _UNWRAPPED:
            kept.append(text[position : found.start()])
            room -= found.start() - position
            position = at = found.end()
            continue
        end = text.find(f"</{name}>", found.end()) if name not in unclosed and _injected(name) else -1
        if end < 0:
            unclosed.add(name)
            at = found.end()
            continue
        kept.append(text[position : found.start()])
        room -= found.start() - position
        position = at = end + len(name) + 3
        if name == "uploaded_files":
            line_end = text.find("\n", position + 1, position + 300)
            if line_end >= 0 and text[position:line_end].rstrip().endswith(":"):
                position = at = line_end
    return _CLOSE.sub(_no_close, "".join(kept))


def _after_cut_element(text: str, start: int) -> int:
    """Where the text goes on behind the last element that was opened before `start`."""
    after = start
    for found in _CLOSE.finditer(text, start):
        if _injected(found[1]) and text.find(f"<{found[1]}", start, found.start()) < 0:
            after = found.end()
    return after


def _no_close(found: re.Match[str]) -> str:
    return "" if found[1] in _UNWRAPPED or _injected(found[1]) else found[0]


def _injected(name: str) -> bool:
    return name in _DROPPED or (("_" in name or "-" in name) and _INJECTED.search(name) is not None)


def _said_in_a_result(text: str) -> str:
    """What a person wrote beside a result, for harnesses that give results as text."""
    for tag in ("feedback", "user_message"):
        start = text.find(f"<{tag}>")
        end = text.find(f"</{tag}>", start)
        if 0 <= start < end:
            return text[start + len(tag) + 2 : end].strip()[:_HEAD]
    return ""
