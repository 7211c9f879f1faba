"""Calls as JSON objects, in the keys that models use for name and arguments."""

from __future__ import annotations

import re

import msgspec

from lynkr_desktop.engine.wire.text_calls.pythonic import python_calls
from lynkr_desktop.engine.wire.text_calls.reader import Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools, object_text

_NAME_KEYS = frozenset({"name", "tool_name", "tool"})
_ARGUMENT_KEYS = frozenset({"arguments", "parameters", "args", "input"})
_LABEL_KEYS = frozenset({"type", "id", "index", "call_id", "tool_call_id", "role", "content"})
"""Keys that say nothing of the call; their values are scalars."""

_FUNCTION_DEPTH = 2
"""tool_calls hold calls, and calls hold a function, which holds no more of either."""

_SPARE_BRACES = 2
"""After `{{`, models close one brace too few or up to two too many."""

_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')
_SCALAR = re.compile(r"[\w.+-]+", re.ASCII)


def value(reader: Reader) -> Step[str]:
    """Takes one JSON value, without judging what is in it; gives its text."""
    first = yield from reader.space()
    if first == '"':
        return (yield from string(reader))
    if first not in ("{", "["):
        scalar = yield from reader.word(_SCALAR)
        if not scalar:
            raise Mismatch
        return scalar
    parts: list[str] = []
    depth = 0
    while True:
        text, char = yield from reader.take_through(_OUTSIDE)
        parts.append(text[: -len(char)])
        if char == '"':
            parts.append('"' + (yield from _string_rest(reader)))
            continue
        parts.append(char)
        depth += 1 if char in "{[" else -1
        if depth == 0:
            return "".join(parts)


def string(reader: Reader) -> Step[str]:
    """Takes a JSON string; gives its text, with the quotes."""
    yield from reader.expect('"')
    return '"' + (yield from _string_rest(reader))


def _string_rest(reader: Reader) -> Step[str]:
    parts: list[str] = []
    while True:
        text, char = yield from reader.take_through(_INSIDE)
        parts.append(text)
        if char == '"':
            return "".join(parts)
        if not (yield from reader.need()):
            raise Mismatch
        parts.append(reader.take(1))


def _word(reader: Reader) -> Step[str]:
    """Takes a JSON string; gives what it says."""
    text = yield from string(reader)
    try:
        return msgspec.json.decode(text, type=str)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Mismatch from error


class JsonCalls:
    """Reads calls as JSON.

    Args:
        strict: nothing but the JSON says that it is a call: it may hold no unknown key, and must hold
            arguments, with those that the tool requires.
    """

    def __init__(self, reader: Reader, tools: OfferedTools, *, strict: bool = False) -> None:
        self._reader = reader
        self._tools = tools
        self._strict = strict

    def read(self) -> Step[list[Call]]:
        """Takes an object or an array of calls, and more of them where they follow one another.

        Where it is strict, an array may also hold calls in Python's syntax, as Llama 3.2 and 4 write them.
        """
        calls: list[Call] = []
        first = yield from self._reader.space()
        while True:
            if first == "{":
                calls += yield from self._object()
            elif first == "[":
                calls += yield from self._array()
            else:
                raise Mismatch
            first = yield from self._reader.space()
            if first == ";":
                self._reader.take(1)
                first = yield from self._reader.space()
            if first != "{":
                return calls

    def _array(self, depth: int = 0) -> Step[list[Call]]:
        reader = self._reader
        yield from reader.expect("[")
        if (yield from reader.space()) != "{" and self._strict:
            calls = yield from python_calls(reader, self._tools, between=",")
            yield from reader.expect("]")
            return calls
        calls = []
        while (yield from reader.space()) == "{":
            calls += yield from self._object(depth)
            if (yield from reader.space()) == ",":
                reader.take(1)
            else:
                break
        if not calls:
            raise Mismatch
        if (yield from reader.peek()) or not reader.clean:
            yield from reader.expect("]")
        return calls

    def _object(self, depth: int = 0) -> Step[list[Call]]:
        """Takes one object; `depth` is that of the OpenAI shape, in which calls hold functions."""
        reader = self._reader
        yield from reader.expect("{")
        doubled = (yield from reader.space()) == "{" and not depth
        if doubled:
            reader.take(1)
            yield from reader.space()
        name, arguments, inner = "", None, list[Call]()
        while (yield from reader.peek()) == '"':
            key = yield from _word(reader)
            yield from reader.space()
            yield from reader.expect(":")
            first = yield from reader.space()
            empty = not (name or inner)
            if (key in _NAME_KEYS or (key == "function" and first == '"')) and empty:
                name = self._tools.check((yield from _word(reader)))
            elif key in _ARGUMENT_KEYS and arguments is None:
                arguments = yield from value(reader)
            elif key == "function" and first == "{" and empty and depth < _FUNCTION_DEPTH:
                inner = yield from self._object(_FUNCTION_DEPTH)
            elif key == "tool_calls" and first == "[" and empty and not depth:
                inner = yield from self._array(depth=1)
            elif not self._strict or (key in _LABEL_KEYS and first not in ("{", "[")):
                yield from value(reader)
            else:
                raise Mismatch
            if (yield from reader.space()) != ",":
                break
            reader.take(1)
            yield from reader.space()
        yield from self._close(doubled, complete=bool(name or inner))
        return inner or [self._call(name, arguments)]

    def _close(self, doubled: bool, *, complete: bool) -> Step[None]:
        """Takes the closing brace. Where the answer or the call's mark ends, a model may have left it out."""
        reader = self._reader
        following = yield from reader.peek()
        left_out = complete and not self._strict and following == "<"
        if left_out or (complete and not following and reader.clean):
            return
        yield from reader.expect("}")
        for _ in range(_SPARE_BRACES if doubled else 0):
            if (yield from reader.space()) == "}":
                reader.take(1)

    def _call(self, name: str, arguments: str | None) -> Call:
        if not name or (self._strict and arguments is None):
            raise Mismatch
        call = Call(name, object_text(arguments or "{}"))
        if self._strict and not self._tools.has_required(call):
            raise Mismatch
        return call
