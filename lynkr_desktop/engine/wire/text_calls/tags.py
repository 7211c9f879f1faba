"""Calls in tags, like XML: Qwen3-Coder, GLM, MiniMax, DeepSeek V3.2 and the Hermes models."""

from __future__ import annotations

import re
from typing import Any

from lynkr_desktop.engine.wire.text_calls.json_calls import JsonCalls
from lynkr_desktop.engine.wire.text_calls.parts import NAME, called, close, json_object, unclosed
from lynkr_desktop.engine.wire.text_calls.reader import Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools, encoded

_ATTRIBUTES = re.compile(r"[^<>]*")

# ---------------------------------------------------------------- JSON between marks


def json_between(
    closing: str, reader: Reader, tools: OfferedTools, *, strict: bool = False
) -> Step[list[Call]]:
    """`<mark>{"name": ..., "arguments": {...}}</mark>`, also with an array or several objects."""
    calls = yield from JsonCalls(reader, tools, strict=strict).read()
    yield from close(reader, closing)
    return calls


# ---------------------------------------------------------------- <tool_call>


def tool_call_tag(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<tool_call>` of Hermes and Qwen (JSON), Qwen3-Coder (`<function=...>`) and GLM (`<arg_key>`)."""
    first = yield from reader.space()
    if first in ("{", "["):
        return (yield from json_between("</tool_call>", reader, tools))
    if first != "<":
        return [(yield from _glm(reader, tools))]
    calls: list[Call] = []
    if (yield from reader.accept("<function>")):
        calls.append((yield from _named_in_tag(reader, tools)))
    while (yield from reader.accept("<function=")):
        calls.append((yield from _function(reader, tools)))
        yield from reader.space()
    if not calls:
        raise Mismatch
    yield from close(reader, "</tool_call>")
    return calls


def _named_in_tag(reader: Reader, tools: OfferedTools) -> Step[Call]:
    """`NAME</function> {...}`, as models write it that mix the two."""
    yield from reader.space()
    name = yield from called(reader, tools)
    yield from reader.space()
    yield from reader.expect("</function>")
    return Call(name, (yield from json_object(reader)))


def _glm(reader: Reader, tools: OfferedTools) -> Step[Call]:
    """`NAME <arg_key>k</arg_key> <arg_value>v</arg_value> ... </tool_call>`."""
    name = yield from called(reader, tools)
    arguments: dict[str, Any] = {}
    yield from reader.space()
    while (yield from reader.accept("<arg_key>")):
        key = (yield from reader.until("</arg_key>")).strip()
        yield from reader.space()
        yield from reader.expect("<arg_value>")
        text = yield from reader.until("</arg_value>")
        arguments[key] = tools.typed(name, key, text)
        yield from reader.space()
    if not (arguments and (yield from unclosed(reader))):
        yield from reader.expect("</tool_call>")
    return Call(name, encoded(arguments))


# ---------------------------------------------------------------- <function=NAME>


def function_tag(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<function=NAME>` with JSON (Llama 3.1) or `<parameter=...>` (Qwen3-Coder without its outer mark)."""
    call = yield from _function(reader, tools)
    yield from close(reader, "</tool_call>")
    return [call]


def _function(reader: Reader, tools: OfferedTools) -> Step[Call]:
    name = yield from called(reader, tools)
    yield from reader.expect(">")
    if (yield from reader.space()) == "{":
        text = yield from json_object(reader)
        yield from close(reader, "</function>")
        return Call(name, text)
    arguments: dict[str, Any] = {}
    while (yield from reader.accept("<parameter=")):
        key = (yield from reader.word(NAME)).strip()
        yield from reader.expect(">")
        text = yield from reader.until("</parameter>")
        arguments[key] = tools.typed(name, key, _without_frame(text))
        yield from reader.space()
    if not (arguments and (yield from unclosed(reader))):
        yield from reader.expect("</function>")
    return Call(name, encoded(arguments))


def _without_frame(text: str) -> str:
    """Without the line break after the opening mark and the one before the closing mark."""
    return text.removeprefix("\n").removesuffix("\n")


# ---------------------------------------------------------------- <invoke name="NAME">

_NAME_ATTRIBUTE = re.compile(r"""\s*name\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s"'=]+))""")
_IS_STRING = re.compile(r"""\bstring\s*=\s*["']?true""")


def invokes(prefix: str, closing: str, reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<function_calls><invoke name=...><parameter name=...>` of MiniMax, DeepSeek V3.2 and others.

    Args:
        prefix: what stands in these marks before their names, as DeepSeek has it.
        closing: the mark at the end of all.
    """
    calls: list[Call] = []
    yield from reader.space()
    while (yield from reader.accept(f"<{prefix}invoke")):
        calls += yield from invoke(prefix, reader, tools)
        yield from reader.space()
    if not calls:
        raise Mismatch
    yield from reader.accept(closing)
    return calls


def invoke(prefix: str, reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """One `<invoke name="NAME">` with parameters or a JSON object."""
    name = tools.check(_attribute((yield from reader.word(_ATTRIBUTES, 256))))
    yield from reader.expect(">")
    closing = f"</{prefix}invoke>"
    if (yield from reader.space()) == "{":
        text = yield from json_object(reader)
        yield from close(reader, closing)
        return [Call(name, text)]
    arguments: dict[str, Any] = {}
    while (yield from reader.accept(f"<{prefix}parameter")):
        attributes = yield from reader.word(_ATTRIBUTES, 256)
        yield from reader.expect(">")
        key = _attribute(attributes)
        text = _without_frame((yield from reader.until(f"</{prefix}parameter>")))
        arguments[key] = text if _IS_STRING.search(attributes) else tools.typed(name, key, text)
        yield from reader.space()
    if not (arguments and (yield from unclosed(reader))):
        yield from reader.expect(closing)
    return [Call(name, encoded(arguments))]


def _attribute(attributes: str) -> str:
    found = _NAME_ATTRIBUTE.match(attributes)
    if not found:
        raise Mismatch
    return found[1] or found[2] or found[3]
