"""Calls between special tokens: Llama, Mistral, GPT-OSS, DeepSeek and Kimi."""

from __future__ import annotations

import re

from lynkr_desktop.engine.wire.text_calls.json_calls import JsonCalls
from lynkr_desktop.engine.wire.text_calls.parts import NAME, called, close, json_object
from lynkr_desktop.engine.wire.text_calls.pythonic import python_calls
from lynkr_desktop.engine.wire.text_calls.reader import Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools

_HEADER = re.compile(r"[^<]*")

# ---------------------------------------------------------------- Llama


def python_tag(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<|python_tag|>` with JSON objects, `;` between them, or with `name.call(key=value)`."""
    if (yield from reader.space()) in ("{", "["):
        return (yield from JsonCalls(reader, tools).read())
    return (yield from python_calls(reader, tools, between=";"))


# ---------------------------------------------------------------- Mistral


def mistral(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`[TOOL_CALLS]` with a JSON array, or with `NAME[CALL_ID]id[ARGS]{...}`."""
    if (yield from reader.space()) in ("{", "["):
        return (yield from JsonCalls(reader, tools).read())
    name = yield from called(reader, tools)
    if (yield from reader.accept("[CALL_ID]")):
        yield from reader.word(NAME)
    yield from reader.accept("[ARGS]")
    return [Call(name, (yield from json_object(reader)))]


# ---------------------------------------------------------------- GPT-OSS

_RECIPIENT = re.compile(r"\bto=(?:functions\.)?([\w.-]+)")


def harmony(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{...}<|call|>`."""
    header = yield from reader.word(_HEADER, 256)
    if (yield from reader.accept("<|channel|>")):
        header += " " + (yield from reader.word(_HEADER, 256))
    found = _RECIPIENT.search(header)
    if not found:
        raise Mismatch
    name = tools.check(found[1])
    if (yield from reader.accept("<|constrain|>")):
        yield from reader.word(_HEADER, 32)
    yield from reader.expect("<|message|>")
    text = yield from json_object(reader)
    yield from close(reader, "<|call|>", "<|end|>")
    return [Call(name, text)]


# ---------------------------------------------------------------- DeepSeek V3, R1, V3.1


class DeepSeek:
    """`<｜tool▁call▁begin｜>...<｜tool▁call▁end｜>`; small models write the marks otherwise."""

    def __init__(self, bar: str, gap: str) -> None:
        def mark(*words: str) -> str:
            return f"<{bar}{gap.join(words)}{bar}>"

        self.calls_begin = mark("tool", "calls", "begin")
        self.calls_end = mark("tool", "calls", "end")
        self.begin = mark("tool", "call", "begin")
        self.end = mark("tool", "call", "end")
        self.sep = mark("tool", "sep")

    def section(self, reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
        """All the calls after the mark that opens them."""
        calls: list[Call] = []
        yield from reader.space()
        while (yield from reader.accept(self.begin)):
            calls.append((yield from self._call(reader, tools)))
            yield from reader.space()
        if not calls:
            raise Mismatch
        yield from reader.accept(self.calls_end)
        return calls

    def single(self, reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
        """A call without the mark that opens all."""
        call = yield from self._call(reader, tools)
        yield from close(reader, self.calls_end)
        return [call]

    def _call(self, reader: Reader, tools: OfferedTools) -> Step[Call]:
        yield from reader.space()
        name = yield from reader.word(NAME)
        yield from reader.space()
        yield from reader.expect(self.sep)
        yield from reader.space()
        if (yield from reader.peek()) != "{":  # V3 and R1 write the kind first: function<sep>NAME
            name = yield from reader.word(NAME)
        tools.check(name)
        yield from reader.space()
        fenced = yield from reader.accept("```json", "```")
        text = yield from json_object(reader)
        if fenced:
            yield from close(reader, "```")
        yield from close(reader, self.end)
        return Call(name, text)


# ---------------------------------------------------------------- Kimi K2

_KIMI_ID = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")


def kimi_section(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<|tool_calls_section_begin|>` and its calls."""
    calls: list[Call] = []
    yield from reader.space()
    while (yield from reader.accept("<|tool_call_begin|>")):
        calls += yield from kimi_call(reader, tools)
        yield from reader.space()
    if not calls:
        raise Mismatch
    return calls


def kimi_call(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`functions.NAME:0<|tool_call_argument_begin|>{...}<|tool_call_end|>`."""
    yield from reader.space()
    found = _KIMI_ID.fullmatch((yield from reader.word(NAME)))
    name = tools.check(found[1] if found else "")
    yield from reader.space()
    yield from reader.expect("<|tool_call_argument_begin|>")
    text = yield from json_object(reader)
    yield from close(reader, "<|tool_call_end|>")
    yield from close(reader, "<|tool_calls_section_end|>")
    return [Call(name, text)]
