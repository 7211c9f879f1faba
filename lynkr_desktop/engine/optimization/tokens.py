"""Tokens of texts and requests: exact BPE counts of OpenAI's tables, near enough for other vendors."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from threading import Lock
from types import ModuleType
from typing import Protocol

import msgspec

from lynkr_desktop.engine.wire.canonical import (
    Block,
    Document,
    Image,
    RedactedThinking,
    Request,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)


class _Table(Protocol):
    """A vocabulary; the part of `bpe_openai._bindings.PyTokenizer` that is used."""

    def count(self, text: str) -> int:
        """Tokens of a text."""


_BINDINGS = "bpe_openai._bindings"
_TABLE = "cl100k_base"
"""With half the tokens of `o200k_base` it takes half its memory, 34 MB. It counts a few percent more, as most
vendors do."""
_REMEMBERED = 50_000
_SHORT = 40
"""Characters of a text that is counted sooner than looked up."""

_PIECE = 16_384
"""Characters that are counted at once, since no other thread runs meanwhile: below a millisecond."""

_LINE = 2_048
"""Characters before the end of a piece in which the beginning of a line is looked for."""

_INDENT = 100
"""Characters at the beginning of a line in which something must stand."""

_TURN, _IMAGE = 4, 1_000
"""What a turn costs beside its text, and about what an image does."""

_known: OrderedDict[int, int] = OrderedDict()
_loading = Lock()
_tables: list[_Table] = []


def count(text: str) -> int:
    """Tokens of a text. Those of longer texts are remembered: each turn repeats all that stood before."""
    if len(text) <= _SHORT:
        return _counted(text)
    key = hash(text)
    if (known := _known.get(key)) is not None:
        return known
    tokens = sum(map(_counted, _pieces(text))) if len(text) > _PIECE else _counted(text)
    _remember(key, tokens)
    return tokens


def take(text: str, *, fewer: int, than: str) -> None:
    """Takes over how many tokens a text has from what it was made of, so that it need not be counted.

    Args:
        text: the new one.
        fewer: tokens that it has fewer, exactly.
        than: what it was made of.
    """
    _remember(hash(text), count(than) - fewer)


def forget() -> None:
    """Forgets all counts, so that what counting takes can be measured."""
    _known.clear()


def of_request(request: Request) -> int:
    """Tokens of a prompt: system, tools and turns, without what a vendor's template adds to them."""
    total = sum(count(part.text) for part in request.system) + sum(map(of_tool, request.tools))
    for message in request.messages:
        total += _TURN + sum(map(of_block, message.content))
    return total


def of_tool(tool: Tool) -> int:
    """Tokens of a tool's name, description and schema."""
    return count(tool.name) + count(tool.description) + count(_json(tool.input_schema))


def of_block(block: Block) -> int:
    """Tokens of one block; images are taken to cost a thousand each."""
    match block:
        case Text():
            return count(block.text)
        case Thinking():
            return count(block.text)
        case RedactedThinking():
            return len(block.data) // 4
        case ToolUse():
            return count(block.name) + count(_json(block.input))
        case ToolResult():
            return sum(map(of_block, block.content))
        case Image():
            return _IMAGE
        case Document():
            return count(block.text) + len(block.data) // 8


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, RecursionError):  # a lone surrogate; nested too deeply
        return str(value)


def _remember(key: int, tokens: int) -> None:
    _known[key] = tokens
    while len(_known) > _REMEMBERED:
        _known.popitem(last=False)


def _counted(text: str) -> int:
    try:
        return (_tables[0] if _tables else _table()).count(text)
    except UnicodeError:  # lone surrogates
        return len(text) // 4 + 1


def _pieces(text: str) -> Iterator[str]:
    """A long text in pieces that have as many tokens together as the whole, where it has lines."""
    start = 0
    while start < len(text):
        end = _cut(text, start) if len(text) - start > _PIECE else len(text)
        yield text[start:end]
        start = end


def _cut(text: str, start: int) -> int:
    """Where the piece from `start` on ends: no token goes beyond a line if the next one says anything."""
    end = start + _PIECE
    floor = end - _LINE
    line = end
    while (line := text.rfind("\n", floor, line)) >= 0:
        following = text[line + 1 : line + _INDENT]
        word = following.lstrip()
        blanks = following[: len(following) - len(word)]
        if word and following[0] != "/" and "\n" not in blanks and "\r" not in blanks:
            return line + 1
    return end


def _table() -> _Table:
    """The vocabulary, read when prompts are first shortened."""
    with _loading:
        if not _tables:
            _tables.append(_bindings().tokenizer_for_encoding(_TABLE))
    return _tables[0]


def _bindings() -> ModuleType:
    """The compiled half of bpe-openai by itself.

    Its other half reads three vocabularies into dictionaries when it is imported, by a function that Python
    gives up: 0.4 s and 75 MB for what the compiled half has and counts by.
    """
    if (known := sys.modules.get(_BINDINGS)) is not None:
        return known
    package = find_spec(_BINDINGS.partition(".")[0])
    found = PathFinder.find_spec(_BINDINGS, package.submodule_search_locations) if package else None
    if found is None or found.loader is None:
        raise ImportError(f"{_BINDINGS} is not installed", name=_BINDINGS)
    module = module_from_spec(found)
    found.loader.exec_module(module)
    sys.modules[_BINDINGS] = module
    return module
