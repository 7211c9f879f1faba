"""JSON Schema as structured outputs of Claude take it.

Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
"""

from __future__ import annotations

from typing import Any

from lynkr_desktop.engine.wire.canonical import Json
from lynkr_desktop.engine.wire.errors import InvalidRequest
from lynkr_desktop.engine.wire.fields import MAX_DEPTH_MESSAGE, encode_json

_KEPT = frozenset(
    {"type", "enum", "const", "title", "description", "default", "required", "$ref", "nullable"}
)
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_OF_SCHEMAS = frozenset({"anyOf", "allOf", "oneOf"})
_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_WITHOUT_WORD = frozenset({"additionalProperties", "$schema", "$id"})
"""What is settled or says nothing of the value."""


def closed_schema(schema: Json) -> tuple[Json, frozenset[str]]:
    """The schema with every object closed, and the keywords that are not enforced any more.

    A keyword that Claude cannot enforce goes into the description, for the model to keep to.
    """
    loosened: set[str] = set()
    try:
        return _closed(schema, loosened), frozenset(loosened)
    except RecursionError as error:
        raise InvalidRequest(MAX_DEPTH_MESSAGE, "response_format") from error


def _closed(schema: Any, loosened: set[str]) -> Any:
    if not isinstance(schema, dict):
        return schema
    out: Json = {}
    told: Json = {}
    for word, value in schema.items():
        if (
            word in _KEPT
            or (word == "format" and isinstance(value, str) and value in _FORMATS)
            or (word == "minItems" and value in (0, 1))
        ):
            out[word] = value
        elif word in _OF_SCHEMAS and isinstance(value, list):
            kept = "anyOf" if word == "oneOf" else word
            out[kept] = [_closed(item, loosened) for item in value]
        elif word in _BY_NAME and isinstance(value, dict):
            out[word] = {name: _closed(inner, loosened) for name, inner in value.items()}
        elif word == "items" and isinstance(value, dict):
            out[word] = _closed(value, loosened)
        elif word not in _WITHOUT_WORD:
            told[word] = value
    kinds = out.get("type")
    if "properties" in out or "object" in (kinds if isinstance(kinds, list) else [kinds]):
        out["additionalProperties"] = False
        if schema.get("additionalProperties") not in (None, False):
            loosened.add("additionalProperties")
    if told:
        loosened.update(told)
        text = ", ".join(f"{word}: {encode_json(value).decode()}" for word, value in told.items())
        out["description"] = f"{out['description']} ({text})" if out.get("description") else text
    return out
