"""The classes of a source file: their bases, and how well their methods hold together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from lynkr_desktop.engine.analysis.facts import ClassFacts
from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec
from lynkr_desktop.engine.analysis.outline import Outline, decode

_NAME = re.compile(r"#?[\w$]+(?:(?:\.|::)#?[\w$]+)*")


def find_classes(outline: Outline, spec: LanguageSpec) -> Iterator[ClassFacts]:
    """The types of a file with their bases and their cohesion, in the order of the file."""
    types = {span.qualified: span for span in reversed(outline.spans) if span.kind == "class"}
    for span in outline.spans:
        if span.kind == "extension":
            types.setdefault(span.qualified, span)
        elif span.owner:
            types.setdefault(span.owner, span)
    if not types:
        return
    methods: dict[str, list[int]] = defaultdict(list)
    for index, span in enumerate(outline.functions):
        if span.owner:
            methods[span.owner].append(index)
    bases = _bases(outline)
    uses = _uses(outline, spec)
    statics = _without_object(outline, spec)
    for name, span in sorted(types.items(), key=lambda item: (item[1].start, item[0])):
        names = {index: outline.functions[index].name for index in methods[name]}
        left_out = {each for index, each in names.items() if each in spec.constructors or index in statics}
        of_object = {index: each for index, each in names.items() if each not in left_out}
        yield ClassFacts(
            name,
            span.line,
            span.end_line,
            tuple(dict.fromkeys(bases[name])),
            len(methods[name]),
            _lcom4(of_object, uses, left_out),
        )


def _bases(outline: Outline) -> dict[str, list[str]]:
    bases: dict[str, list[str]] = defaultdict(list)
    for kind in ("class", "extension"):
        for node in outline.found.get(f"{kind}.base", ()):
            span = outline.span_at(node.start_byte)
            match = _NAME.match(decode(outline.text(node)))
            if span is not None and match is not None:
                bases[span.qualified].append(match[0])
    return bases


def _uses(outline: Outline, spec: LanguageSpec) -> dict[int, set[str]]:
    """What each method uses of its object: the names of fields and of other methods."""
    method_of = []
    for span in outline.functions:
        outer = span.parent
        if span.owner or outer is None or outer.function < 0:
            method_of.append(span.function if span.owner else -1)
        else:
            method_of.append(method_of[outer.function])
    receivers: dict[int, bytes] = {}
    for node in outline.found.get("receiver", ()):
        receivers.setdefault(outline.function_at(node.start_byte), outline.text(node))
    fixed = spec.receivers
    prefixes = tuple(receiver + b"." for receiver in fixed.union(receivers.values()))
    source, function_at = outline.source, outline.function_at
    uses: dict[int, set[str]] = defaultdict(set)
    members = [(node.start_byte, node.end_byte) for node in outline.found.get("member", ())]
    members += [(token.start, token.end) for token in outline.tokens if token.kind == "member"]
    for start, end in members:
        if source.startswith(prefixes, start):
            function = function_at(start)
            method = method_of[function] if function >= 0 else -1
            receiver, _, name = source[start:end].partition(b".")
            if method >= 0 and (receiver in fixed or receivers.get(method) == receiver):
                uses[method].add(decode(name))
    for method, used in _bare_uses(outline, method_of):
        uses[method].add(used)
    return uses


def _bare_uses(outline: Outline, method_of: list[int]) -> Iterator[tuple[int, str]]:
    """Uses of fields and methods by their names alone, unless a variable of the function hides them."""
    names = outline.found.get("name")
    if not names:
        return
    source = outline.source
    members: dict[str, set[bytes]] = defaultdict(set)
    for node in outline.found.get("class.field", ()):
        span = outline.span_at(node.start_byte)
        if span is not None:
            members[span.qualified].add(outline.text(node))
    for span in outline.functions:
        members[span.owner].add(span.name.encode())
    everything = set().union(*members.values())
    hidden: dict[int, set[bytes]] = defaultdict(set)
    for node in outline.found.get("local", ()):
        hidden[outline.function_at(node.start_byte)].add(outline.text(node))
    for node in names:
        start = node.start_byte
        text = source[start : node.end_byte]
        if text in everything:
            function = outline.function_at(start)
            method = method_of[function] if function >= 0 else -1
            if method < 0 or text not in members[outline.functions[method].owner]:
                continue
            if source[start - 1 : start] == b".":
                used = source[max(0, start - 5) : start] == b"this."
            else:
                used = text not in hidden[function] and text not in hidden[method]
            if used:
                yield method, decode(text)


def _without_object(outline: Outline, spec: LanguageSpec) -> set[int]:
    """The functions that no object is given to."""
    if spec.static_without_receiver:
        with_object = {outline.function_at(node.start_byte) for node in outline.found.get("receiver", ())}
        return set(range(len(outline.functions))) - with_object
    return {outline.function_at(node.start_byte) for node in outline.found.get("function.static", ())}


def _lcom4(methods: Mapping[int, str], uses: Mapping[int, set[str]], left_out: set[str]) -> int:
    """Connected groups of methods (Hitz & Montazeri 1995): by a field that two use, or a call between them.

    Constructors and methods without an object are left out: the former touch every field and would connect
    everything, the latter touch none. Methods of one name are one: overloads, the getter and the setter of a
    property.

    Args:
        methods: the names of those that take part, by the position of the function.
        uses: the names of fields and methods that each uses.
        left_out: names of methods that take no part.
    """
    above: dict[str, str] = {}

    def group_of(name: str) -> str:
        root = name
        while (parent := above.setdefault(root, root)) != root:
            root = parent
        while above[name] != root:
            above[name], name = root, above[name]
        return root

    for index, name in methods.items():
        for used in uses.get(index, ()):
            if used not in left_out:
                above[group_of(used)] = group_of(name)
    return len({group_of(name) for name in methods.values()})
