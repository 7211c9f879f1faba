"""Calls in the syntax of Python: `read_file(path="a.py")`, with literals as arguments."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

import msgspec

from lynkr_desktop.engine.wire.canonical import Json
from lynkr_desktop.engine.wire.text_calls.reader import Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools, encoded

_MAX_LENGTH = 100_000
_NAME = re.compile(r"[\w.-]+")
_OUTSIDE = re.compile(r"""["'()\[\]{}]""")
_INSIDE = {'"': re.compile(r'["\\]'), "'": re.compile(r"['\\]")}


def python_call(reader: Reader, tools: OfferedTools) -> Step[Call]:
    """Takes `name(key=literal, ...)`, or Llama's `name.call(key=literal, ...)`. Nothing is run."""
    name = yield from reader.word(_NAME)
    if name not in tools:
        name = tools.check(name.removesuffix(".call"))
    if (yield from reader.peek()) != "(":
        raise Mismatch
    return Call(name, encoded(_keywords((yield from _parenthesis(reader)))))


def python_calls(reader: Reader, tools: OfferedTools, *, between: str) -> Step[list[Call]]:
    """Takes calls with `between`, a comma or a semicolon, between them."""
    calls = [(yield from python_call(reader, tools))]
    while (yield from reader.space()) == between:
        reader.take(1)
        yield from reader.space()
        calls.append((yield from python_call(reader, tools)))
    return calls


def python_statement(reader: Reader, tools: OfferedTools) -> Step[Call]:
    """Takes a call, or `print` of one, as Gemma writes it."""
    if not (yield from reader.accept("print(")):
        return (yield from python_call(reader, tools))
    yield from reader.space()
    call = yield from python_call(reader, tools)
    yield from reader.space()
    yield from reader.expect(")")
    return call


def _parenthesis(reader: Reader) -> Step[str]:
    parts: list[str] = []
    depth = 0
    while True:
        text, char = yield from reader.take_through(_OUTSIDE)
        parts.append(text)
        if char in _INSIDE:
            while True:
                text, inner = yield from reader.take_through(_INSIDE[char])
                parts.append(text)
                if inner == char:
                    break
                if not (yield from reader.need()):
                    raise Mismatch
                parts.append(reader.take(1))
            continue
        depth += 1 if char in "([{" else -1
        if depth == 0:
            return "".join(parts)


def _keywords(text: str) -> Json:
    if len(text) > _MAX_LENGTH:
        raise Mismatch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse("f" + text, mode="eval").body
        if not isinstance(tree, ast.Call) or tree.args or not isinstance(tree.func, ast.Name):
            raise Mismatch
        found: dict[str, Any] = {}
        for keyword in tree.keywords:
            if keyword.arg is None or keyword.arg in found:
                raise Mismatch
            found[keyword.arg] = ast.literal_eval(keyword.value)
        if msgspec.json.decode(msgspec.json.encode(found)) != found:
            raise Mismatch  # a set, bytes, infinity: JSON would say something else
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise Mismatch from error
    return found
