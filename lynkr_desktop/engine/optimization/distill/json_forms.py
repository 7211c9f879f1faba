"""Smaller forms of JSON that say the same.

Compact JSON is the same text without the blanks between its parts. In the columnar form an array of like
objects is an object with the names of the fields, once, and a row of values per object; fields that are equal
in all objects stand once, too. `decode` makes the values of it again.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any

import msgspec

_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^\s"]+', re.DOTALL)
_BEGIN = re.compile(r"\n[{\[](?=[\n\"{\[ ])")
_MAX_LEAD = 2_000
"""Characters, of headers or a program's words, that may stand before JSON."""

_MIN_ROWS = 3
_ABSENT = "∅"

LEGEND = (
    '[JSON in columnar form: {"columns": names, "rows": values} stands for an array with one object per row; '
    '"same" holds the fields that are equal in all of them'
)
_NESTED_LEGEND = '; a column {"name": [fields]} holds objects, each as the array of its fields'
_ABSENT_LEGEND = f'; "{_ABSENT}" is an absent field'
_LINES_LEGEND = "; the text had one object per line"


_Shape = dict[str, "_Shape"]
"""The fields of nested objects; empty for all other values."""


class _Number(str):
    """A number as it is written, so that no digit is lost."""

    __slots__ = ()


class _NotPlain(Exception):
    """JSON that the columnar form cannot say."""


def start_of(text: str) -> int:
    """Where the JSON of a text begins that may have some lines before it; -1 where there is none."""
    begun = len(text) - len(text.lstrip())
    if text[begun : begun + 1] in ("{", "["):
        return begun
    if not text.rstrip().endswith(("}", "]")):
        return -1
    found = _BEGIN.search(text, 0, _MAX_LEAD)
    return found.start() + 1 if found else -1


def is_json(text: str) -> bool:
    """Whether a text is JSON, maybe behind some lines, or has an object in each line."""
    if (start := start_of(text)) < 0:
        return False
    if compact(text[start:]) is not None:
        return True
    lines = text[start:].strip().split("\n")
    return len(lines) > 1 and all(line.startswith(("{", "[")) and compact(line) is not None for line in lines)


