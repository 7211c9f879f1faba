"""A prompt as the row of blocks that a provider's cache sees, with exact tokens."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.wire.canonical import Image, Request, Text, ToolResult, ToolUse

Row = tuple[tuple[bytes, int], ...]
"""Digest and tokens of each block, in the order of the prompt: tools, system, turns."""


@cache
def tokens_of(text: str) -> int:
    """Tokens of a text by the o200k table."""
    return tokens.count(text)


def row_of(request: Request) -> Row:
    """The blocks of a prompt. Markers for caches are no part of them: agents move those with each turn."""
    row = [
        _entry(f"tool {tool.name} {tool.description}", msgspec.json.encode(tool.input_schema).decode())
        for tool in request.tools
    ]
    row += [_entry("system", part.text) for part in request.system]
    for message in request.messages:
        for block in message.content:
            match block:
                case Text():
                    row.append(_entry(message.role, block.text))
                case ToolUse():
                    row.append(
                        _entry(f"call {block.name}", msgspec.json.encode(block.input).decode(), block.id)
                    )
                case ToolResult():
                    plain = replace(
                        block, extra={}, content=tuple(replace(part, extra={}) for part in block.content)
                    )
                    row.append(_entry("result", plain.text, msgspec.json.encode(plain).decode()))
                case _:
                    row.append(_entry(message.role, msgspec.json.encode(block).decode()))
    return tuple(row)


def text_of(request: Request) -> list[str]:
    """What the model can read of the turns, block by block."""
    texts: list[str] = []
    for message in request.messages:
        for block in message.content:
            if isinstance(block, Text | ToolResult):
                texts.append(block.text)
            elif isinstance(block, ToolUse):
                texts.append(msgspec.json.encode(block.input).decode())
            elif not isinstance(block, Image):
                texts.append(str(block))
    return texts


def total(row: Row) -> int:
    """Tokens of all blocks."""
    return sum(tokens for _, tokens in row)


def common(one: Row, other: Row) -> int:
    """How many blocks at the beginning are the same."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left[0] != right[0]:
            break
        length += 1
    return length


def _entry(head: str, text: str, rest: str = "") -> tuple[bytes, int]:
    digest = blake2b(f"{head}\0{text}\0{rest}".encode("utf-8", "replace"), digest_size=12).digest()
    return digest, tokens_of(head) + tokens_of(text)
