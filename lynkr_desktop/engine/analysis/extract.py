"""The bytes of a source file -> its facts, by one query over its syntax tree.

Everything goes by positions: a query gives flat lists of nodes, and what stands within what is found by
bisecting the bounds of functions and classes. Walking the tree from Python would cost several times more.
"""

from __future__ import annotations

import codecs
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from lynkr_desktop.engine.analysis import grammar
from lynkr_desktop.engine.analysis.classes import find_classes
from lynkr_desktop.engine.analysis.facts import FileFacts, Function, Import, Language
from lynkr_desktop.engine.analysis.languages import spec_of
from lynkr_desktop.engine.analysis.languages.spec import LanguageSpec
from lynkr_desktop.engine.analysis.outline import Outline, decode
from lynkr_desktop.engine.analysis.references import find_references

ANONYMOUS = "<anonymous>"
"""The name of a function that has none and stands in no other function, as what a module is wrapped in."""


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


def _underscores(error: UnicodeError) -> tuple[str, int]:
    """An error handler: `_` for each byte that is no UTF-8, so that all positions stay as they are."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "_" * (error.end - error.start), error.end


_UNDERSCORES = "lynkr.underscores"
codecs.register_error(_UNDERSCORES, _underscores)


class _Reading:
    """One file being read."""

    def __init__(self, source: bytes, spec: LanguageSpec, suffix: str) -> None:
        # A query that compares text raises where the text is no UTF-8.
        self._source = source if source.isascii() else source.decode("utf-8", _UNDERSCORES).encode()
        self._spec = spec
        query = _query(spec, spec.grammar(suffix, source))
        self._root = grammar.parse(query.grammar, self._source)
        found = {} if self._root is None else query.captures(self._root)
        self._outline = Outline(self._source, found, spec)

    def facts(self) -> FileFacts:
        """Everything that is asked of a file."""
        source = self._source
        return FileFacts(
            language=self._spec.language,
            lines=source.count(b"\n") + (source != b"" and not source.endswith(b"\n")),
            functions=tuple(self.functions(self.decisions())),
            classes=tuple(find_classes(self._outline, self._spec)),
            imports=tuple(self._imports()),
            package=next((decode(text) for text in self._outline.texts("package")), ""),
            defines=tuple(self._defines()),
            references=tuple(find_references(self._outline, self._spec)),
            broken=self._root is None or self._root.has_error,
        )

    def decisions(self) -> dict[int, Counter[str]]:
        """How many decisions of each kind the functions have, by their position."""
        tally: dict[int, Counter[str]] = defaultdict(Counter)
        for kind, start, _ in self._branches():
            tally[self._outline.function_at(start)][kind] += 1
        return tally

    def _branches(self) -> Iterator[Decision]:
        for capture, nodes in self._outline.found.items():
            if capture.startswith("decision."):
                kind = capture.removeprefix("decision.")
                for node in nodes:
                    if not self._outline.in_tokens(node.start_byte):
                        yield Decision(kind, node.start_byte, node.end_byte)
        for token in self._outline.tokens:
            if token.kind == "branch":
                yield Decision("macro", token.start, token.end)

    def decisions_by_function(self) -> list[tuple[Function, tuple[Decision, ...]]]:
        """The functions with the decisions that are theirs, in the order of the file."""
        own: dict[int, list[Decision]] = defaultdict(list)
        for decision in self._branches():
            own[self._outline.function_at(decision.start)].append(decision)
        functions = self.functions(self.decisions())
        return [(function, tuple(own[index])) for index, function in enumerate(functions)]

    def functions(self, tally: Mapping[int, Counter[str]]) -> Iterator[Function]:
        """The functions, in the order of the file."""
        weights = self._spec.weights
        for index, span in enumerate(self._outline.functions):
            complexity = 1
            if index in tally:
                complexity += sum(count * weights.get(kind, 1) for kind, count in tally[index].items())
                complexity = max(complexity, 1)  # of broken code only the negative part may be there
            name = span.qualified if span.name else ".".join(filter(None, (span.qualified, ANONYMOUS)))
            yield Function(name, span.line, span.end_line, complexity)

    def _imports(self) -> list[Import]:
        captures: dict[str, list[bytes]] = {}
        for capture, nodes in self._outline.found.items():
            if capture.startswith("import"):
                captures[capture] = [self._outline.text(node) for node in nodes]
                scopes = [self._outline.scopes_at(node.start_byte) for node in nodes]
                captures[f"{capture}.in"] = [scope.encode() for scope in scopes]
        return self._spec.imports(captures)

    def _defines(self) -> Iterator[str]:
        names = [
            span.name
            for span in self._outline.spans
            if span.parent is None and span.name and not span.owner and span.kind in ("function", "class")
        ]
        for node in self._outline.found.get("define", ()):
            around = self._outline.span_at(node.start_byte)
            if around is None or (around.parent is None and around.name_start == node.start_byte):
                names.append(decode(self._outline.text(node)))
        yield from dict.fromkeys(names)


@cache
def _query(spec: LanguageSpec, grammar_name: str) -> grammar.Query:
    text = spec.query + (spec.query_newer if grammar.MODERN else spec.query_older)
    text += spec.query_by_grammar.get(grammar_name, "")
    return grammar.Query(grammar_name, text)
