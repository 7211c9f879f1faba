"""Tokens of texts and requests: exact BPE counts of OpenAI's tables, near enough for other vendors."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from bpe_openai import Encoding

_TABLE = "o200k_base"
_REMEMBERED = 50_000
_SHORT = 40
"""Characters of a text that is counted sooner than looked up."""

_PIECE = 200_000
"""Characters that are counted at once."""

_TURN, _IMAGE = 4, 1_000
"""What a turn costs beside its text, and about what an image does."""

_known: OrderedDict[int, int] = OrderedDict()


def count(text: str) -> int:
    """Tokens of a text. Those of longer texts are remembered: each turn repeats all that stood before."""
    if len(text) <= _SHORT:
        return _counted(text)
    key = hash(text)
    if (known := _known.get(key)) is not None:
        return known
    tokens = sum(_counted(text[start : start + _PIECE]) for start in range(0, len(text), _PIECE))
    _known[key] = tokens
    while len(_known) > _REMEMBERED:
        _known.popitem(last=False)
    return tokens


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


def _counted(text: str) -> int:
    try:
        return len(_table().encode_ordinary(text))
    except (ValueError, UnicodeError):  # lone surrogates, and what the library takes for an attack
        return len(text) // 4 + 1


@cache
def _table() -> Encoding:
    import bpe_openai  # a tenth of a second, and only where prompts are shortened

    return bpe_openai.get_encoding(_TABLE)
