"""A client's own body with text put before what a person wrote; all else stays as the client has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lynkr_desktop.engine.wire.canonical import Json
from lynkr_desktop.engine.wire.codec import TURNS, Dialect
from lynkr_desktop.engine.wire.fields import NOT_JSON, encode_json


def inserted_body(body: bytes, dialect: Dialect, places: Sequence[tuple[str, str]]) -> bytes | None:
    """The body with some texts more, None where it has no place for one of them.

    Args:
        body: the client's bytes.
        dialect: their protocol.
        places: texts that stand in turns of the user, one of each turn, in their order, each with what is to
            be put before it; empty for nothing. It becomes a part of its own where the protocol has parts.
    """
    field = TURNS.get(dialect)
    if field is None:
        return None
    try:
        fields: Json = msgspec.json.decode(body)
    except NOT_JSON:
        return None
    turns = fields.get(field)
    waiting = list(reversed(places))
    if isinstance(turns, str):
        if len(waiting) != 1 or waiting[0][0] != turns:
            return None
        fields[field] = _joined(waiting.pop()[1], turns)
    elif isinstance(turns, list):
        for turn in turns:
            if waiting and isinstance(turn, dict) and turn.get("role") == "user":
                _put(turn, dialect, waiting)
    return None if waiting else encode_json(fields)


def _put(turn: Json, dialect: Dialect, waiting: list[tuple[str, str]]) -> None:
    content: Any = turn.get("content")
    text, added = waiting[-1]
    if isinstance(content, str):
        if content != text:
            return
        if added and dialect == "anthropic_messages":
            turn["content"] = [_part(added, dialect), {"type": "text", "text": text}]
        else:
            turn["content"] = _joined(added, text)
        waiting.pop()
    elif isinstance(content, list):
        at = next(
            (
                place
                for place, part in enumerate(content)
                if isinstance(part, dict) and part.get("text") == text
            ),
            None,
        )
        if at is None:
            return
        if added:
            content.insert(at, _part(added, dialect))
        waiting.pop()


def _part(text: str, dialect: Dialect) -> Json:
    return {"type": "input_text" if dialect == "openai_responses" else "text", "text": text}


def _joined(added: str, text: str) -> str:
    """Where a turn is one text: many servers know no parts."""
    return f"{added}\n\n{text}" if added else text
