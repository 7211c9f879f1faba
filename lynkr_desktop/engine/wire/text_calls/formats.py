"""The marks by which models announce a call in text, and how each goes on.

Read off the chat templates of the models and off the tool parsers of vLLM, SGLang and llama.cpp. Every
reading begins after its mark, takes all the calls that stand there together, and either makes calls of all
of them or raises `Mismatch`. A closing mark may be missing at the end of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from lynkr_desktop.engine.wire.text_calls.json_calls import JsonCalls, value
from lynkr_desktop.engine.wire.text_calls.pythonic import python_calls, python_statement
from lynkr_desktop.engine.wire.text_calls.reader import Marks, Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools, encoded, object_text

Format = Callable[[Reader, OfferedTools], Step[list[Call]]]

_NAME = re.compile(r"[^\s<>\[\]{}()\"'`=,;]+")
_HEADER = re.compile(r"[^<]*")
_ATTRIBUTES = re.compile(r"[^<>]*")


def _called(reader: Reader, tools: OfferedTools) -> Step[str]:
    """Takes the name of an offered tool."""
    return tools.check((yield from reader.word(_NAME)))


def _json_object(reader: Reader) -> Step[str]:
    """Takes arguments as one JSON object."""
    if (yield from reader.space()) != "{":
        raise Mismatch
    return object_text((yield from value(reader)))


def _close(reader: Reader, *marks: str) -> Step[None]:
    """Takes a closing mark if there is one."""
    yield from reader.space()
    yield from reader.accept(*marks)


def _unclosed(reader: Reader) -> Step[bool]:
    """Whether the answer ends here by itself, so that a closing mark was merely left out."""
    return not (yield from reader.space()) and reader.clean


# ---------------------------------------------------------------- JSON between marks


def json_between(closing: tuple[str, ...], reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<mark>{"name": ..., "arguments": {...}}</mark>`, also with an array or several objects."""
    calls = yield from JsonCalls(reader, tools).read()
    yield from _close(reader, *closing)
    return calls


# ---------------------------------------------------------------- <tool_call>


