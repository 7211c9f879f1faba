"""The marks by which models announce a call in text, and how each goes on.

Read off the chat templates of the models and off the tool parsers of vLLM, SGLang and llama.cpp. Every
reading begins after its mark, takes all the calls that stand there together, and either makes calls of all
of them or raises `Mismatch`. A closing mark may be missing at the end of an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lynkr_desktop.engine.wire.text_calls.json_calls import JsonCalls
from lynkr_desktop.engine.wire.text_calls.parts import close
from lynkr_desktop.engine.wire.text_calls.pythonic import python_statement
from lynkr_desktop.engine.wire.text_calls.reader import Marks, Mismatch, Reader, Step
from lynkr_desktop.engine.wire.text_calls.tags import (
    function_tag,
    invoke,
    invokes,
    json_between,
    tool_call_tag,
)
from lynkr_desktop.engine.wire.text_calls.tokens import (
    DeepSeek,
    harmony,
    kimi_call,
    kimi_section,
    mistral,
    python_tag,
)
from lynkr_desktop.engine.wire.text_calls.tools import Call, OfferedTools

Format = Callable[[Reader, OfferedTools], Step[list[Call]]]

# ---------------------------------------------------------------- without a mark

_FENCES = ("json", "xml", "tool_call", "tool_calls", "tool_code")
_AFTER_INFO = "{[<"


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
            yield from close(reader, "</tool_call>")
        first = yield from reader.space()
    if not reader.last or not calls:
        raise Mismatch
    return calls


def _fence(reader: Reader, tools: OfferedTools) -> Step[list[Call]]:
    yield from reader.expect("```")
    info = yield from reader.accept(*_FENCES)
    following = yield from reader.peek()
    if not (following.isspace() or following in _AFTER_INFO):
        raise Mismatch
    first = yield from reader.space()
    calls: list[Call] = []
    while mark := (yield from reader.take_mark(MARKS)):
        calls += yield from FORMATS[mark](reader, tools)
        yield from reader.space()
    if not calls and info == "tool_code" and first not in ("{", "["):
        calls = [(yield from python_statement(reader, tools))]
    elif not calls:
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
        found[opening] = partial(json_between, closing)
    # Qwen2.5-Coder writes calls into it, and also what it was told of the tools.
    found["<tools>"] = partial(json_between, "</tools>", strict=True)
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
