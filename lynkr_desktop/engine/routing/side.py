"""Requests that a harness makes for itself: titles, topics, suggestions, probes, recaps, summaries.

They are told by how they are made: no tools, a system prompt for nothing else, a schema with one small field,
room for a few tokens. Known phrases help where a harness asks in the middle of a conversation with all its
tools. A person who wants a title asks within the harness's own prompt and tools, and is not meant here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from msgspec import Struct

from lynkr_desktop.engine.routing.words import read_words
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, ToolResult
from lynkr_desktop.protocol.tiers import Tier

_PROBE_TOKENS = 1
_SMALL_TOKENS = 256
_FEW_TOKENS = 64
"""Room for so little that no strong model is needed, whatever is asked."""

_DEDICATED = 7_000
"""Characters of the longest system prompt that is made for one small thing; those of agents are longer."""

_OPENING = 1_500
"""Characters of a prompt in which it says what it wants."""

_CLOSING = 1_000
_BEGINNING = 400

_AS_PROMPTS_BEGIN = re.compile(
    r"your (?:task|job|role) is |you (?!did|said|forgot|should|can|could|missed|broke|have|need|were|just|"
    r"are right|told|wrote|made|still|also|don|didn|removed|changed|added)\w+ "
)
"""How the turn of a user begins that is a system prompt in truth."""

_LONG = ("commit", "compaction")
"""Kinds whose answers are not bounded."""

_WORDS = read_words("side")
_BOUNDED = re.compile("|".join(_WORDS["bounded"]))
_ENCLOSED = re.compile("|".join(_WORDS["enclosed"]))
_NO_TOOLS = re.compile("|".join(_WORDS["no_tools"]))
_FEW_WORDS = re.compile("|".join(_WORDS["few_words"]))
_CHATS = ("chat_history", "### chat history", "### chat")
"""How chat apps put a conversation into a task of their own."""

_SHORT_SYSTEM = 2_500
"""Characters of a system prompt that can be about nothing but the few words that it wants."""


class Side(Struct, frozen=True):
    """A request that no person waits for.

    Attributes:
        kind: title, topic, probe, suggestion, autocomplete, extraction, label, recap, page, commit,
            compaction, or small for what is none of these and wants a few words.
        why: what it asks for and how that is known, in one line.
    """

    kind: str
    why: str

    @property
    def tier(self) -> Tier:
        """SIMPLE; MEDIUM for a compaction, since what it leaves out is lost for all that follows."""
        return Tier.MEDIUM if self.kind == "compaction" else Tier.SIMPLE


class _Kind(Struct, frozen=True):
    name: str
    what: str
    asks: re.Pattern[str]
    begins: tuple[str, ...]
    fields: frozenset[str]


_KINDS = tuple(
    _Kind(
        name,
        words["what"],
        re.compile("|".join(words["asks"])),
        tuple(words["begins"]),
        frozenset(words["fields"]),
    )
    for name, words in _WORDS["kinds"].items()
)
_BY_FIELDS = {field: kind for kind in _KINDS for field in kind.fields}
_BEGINS = tuple(begin for kind in _KINDS for begin in kind.begins)


def side_request(request: Request) -> Side | None:
    """Recognises a request of a harness for itself, None for all others."""
    if not request.messages:
        return None
    newest = request.messages[-1]
    if newest.role != "user" or any(isinstance(block, ToolResult) for block in newest.content):
        return None
    beginning, opening, closing = _ends(newest)
    if request.max_tokens is not None and 0 < request.max_tokens <= _PROBE_TOKENS:
        return Side("probe", "room for one token: a probe")
    if beginning.startswith(_BEGINS):
        kind = next(kind for kind in _KINDS if kind.begins and beginning.startswith(kind.begins))
        return Side(kind.name, f"{kind.what}: known by how it begins")
    asked = f"{opening}\n{closing}"
    if request.tools and request.tool_choice.kind not in ("none", "named"):
        # A branch of a conversation keeps its tools, so that the cached prefix serves, and forbids their use.
        forked = len(request.messages) > 1 and _NO_TOOLS.search(asked)
        if forked and (wanted := _wanted(opening)) is not None:
            return Side(wanted.name, f"{wanted.what}: asked for in a conversation, without tools")
        return None
    return _by_its_making(request, opening, asked)


def _by_its_making(request: Request, opening: str, asked: str) -> Side | None:
    """Recognises a request without tools."""
    fields = _fields(request)
    if fields and fields <= _BY_FIELDS.keys():
        kind = _BY_FIELDS[min(fields, key=lambda name: name in ("title", "subject", "body"))]
        return Side(kind.name, f"{kind.what}: no tools, and an answer of {', '.join(sorted(fields))}")
    small = request.max_tokens is not None and request.max_tokens <= _SMALL_TOKENS
    if request.max_tokens is not None and request.max_tokens <= 16 and len(asked.split()) <= 4:
        return Side("probe", f"no tools, and room for {request.max_tokens} tokens: a probe")
    system = _dedicated(request)
    made_for = system or (opening if _AS_PROMPTS_BEGIN.match(opening) else "")
    by_system = _wanted(made_for[:_OPENING]) if made_for else None
    by_turn = _wanted(opening[:_BEGINNING])
    if by_system is None and by_turn is None:
        return _of_few_words(request, system, asked)
    bounded = small or _BOUNDED.search(f"{system}\n{asked}") is not None
    if by_system is not None and (bounded or by_system.name in _LONG):
        return Side(by_system.name, f"{by_system.what}: no tools, and a system prompt for nothing else")
    if by_turn is not None and (small or ((bounded or by_turn.name in _LONG) and _ENCLOSED.search(asked))):
        return Side(by_turn.name, f"{by_turn.what}: no tools, and a piece of work as its subject")
    return _of_few_words(request, system, asked)


def _of_few_words(request: Request, system: str, asked: str) -> Side | None:
    """A request without tools whose answer is a few words: nothing of weight fits into them."""
    if request.max_tokens is not None and 0 < request.max_tokens <= _FEW_TOKENS:
        return Side("small", f"no tools, and room for {request.max_tokens} tokens")
    if 0 < len(system) <= _SHORT_SYSTEM and (said := _FEW_WORDS.search(system)):
        return Side("small", f"no tools, and a system prompt that wants {said[0].strip()}")
    if asked.startswith("### task") and any(map(asked.__contains__, _CHATS)):
        return Side("small", "no tools, and a chat as the subject of a task")
    return None


@lru_cache(maxsize=256)
def _wanted(opening: str) -> _Kind | None:
    """The kind that is asked for first; what is short by nature is asked for at once."""
    found = [(match.start(), kind) for kind in _KINDS if (match := kind.asks.search(opening))]
    if not found:
        return None
    first = min(found, key=lambda item: item[0])
    # "Summarize the conversation as a title" is a title: the small thing counts, wherever it is named.
    small = [item for item in found if item[1].name != "compaction"]
    if first[1].name == "compaction" and small and small[0][0] - first[0] < 200:
        return small[0][1]
    return first[1]


def _fields(request: Request) -> frozenset[str]:
    """The fields of the answer, by the schema that it must fit or the tool that must be called."""
    schema: dict[str, Any] = {}
    if request.response_format is not None:
        schema = request.response_format.schema
    elif request.tool_choice.kind == "named":
        schema = next(
            (tool.input_schema for tool in request.tools if tool.name == request.tool_choice.name), {}
        )
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not 0 < len(properties) <= 4:
        return frozenset()
    return frozenset(name for name in properties if isinstance(name, str))


def _dedicated(request: Request) -> str:
    """A system prompt that is short enough to be made for one thing, in lower case; else empty."""
    length = sum(len(part.text) for part in request.system)
    if not 0 < length <= _DEDICATED:
        return ""
    # Who the model is said to be comes in parts of their own before what it is to do.
    parts = [part.text for part in request.system if len(part.text) > 90 or len(request.system) == 1]
    return "\n".join(parts or [part.text for part in request.system]).lower()


def _ends(message: Message) -> tuple[str, str, str]:
    """The beginning of the newest text of a turn, its opening and its closing, in lower case."""
    texts = [block.text for block in message.content if isinstance(block, Text) and block.text.strip()]
    if not texts:
        return "", "", ""
    opening = texts[-1].lstrip()[:_OPENING].lower()
    closing = texts[-1][-_CLOSING:].lower() if len(texts[-1]) > _OPENING else ""
    return opening[:_BEGINNING], opening, closing