def compact(text: str) -> str | None:
    """JSON without blanks between its parts; None where the text is no JSON object or array."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")) or not stripped.endswith(("}", "]")):
        return None
    try:
        msgspec.json.decode(stripped, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return "".join(_TOKENS.findall(stripped))


def columnar(text: str) -> str | None:
    """The columnar form with a line that explains it; None for what is no JSON, or has no such arrays."""
    stripped = text.strip()
    try:
        if stripped.startswith("{") and "}\n{" in stripped:
            value: Any = [_parse(line) for line in stripped.split("\n") if line.strip()]
            lines = True
        elif stripped.startswith(("{", "[")) and stripped.endswith(("}", "]")):
            value = _parse(stripped)
            lines = False
        else:
            return None
        writer = _Writer()
        written = writer.write(value)
        written.encode()
    except (ValueError, RecursionError, _NotPlain):
        return None
    if not writer.arrays or (lines and not written.startswith('{"columns":')):
        return None
    legend = (
        LEGEND
        + (_NESTED_LEGEND if writer.nested else "")
        + (_ABSENT_LEGEND if writer.absent else "")
        + (_LINES_LEGEND if lines else "")
    )
    return f"{legend}]\n{written}"


def decode(text: str) -> Any:
    """The values that a compact or columnar text stands for."""
    if text.startswith(LEGEND):
        legend, _, text = text.partition("\n")
        return _expand(json.loads(text), _ABSENT_LEGEND in legend)
    return json.loads(text)


def _parse(text: str) -> Any:
    return json.loads(
        text, parse_int=_Number, parse_float=_Number, parse_constant=_refuse, object_pairs_hook=_fields
    )


def _refuse(constant: str) -> Any:
    raise _NotPlain(constant)


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs) or ("rows" in fields and "columns" in fields):
        raise _NotPlain
    return fields


class _Writer:
    def __init__(self) -> None:
        self.arrays = 0
        self.absent = False
        self.nested = False

    def write(self, value: Any) -> str:
        kind = type(value)
        if kind is str:
            if value == _ABSENT:
                raise _NotPlain
            return encode_basestring(value)
        if kind is _Number:
            return str(value)
        if value is None:
            return "null"
        if kind is bool:
            return "true" if value else "false"
        if kind is dict:
            inner = [f"{encode_basestring(name)}:{self.write(item)}" for name, item in value.items()]
            return "{" + ",".join(inner) + "}"
        return self._table(value) or "[" + ",".join([self.write(item) for item in value]) + "]"

    def _table(self, items: list[Any]) -> str | None:
        if len(items) < _MIN_ROWS or any(type(item) is not dict for item in items):
            return None
        names: dict[str, int] = {}
        for item in items:
            for name in item:
                names[name] = names.get(name, 0) + 1
        if not names or sum(names.values()) < 0.7 * len(names) * len(items):
            return None
        first = items[0]
        same = [
            name
            for name, count in names.items()
            if count == len(items)
            and all(item[name] == first[name] for item in items)
            and _same_types([item[name] for item in items])
        ]
        columns = [name for name in names if name not in same]
        if not columns:
            return None
        self.arrays += 1
        shapes = {name: _shape([item[name] for item in items if name in item]) for name in columns}
        self.nested |= any(shapes.values())
        self.absent |= any(names[name] < len(items) for name in columns)
        absent = f'"{_ABSENT}"'
        rows = [
            "["
            + ",".join([self._cell(item[name], shapes[name]) if name in item else absent for name in columns])
            + "]"
            for item in items
        ]
        head = '{"columns":[' + ",".join([_column(name, shapes[name]) for name in columns]) + "]"
        if same:
            inner = [f"{encode_basestring(name)}:{self.write(first[name])}" for name in same]
            head += ',"same":{' + ",".join(inner) + "}"
        return head + ',"rows":[\n' + ",\n".join(rows) + "]}"

    def _cell(self, value: Any, shape: _Shape) -> str:
        if not shape:
            return self.write(value)
        return "[" + ",".join([self._cell(value[name], inner) for name, inner in shape.items()]) + "]"


def _shape(values: list[Any]) -> _Shape:
    """The fields that all values have, in their order, where all are objects with the same fields."""
    first = values[0]
    if type(first) is not dict or not first:
        return {}
    order = list(first)
    if any(type(value) is not dict or list(value) != order for value in values):
        return {}
    return {name: _shape([value[name] for value in values]) for name in order}


def _column(name: str, shape: _Shape) -> str:
    if not shape:
        return encode_basestring(name)
    inner = ",".join([_column(field, below) for field, below in shape.items()])
    return f"{{{encode_basestring(name)}:[{inner}]}}"


def _same_types(values: list[Any]) -> bool:
    """Equal values may still be written differently: True == 1, and "1" as a number equals it as a string."""
    first = values[0]
    if isinstance(first, dict | list):
        return len({repr(value) for value in values}) == 1 and not _has_number(first)
    return all(type(value) is type(first) for value in values)


def _has_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_number, value.values()))
    if isinstance(value, list):
        return any(map(_has_number, value))
    return type(value) is _Number


def _expand(value: Any, absent: bool) -> Any:
    if isinstance(value, list):
        return [_expand(item, absent) for item in value]
    if not isinstance(value, dict):
        return value
    if "columns" not in value or "rows" not in value:
        return {name: _expand(item, absent) for name, item in value.items()}
    same = {name: _expand(item, absent) for name, item in value.get("same", {}).items()}
    return [
        same
        | dict(
            _expand_cell(column, item, absent)
            for column, item in zip(value["columns"], row, strict=True)
            if not (absent and item == _ABSENT)
        )
        for row in value["rows"]
    ]


def _expand_cell(column: Any, item: Any, absent: bool) -> tuple[str, Any]:
    if isinstance(column, str):
        return column, _expand(item, absent)
    ((name, fields),) = column.items()
    cells = zip(fields, item, strict=True)
    return name, dict(_expand_cell(field, cell, absent) for field, cell in cells)