def tool_call_tag(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<tool_call>` of Hermes and Qwen (JSON), Qwen3-Coder (`<function=...>`) and GLM (`<arg_key>`)."""
    first = yield from reader.space()
    if first in ("{", "["):
        return (yield from json_between(("</tool_call>",), reader, tools))
    if first != "<":
        return [(yield from _glm(reader, tools))]
    calls: list[Call] = []
    while (yield from reader.comes("<function=")):
        yield from reader.expect("<function=")
        calls.append((yield from _function(reader, tools)))
        yield from reader.space()
    if not calls:
        yield from reader.expect("<function=")
    yield from _close(reader, "</tool_call>")
    return calls


def _glm(reader: Reader, tools: OfferedTools) -> Step[Call]:
    """`NAME <arg_key>k</arg_key> <arg_value>v</arg_value> ... </tool_call>`."""
    name = yield from _called(reader, tools)
    arguments: dict[str, Any] = {}
    yield from reader.space()
    while (yield from reader.accept("<arg_key>")):
        key = (yield from reader.until("</arg_key>")).strip()
        yield from reader.space()
        yield from reader.expect("<arg_value>")
        text = yield from reader.until("</arg_value>")
        arguments[key] = tools.typed(name, key, text)
        yield from reader.space()
    if not (arguments and (yield from _unclosed(reader))):
        yield from reader.expect("</tool_call>")
    return Call(name, encoded(arguments))


# ---------------------------------------------------------------- <function=NAME>


def function_tag(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<function=NAME>` with JSON (Llama 3.1) or `<parameter=...>` (Qwen3-Coder without its outer mark)."""
    call = yield from _function(reader, tools)
    yield from _close(reader, "</tool_call>")
    return [call]


def _function(reader: Reader, tools: OfferedTools) -> Step[Call]:
    name = yield from _called(reader, tools)
    yield from reader.expect(">")
    if (yield from reader.space()) == "{":
        text = yield from _json_object(reader)
        yield from _close(reader, "</function>")
        return Call(name, text)
    arguments: dict[str, Any] = {}
    while (yield from reader.accept("<parameter=")):
        key = (yield from reader.word(_NAME)).strip()
        yield from reader.expect(">")
        text = yield from reader.until("</parameter>")
        arguments[key] = tools.typed(name, key, _without_frame(text))
        yield from reader.space()
    if not (arguments and (yield from _unclosed(reader))):
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
        yield from reader.expect(f"<{prefix}invoke")
    yield from reader.accept(closing)
    return calls


def invoke(prefix: str, reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """One `<invoke name="NAME">` with parameters or a JSON object."""
    name = tools.check(_attribute((yield from reader.word(_ATTRIBUTES, 256))))
    yield from reader.expect(">")
    closing = f"</{prefix}invoke>"
    if (yield from reader.space()) == "{":
        text = yield from _json_object(reader)
        yield from _close(reader, closing)
        return [Call(name, text)]
    arguments: dict[str, Any] = {}
    while (yield from reader.accept(f"<{prefix}parameter")):
        attributes = yield from reader.word(_ATTRIBUTES, 256)
        yield from reader.expect(">")
        key = _attribute(attributes)
        text = _without_frame((yield from reader.until(f"</{prefix}parameter>")))
        arguments[key] = text if _IS_STRING.search(attributes) else tools.typed(name, key, text)
        yield from reader.space()
    if not (arguments and (yield from _unclosed(reader))):
        yield from reader.expect(closing)
    return [Call(name, encoded(arguments))]


def _attribute(attributes: str) -> str:
    found = _NAME_ATTRIBUTE.match(attributes)
    if not found:
        raise Mismatch
    return found[1] or found[2] or found[3]


# ---------------------------------------------------------------- Llama


def python_tag(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`<|python_tag|>` with JSON objects, `;` between them, or with `name.call(key=value)`."""
    if (yield from reader.space()) in ("{", "["):
        calls = yield from JsonCalls(reader, tools).read()
    else:
        calls = yield from python_calls(reader, tools, between=";")
    yield from _close(reader, "<|eom_id|>", "<|eot_id|>")
    return calls


# ---------------------------------------------------------------- Mistral


def mistral(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`[TOOL_CALLS]` with a JSON array, or with `NAME[CALL_ID]id[ARGS]{...}`."""
    if (yield from reader.space()) in ("{", "["):
        return (yield from json_between(("</s>",), reader, tools))
    name = yield from _called(reader, tools)
    if (yield from reader.accept("[CALL_ID]")):
        yield from reader.word(_NAME)
    yield from reader.accept("[ARGS]")
    text = yield from _json_object(reader)
    yield from _close(reader, "</s>")
    return [Call(name, text)]


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
    text = yield from _json_object(reader)
    yield from _close(reader, "<|call|>", "<|end|>")
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
            yield from reader.expect(self.begin)
        yield from reader.accept(self.calls_end)
        return calls

    def single(self, reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
        """A call without the mark that opens all."""
        call = yield from self._call(reader, tools)
        yield from _close(reader, self.calls_end)
        return [call]

    def _call(self, reader: Reader, tools: OfferedTools) -> Step[Call]:
        yield from reader.space()
        name = yield from reader.word(_NAME)
        yield from reader.space()
        yield from reader.expect(self.sep)
        yield from reader.space()
        if (yield from reader.peek()) != "{":  # V3 and R1 write the kind first: function<sep>NAME
            name = yield from reader.word(_NAME)
        tools.check(name)
        yield from reader.space()
        fenced = yield from reader.accept("```json", "```")
        text = yield from _json_object(reader)
        if fenced:
            yield from _close(reader, "```")
        yield from _close(reader, self.end)
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
        yield from reader.expect("<|tool_call_begin|>")
    return calls


def kimi_call(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """`functions.NAME:0<|tool_call_argument_begin|>{...}<|tool_call_end|>`."""
    yield from reader.space()
    found = _KIMI_ID.fullmatch((yield from reader.word(_NAME)))
    name = tools.check(found[1] if found else "")
    yield from reader.space()
    yield from reader.expect("<|tool_call_argument_begin|>")
    text = yield from _json_object(reader)
    yield from _close(reader, "<|tool_call_end|>")
    yield from _close(reader, "<|tool_calls_section_end|>")
    return [Call(name, text)]


# ---------------------------------------------------------------- without a mark

_INFO = re.compile(r"[\w-]*")
_FENCES = frozenset({"", "json", "xml", "tool_call", "tool_calls", "tool_code"})


def whole_answer(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    """Nothing but calls from here to the end: bare JSON, or anything in code fences."""
    calls: list[Call] = []
    first = yield from reader.space()
    if first == "[" and (yield from reader.comes("[TOOL_CALLS]")):
        raise Mismatch
    while first:
        if first == "`":
            calls += yield from _fence(reader, tools)
        else:
            calls += yield from JsonCalls(reader, tools, strict=True).read()
        first = yield from reader.space()
    if not reader.last or not calls:
        raise Mismatch
    return calls


def _fence(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    yield from reader.expect("```")
    info = yield from reader.word(_INFO, 16)
    if info not in _FENCES:
        raise Mismatch
    first = yield from reader.space()
    calls: list[Call] = []
    while mark := (yield from reader.take_mark(MARKS)):
        calls += yield from FORMATS[mark](reader, tools)
        yield from reader.space()
    if calls:
        pass
    elif info == "tool_code" and first not in ("{", "["):
        calls = [(yield from python_statement(reader, tools))]
    else:
        calls = yield from JsonCalls(reader, tools, strict=True).read()
    if (yield from reader.space()) or not reader.clean:
        yield from reader.expect("```")
    return calls


# ---------------------------------------------------------------- all of them


_JSON_BETWEEN = {
    "<tool_calls>": "</tool_calls>",  # Hunyuan, MiniMax M1, Jamba
    "<|tool_call|>": "<|/tool_call|>",  # Phi 4 mini, Granite 3
    "<function_call>": "</function_call>",  # Granite 20B
    "<TOOLCALL>": "</TOOLCALL>",  # Nemotron
}
_DSML = "｜DSML｜"
_DEEPSEEK = (
    DeepSeek("｜", "▁"),
    DeepSeek("｜", "_"),
    DeepSeek("｜", " "),
    DeepSeek("|", "▁"),
)


def _formats() -> dict[str, Format]:
    found: dict[str, Format] = {
        "<tool_call>": tool_call_tag,
        "<function=": function_tag,
        "<|python_tag|>": python_tag,
        "[TOOL_CALLS]": mistral,
        "<|start|>assistant": harmony,
        "<|channel|>": harmony,
        "<|tool_calls_section_begin|>": kimi_section,
        "<|tool_call_begin|>": kimi_call,
        "<minimax:tool_call>": partial(invokes, "", "</minimax:tool_call>"),
    }
    for opening, closing in _JSON_BETWEEN.items():
        found[opening] = partial(json_between, (closing,))
    for prefix in ("", _DSML):
        found[f"<{prefix}invoke "] = partial(invoke, prefix)
        for section in ("function_calls", "tool_calls") if prefix else ("function_calls",):
            found[f"<{prefix}{section}>"] = partial(invokes, prefix, f"</{prefix}{section}>")
    for style in _DEEPSEEK:
        found[style.calls_begin] = style.section
        found[style.begin] = style.single
    return found


FORMATS = _formats()
MARKS = Marks(tuple(FORMATS))
