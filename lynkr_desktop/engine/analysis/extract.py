"""The bytes of a source file -> its facts, by one query over its syntax tree.

Everything goes by positions: a query gives flat lists of nodes, and what stands within what is found by
bisecting the bounds of functions and classes. Walking the tree from Python would cost several times more.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from lynkr_desktop.engine.analysis import grammar
from lynkr_desktop.engine.analysis.facts import ClassFacts, FileFacts, Function, Import, Language, Reference
from lynkr_desktop.engine.analysis.languages import spec_of
from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec

ANONYMOUS = "<anonymous>"
"""The name of a function that has none and stands in no other function, as what a module is wrapped in."""

UNKNOWN = "?"
"""The qualifier of a call on what is no dotted name, as in `make().run()`."""

_LONGEST_NAME = 200
"""Bytes of a dotted name; of what is longer only the end is read. Bounds the work on chains of calls."""

_DOTTED = re.compile(r"#?[\w$]+(?:(?:\.|::)#?[\w$]+)*")
_TYPE = re.compile(r"[^\W\d][\w$]*(?:(?:\.|::)[^\W\d][\w$]*)*")
_LAST = re.compile(r"(.*?)(\??\.|::|->)?\s*(#?[\w$]+)$", re.DOTALL)
_OBJECT_BACKWARDS = re.compile(rb"\s*(\.\s*[\w$\x80-\xff]+\s*)+(?![\w$.)\]}>\"'`\x80-\xff])")


def extract(source: bytes, language: Language, suffix: str) -> FileFacts:
    """The facts of a file. Never raises, whatever the bytes are.

    Args:
        suffix: of the file's name, with its dot: some languages have a grammar by suffix.
    """
    return _Reading(source, spec_of(language), suffix).facts()


class Decision(NamedTuple):
    """A branch: its kind, and the bytes from `start` to `end` that it was read from."""

    kind: str
    start: int
    end: int


def find_decisions(
    source: bytes, spec: LanguageSpec, suffix: str
) -> list[tuple[Function, tuple[Decision, ...]]]:
    """The functions of a file, each with its own decisions. For comparisons with other rules of counting."""
    return _Reading(source, spec, suffix).decisions_by_function()


class _Span:
    """A function, class, extension or scope: where it stands, and within what."""

    __slots__ = (
        *("kind", "node", "start", "end", "name", "name_node"),
        *("owner", "qualified", "parent", "function"),
    )

    def __init__(self, kind: str, node: Any, name: str, name_node: Any, owner: str) -> None:
        self.kind = kind
        self.node = node
        self.start: int = node.start_byte
        self.end: int = node.end_byte
        self.name = name
        self.name_node = name_node
        self.owner = owner  # of a method: the qualified name of its type
        self.qualified = name
        self.parent: _Span | None = None
        self.function = -1  # position of the innermost function, this one included

    def stands_in(self, parent: _Span) -> None:
        self.parent = parent
        self.function = parent.function
        if self.kind == "function" and parent.kind in ("class", "extension") and not self.owner:
            self.owner = parent.qualified
        self.qualified = ".".join(filter(None, (parent.qualified, self.name)))

    @property
    def name_start(self) -> int:
        start: int = self.name_node.start_byte
        return start

    @property
    def line(self) -> int:
        """That of the name: annotations and modifiers stand before it."""
        row: int = self.name_node.start_point[0]
        return row + 1

    @property
    def end_line(self) -> int:
        row: int = self.node.end_point[0]
        return row + 1


class _Reading:
    """One file being read."""

    def __init__(self, source: bytes, spec: LanguageSpec, suffix: str) -> None:
        self._source = source
        self._spec = spec
        query = _query(spec, spec.grammar(suffix))
        self._root = grammar.parse(query.grammar, source)
        self._found = query.captures(self._root)
        self._spans = sorted(self._captured_spans(), key=lambda span: (span.start, -span.end))
        self._functions: list[_Span] = []
        # Where the innermost span changes, and what it is from there on.
        self._bounds: list[int] = []
        self._innermost: list[_Span | None] = []
        self._nest()

    def facts(self) -> FileFacts:
        """Everything that is asked of a file."""
        source = self._source
        return FileFacts(
            language=self._spec.language,
            lines=source.count(b"\n") + (source != b"" and not source.endswith(b"\n")),
            functions=tuple(self.functions(self.decisions())),
            classes=tuple(self._classes()),
            imports=tuple(self._imports()),
            package=next((_decode(text) for text in self._texts("package")), ""),
            defines=tuple(self._defines()),
            references=tuple(self._references()),
            broken=self._root.has_error,
        )

    # ---- what stands within what

    def _captured_spans(self) -> Iterator[_Span]:
        owners = self._found.get("receiver.type", [])
        owner_starts = [node.start_byte for node in owners]
        for kind in ("function", "class", "extension", "scope"):
            names = self._found.get(f"{kind}.name", [])
            name_starts = [node.start_byte for node in names]
            for node in self._found.get(kind, ()):
                name = names[bisect_left(name_starts, node.start_byte)]
                owner = bisect_left(owner_starts, node.start_byte)
                owned = kind == "function" and owner < len(owners) and owner_starts[owner] < name.start_byte
                yield _Span(
                    kind,
                    node,
                    _decode(self._text(name)),
                    name,
                    _decode(self._text(owners[owner])) if owned else "",
                )
        for node in self._found.get("anonymous", ()):
            yield _Span("anonymous", node, "", node, "")

    def _nest(self) -> None:
        around: list[_Span] = []

        def close_until(position: int) -> None:
            while around and around[-1].end <= position:
                self._bounds.append(around.pop().end)
                self._innermost.append(around[-1] if around else None)

        for span in self._spans:
            close_until(span.start)
            if around:
                span.stands_in(around[-1])
            elif span.owner:
                span.qualified = f"{span.owner}.{span.name}"
            if span.kind == "anonymous":
                if span.function >= 0:
                    continue  # a part of the function around it
                span.kind = "function"
            if span.kind == "function":
                span.function = len(self._functions)
                self._functions.append(span)
            around.append(span)
            self._bounds.append(span.start)
            self._innermost.append(span)
        close_until(len(self._source) + 1)

    def _span_at(self, position: int) -> _Span | None:
        """The innermost span around a byte."""
        found = bisect_right(self._bounds, position)
        return self._innermost[found - 1] if found else None

    def _function_at(self, position: int) -> int:
        """The position of the innermost function around a byte, -1 for none."""
        found = bisect_right(self._bounds, position)
        span = self._innermost[found - 1] if found else None
        return -1 if span is None else span.function

    def _text(self, node: Any) -> bytes:
        return self._source[node.start_byte : node.end_byte]

    def _texts(self, capture: str) -> list[bytes]:
        return [self._text(node) for node in self._found.get(capture, ())]

    # ---- what is asked

    def decisions(self) -> dict[int, Counter[str]]:
        """How many decisions of each kind the functions have, by their position."""
        tally: dict[int, Counter[str]] = defaultdict(Counter)
        for capture, nodes in self._found.items():
            if capture.startswith("decision."):
                kind = capture.removeprefix("decision.")
                for node in nodes:
                    tally[self._function_at(node.start_byte)][kind] += 1
        return tally

    def decisions_by_function(self) -> list[tuple[Function, tuple[Decision, ...]]]:
        """The functions with the decisions that are theirs, in the order of the file."""
        own: dict[int, list[Decision]] = defaultdict(list)
        for capture, nodes in self._found.items():
            if capture.startswith("decision."):
                kind = capture.removeprefix("decision.")
                for node in nodes:
                    decision = Decision(kind, node.start_byte, node.end_byte)
                    own[self._function_at(node.start_byte)].append(decision)
        functions = self.functions(self.decisions())
        return [(function, tuple(own[index])) for index, function in enumerate(functions)]

    def functions(self, tally: Mapping[int, Counter[str]]) -> Iterator[Function]:
        """The functions, in the order of the file."""
        weights = self._spec.weights
        for index, span in enumerate(self._functions):
            complexity = 1
            if index in tally:
                complexity += sum(count * weights.get(kind, 1) for kind, count in tally[index].items())
            name = span.qualified if span.name else ".".join(filter(None, (span.qualified, ANONYMOUS)))
            yield Function(name, span.line, span.end_line, complexity)

    def _imports(self) -> list[Import]:
        return self._spec.imports(
            {capture: self._texts(capture) for capture in self._found if capture.startswith("import")}
        )

    def _defines(self) -> Iterator[str]:
        names = [
            span.name
            for span in self._spans
            if span.parent is None and span.name and not span.owner and span.kind in ("function", "class")
        ]
        names += map(_decode, self._texts("define"))
        yield from dict.fromkeys(names)

    def _references(self) -> Iterator[Reference]:
        source, function_at = self._source, self._function_at
        seen: dict[tuple[bytes, int], None] = {}
        for node in self._found.get("call", ()):
            start, end = node.start_byte, node.end_byte
            text = source[start:end] if end - start <= _LONGEST_NAME else b"?." + source[end - 100 : end]
            seen[text, function_at(start)] = None
        for node in self._found.get("call.name", ()):
            seen[self._object_before(node.start_byte) + self._text(node), function_at(node.start_byte)] = None
        called = dict.fromkeys((*_split(_decode(text)), function) for text, function in seen)
        declared = {span.name_start for span in self._spans if span.kind == "class"}
        declared.update(node.start_byte for node in self._found.get("define", ()))
        read = 0
        for node in self._found.get("type", ()):
            start, end = node.start_byte, node.end_byte
            if end > read and start not in declared:  # types nest; the outermost has all names
                read = end
                function = function_at(start)
                for name in _TYPE.findall(_decode(source[start:end])):
                    if name not in self._spec.ignored_types:
                        called[(*_split(name), function)] = None
        for name, qualifier, function in called:
            if name:
                yield Reference(name, qualifier, function)

    def _object_before(self, start: int) -> bytes:
        """`a.b.` where that stands before a name, `?.` where it is no dotted name, nothing without a dot."""
        before = self._source[max(0, start - _LONGEST_NAME) : start].rstrip()
        if not before.endswith(b"."):
            return b""
        match = _OBJECT_BACKWARDS.match(before[::-1])
        return match[0][::-1] if match else b"?."

    # ---- classes

    def _classes(self) -> Iterator[ClassFacts]:
        types = {span.qualified: span for span in reversed(self._spans) if span.kind == "class"}
        for span in self._spans:
            if span.kind == "extension":
                types.setdefault(span.qualified, span)
            elif span.owner:
                types.setdefault(span.owner, span)
        if not types:
            return
        methods: dict[str, list[int]] = defaultdict(list)
        for index, span in enumerate(self._functions):
            if span.owner:
                methods[span.owner].append(index)
        bases = self._bases()
        uses = self._uses()
        for name, span in sorted(types.items(), key=lambda item: (item[1].start, item[0])):
            yield ClassFacts(
                name,
                span.line,
                span.end_line,
                tuple(dict.fromkeys(bases[name])),
                len(methods[name]),
                self._lcom4(methods[name], uses),
            )

    def _bases(self) -> dict[str, list[str]]:
        bases: dict[str, list[str]] = defaultdict(list)
        for kind in ("class", "extension"):
            for node in self._found.get(f"{kind}.base", ()):
                span = self._span_at(node.start_byte)
                match = _DOTTED.match(_decode(self._text(node)))
                if span is not None and match is not None:
                    bases[span.qualified].append(match[0])
        return bases

    def _uses(self) -> dict[int, set[str]]:
        """What each method uses of its object: the names of fields and of other methods."""
        method_of = []
        for span in self._functions:
            outer = span.parent
            if span.owner or outer is None or outer.function < 0:
                method_of.append(span.function if span.owner else -1)
            else:
                method_of.append(method_of[outer.function])
        receivers: dict[int, bytes] = {}
        for node in self._found.get("receiver", ()):
            receivers.setdefault(self._function_at(node.start_byte), self._text(node))
        fixed = self._spec.receivers
        known = fixed.union(receivers.values())
        uses: dict[int, set[str]] = defaultdict(set)
        for node in self._found.get("member", ()):
            start = node.start_byte
            receiver, _, name = self._source[start : node.end_byte].partition(b".")
            if receiver in known:
                function = self._function_at(start)
                method = method_of[function] if function >= 0 else -1
                if method >= 0 and (receiver in fixed or receivers.get(method) == receiver):
                    uses[method].add(_decode(name))
        for method, used in self._bare_uses(method_of):
            uses[method].add(used)
        return uses

    def _bare_uses(self, method_of: list[int]) -> Iterator[tuple[int, str]]:
        """Uses of fields and methods by their names alone, unless a variable of the function hides them."""
        names = self._found.get("name")
        if not names:
            return
        source = self._source
        members: dict[str, set[bytes]] = defaultdict(set)
        for node in self._found.get("class.field", ()):
            span = self._span_at(node.start_byte)
            if span is not None:
                members[span.qualified].add(self._text(node))
        for span in self._functions:
            members[span.owner].add(span.name.encode())
        everything = set().union(*members.values())
        hidden: dict[int, set[bytes]] = defaultdict(set)
        for node in self._found.get("local", ()):
            hidden[self._function_at(node.start_byte)].add(self._text(node))
        for node in names:
            start = node.start_byte
            text = source[start : node.end_byte]
            if text in everything:
                function = self._function_at(start)
                method = method_of[function] if function >= 0 else -1
                if method < 0 or text not in members[self._functions[method].owner]:
                    continue
                if source[start - 1 : start] == b".":
                    used = source[max(0, start - 5) : start] == b"this."
                else:
                    used = text not in hidden[function] and text not in hidden[method]
                if used:
                    yield method, _decode(text)

    def _lcom4(self, methods: list[int], uses: Mapping[int, set[str]]) -> int:
        """Connected groups of methods: by a field that two use, or a call of one from another.

        Constructors and methods without an object take no part, as the former touch every field and the
        latter none. Methods of one name are one (overloads; the getter and the setter of a property).
        """
        statics = {node.start_byte for node in self._found.get("function.static", ())}
        spans = [(index, self._functions[index]) for index in methods]
        left_out = {
            span.name
            for _, span in spans
            if span.name in self._spec.constructors or span.name_start in statics
        }
        group: dict[str, str] = {}

        def find(name: str) -> str:
            root = name
            while (above := group.setdefault(root, root)) != root:
                root = above
            while group[name] != root:
                group[name], name = root, group[name]
            return root

        taking_part = [(index, span.name) for index, span in spans if span.name not in left_out]
        for index, name in taking_part:
            for used in uses.get(index, ()):
                if used not in left_out:
                    group[find(used)] = find(name)
        return len({find(name) for _, name in taking_part})


@cache
def _query(spec: LanguageSpec, grammar_name: str) -> grammar.Query:
    text = spec.query + (spec.query_newer if grammar.MODERN else spec.query_older)
    text += spec.query_by_grammar.get(grammar_name, "")
    return grammar.Query(grammar_name, text)


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _split(name: str) -> tuple[str, str]:
    """`a.b.c` -> ("c", "a.b"), with UNKNOWN for what is no dotted name; both empty where there is no name."""
    if name.isidentifier():
        return name, ""
    match = _LAST.match("".join(name.split()))
    if match is None:
        return "", ""
    before, separator, last = match.groups()
    if not separator:
        return last, UNKNOWN if before else ""
    return last, before if _DOTTED.fullmatch(before) else UNKNOWN
