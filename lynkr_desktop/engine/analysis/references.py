"""What a source file names of other code: calls, and types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from lynkr_desktop.engine.analysis.facts import Reference
from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec
from lynkr_desktop.engine.analysis.outline import Outline, decode

UNKNOWN = "?"
"""The qualifier of a call on what is no dotted name, as in `make().run()`."""

_LONGEST_NAME = 200
"""Bytes of a dotted name; of what is longer only the end is read. Bounds the work on chains of calls."""

_DOTTED = re.compile(r"#?[\w$]+(?:(?:\.|::)#?[\w$]+)*")
_TYPE = re.compile(r"[^\W\d][\w$]*(?:(?:\.|::)[^\W\d][\w$]*)*")
_TYPE_ARGUMENTS = re.compile(r"(?:::)?<[^<>]*>")
_LAST = re.compile(r"(.*?)(\??\.|::|->)?\s*(#?[\w$]+)$", re.DOTALL)
_OBJECT_BACKWARDS = re.compile(rb"\s*(\.\s*[\w$\x80-\xff]+\s*)+(?![\w$.)\]}>\"'`\x80-\xff])")


def find_references(outline: Outline, spec: LanguageSpec) -> Iterator[Reference]:
    """Each call and each named type once per function, in the order of their names."""
    source, function_at = outline.source, outline.function_at
    seen: dict[tuple[bytes, int], None] = {}
    for node in outline.found.get("call", ()):
        start, end = node.start_byte, node.end_byte
        text = source[start:end] if end - start <= _LONGEST_NAME else b"?." + source[end - 100 : end]
        seen[text, function_at(start)] = None
    beside = [node.child_by_field_name("name") for node in outline.found.get("call.named", ())]
    for node in filter(None, [*outline.found.get("call.name", ()), *beside]):
        start = node.start_byte
        seen[_object_before(source, start) + outline.text(node), function_at(start)] = None
    for token in outline.tokens:
        if token.kind == "call" and token.end - token.start <= _LONGEST_NAME:
            seen[source[token.start : token.end], function_at(token.start)] = None
    called = dict.fromkeys((*_split(text), function) for text, function in seen)
    declared = {span.name_start for span in outline.spans if span.kind == "class"}
    declared.update(node.start_byte for node in outline.found.get("define", ()))
    read = 0
    for node in sorted(outline.found.get("type", ()), key=lambda node: (node.start_byte, -node.end_byte)):
        start, end = node.start_byte, node.end_byte
        if end > read and start not in declared:  # types nest; the outermost has all names
            read = end
            function = function_at(start)
            for name in _TYPE.findall(decode(source[start:end])):
                if name not in spec.ignored_types:
                    called[(*_split(name.encode()), function)] = None
    for name, qualifier, function in sorted(called):
        if name:
            yield Reference(name, qualifier, function)


def _object_before(source: bytes, start: int) -> bytes:
    """`a.b.` where that stands before a name, `?.` where it is no dotted name, nothing without a dot."""
    before = source[max(0, start - _LONGEST_NAME) : start].rstrip()
    if not before.endswith(b"."):
        return b""
    match = _OBJECT_BACKWARDS.match(before[::-1])
    return match[0][::-1] if match else b"?."


@lru_cache(maxsize=8192)  # most calls of a project are of few names
def _split(text: bytes) -> tuple[str, str]:
    """`a.b.c` -> ("c", "a.b"), with UNKNOWN for what is no dotted name; both empty where there is no name."""
    name = decode(text)
    if name.isidentifier():
        return name, ""
    before, _, last = name.rpartition(".")
    if last.isidentifier() and before.replace(".", "").isidentifier():
        return last, before
    name = "".join(name.split())
    while "<" in name and (plain := _TYPE_ARGUMENTS.sub("", name)) != name:
        name = plain
    match = _LAST.match(name)
    if match is None:
        return "", ""
    before, separator, last = match.groups()
    if not separator:
        return last, UNKNOWN if before else ""
    return last, before if _DOTTED.fullmatch(before) else UNKNOWN
