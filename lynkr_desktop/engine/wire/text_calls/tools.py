"""The offered tools, and what a model may hand to them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.wire.canonical import Json, Request, Tool
from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.text_calls.reader import Mismatch


class Call(Struct, frozen=True):
    """A call that was found. `arguments` is the text of a JSON object."""

    name: str
    arguments: str


class OfferedTools:
    """The tools that may be called: those of the request that its tool_choice allows."""

    def __init__(self, request: Request) -> None:
        self._types: dict[tuple[str, str], frozenset[str]] = {}
        choice = request.tool_choice
        self._tools: dict[str, Tool] = {
            tool.name: tool
            for tool in request.tools
            if tool.name and choice.kind != "none" and (choice.kind != "named" or tool.name == choice.name)
        }

    def __bool__(self) -> bool:
        return bool(self._tools)

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def check(self, name: str) -> str:
        """The name, if it is offered. Raises `Mismatch` when it is not."""
        if name not in self._tools:
            raise Mismatch
        return name

    def has_required(self, call: Call) -> bool:
        """Whether a call gives all the arguments that its tool cannot do without."""
        given = msgspec.json.decode(call.arguments)
        required = _list(self._tools[call.name].input_schema, "required")
        return all(key in given for key in required if isinstance(key, str))

    def typed(self, name: str, key: str, text: str) -> Any:
        """An argument that was written without quotes, in the type that the tool's schema gives it.

        A string stays as it is written; other types are read as JSON, and left as text when they are none.
        """
        types = self._types_of(name, key)
        if "string" in types:
            return None if text.strip() == "null" and "null" in types else text
        word = text.strip()
        if word.lower() in ("true", "false", "null"):
            word = word.lower()
        elif word == "None":
            word = "null"
        try:
            return msgspec.json.decode(word)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return text

    def _types_of(self, name: str, key: str) -> frozenset[str]:
        schema = self._tools[name].input_schema
        properties = schema.get("properties")
        if not isinstance(properties, dict) or key not in properties:
            return frozenset()
        if (name, key) not in self._types:
            self._types[name, key] = _types(properties[key], schema)
        return self._types[name, key]


def _types(schema: Any, root: Json) -> frozenset[str]:
    """The JSON types that a schema allows, as far as it names them; references are followed within `root`."""
    types: set[str] = set()
    seen: set[int] = set()
    waiting = [schema]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        named = schema.get("type")
        types.update(
            name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)
        )
        if any(isinstance(value, str) for value in _list(schema, "enum")):
            types.add("string")
        waiting.append(_referred(schema.get("$ref"), root))
        for word in ("anyOf", "oneOf", "allOf"):
            waiting += _list(schema, word)
    return frozenset(types)


def _referred(reference: Any, root: Json) -> Any:
    target: Any = None
    if isinstance(reference, str) and reference.startswith("#/"):
        target = root
        for step in reference[2:].split("/"):
            target = target.get(step) if isinstance(target, dict) else None
    return target


def _list(schema: Json, word: str) -> list[Any]:
    value = schema.get(word)
    return value if isinstance(value, list) else []


# ---------------------------------------------------------------- arguments as JSON

_STRING_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
_CONTROL = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROLS = re.compile(r"[\n\r\t]")
_DOUBLED = re.compile(r"\{\s*(\{.*\})\s*\}", re.DOTALL)


def object_text(text: str) -> str:
    """The text of an arguments object, however it was wrapped: as it is, as a JSON string, or null.

    Raises:
        Mismatch: it is no object, and no safe repair makes it one.
    """
    value = _decode(text)
    if isinstance(value, str):
        text = value if value.strip() else "{}"
        value = _decode(text)
    if value is None:
        return "{}"
    if isinstance(value, dict):
        return text.strip()
    repaired = _repaired(text)
    if isinstance(_decode(repaired), dict):
        return repaired.strip()
    raise Mismatch


def encoded(arguments: Json) -> str:
    """Arguments that were written one by one, as JSON. Raises `Mismatch` when JSON cannot say them."""
    try:
        return encode_json(arguments).decode()
    except (TypeError, ValueError, RecursionError) as error:  # sets, lone surrogates, a tower of lists
        raise Mismatch from error


class _Broken:
    """In the place of a value that could not be decoded."""


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _Broken


def _repaired(text: str) -> str:
    """Mends what can be meant in one way only: line breaks in strings, commas too many, braces doubled."""

    def mend(found: re.Match[str]) -> str:
        if found[0] == ",":
            return ""
        return _CONTROLS.sub(lambda control: _CONTROL[control[0]], found[0])

    text = _STRING_OR_COMMA.sub(mend, text.strip())
    doubled = _DOUBLED.fullmatch(text)
    return doubled[1] if doubled else text
