"""Other programs that count cyclomatic complexity, and by which rules they differ from ours.

The rules are kinds of decisions (`@decision.KIND` of the queries in `engine/analysis/languages`): which of
them the oracle counts otherwise, and which it counts that we do not. `docs/complexity.md` says why.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import lizard
from lizard_languages.rust import RustReader
from radon.visitors import Class, ComplexityVisitor
from radon.visitors import Function as RadonFunction

from lynkr_desktop.engine.analysis.grammar import MODERN

Weight = int | Callable[[bytes], int]
"""How much a decision counts; where it is a function, it goes by the source of the decision."""


class Measured(NamedTuple):
    """A function as the oracle sees it; `name` is its last part, empty for one without."""

    name: str
    line: int
    complexity: int


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How an oracle counts.

    Attributes:
        weights: what it counts for a kind, where this is not what we count.
        query: patterns for the kinds that we do not capture.
        opaque: kinds in which it does not see anything else.
        flaws: kinds that it plainly misreads; a function with one that differs is counted as misread.
        apart: the kind that is a function of its own to it, with the decisions in it.
    """

    weights: Mapping[str, Weight] = field(default_factory=dict)
    query: str = ""
    opaque: frozenset[str] = frozenset()
    flaws: frozenset[str] = frozenset()
    apart: str = ""


@dataclass(frozen=True)
class Oracle:
    """A program that counts. `measure` raises SyntaxError or ValueError for a file that it cannot read."""

    name: str
    measure: Callable[[Path, str], list[Measured]]
    rules: Rules


def radon(_path: Path, source: str) -> list[Measured]:
    """All functions that radon sees: also those in functions and in classes."""
    visitor = ComplexityVisitor.from_code(source)
    return [Measured(block.name, block.lineno, block.complexity) for block in _blocks(visitor)]


def _blocks(visitor: ComplexityVisitor) -> Iterator[RadonFunction]:
    waiting: list[RadonFunction | Class] = [*visitor.functions, *visitor.classes]
    while waiting:
        block = waiting.pop()
        if isinstance(block, Class):
            waiting += [*block.methods, *block.inner_classes]
        else:
            yield block
            waiting += block.closures


def by_lizard(path: Path, source: str) -> list[Measured]:
    """All functions that lizard sees."""
    # It reports what it cannot read by printing.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        found = lizard.analyze_file.analyze_source_code(str(path), source)
    return [
        Measured(_last_name(function.name), function.start_line, function.cyclomatic_complexity)
        for function in found.function_list
    ]


def _last_name(name: str) -> str:
    last = name.replace("::", ".").rsplit(".", 1)[-1].strip()
    return "" if last.startswith("anonymous__") else last


RADON = Oracle(
    "radon",
    radon,
    Rules(
        weights={"guard": 0, "loop_else": 1, "try_else": 1},
        query="""
        (for_statement alternative: (else_clause) @decision.loop_else)
        (while_statement alternative: (else_clause) @decision.loop_else)
        (try_statement (else_clause) @decision.try_else)
        """,
        opaque=frozenset({"assert"}),
    ),
)

LIZARD_PYTHON = Oracle(
    "lizard",
    by_lizard,
    Rules(
        weights={"assert": 0, "default": 0, "finally": 1},
        query="(finally_clause) @decision.finally",
    ),
)

LIZARD_GO = Oracle(
    "lizard",
    by_lizard,
    Rules(
        query="""
        (func_literal) @decision.literal
        (function_declaration !body) @decision.no_body
        (method_declaration !body) @decision.no_body
        (function_declaration
          result: (channel_type value: [(struct_type) (interface_type)]) @decision.brace_in_result)
        (method_declaration
          result: (channel_type value: [(struct_type) (interface_type)]) @decision.brace_in_result)
        """,
        weights={"no_body": 0, "brace_in_result": 0},
        flaws=frozenset({"no_body", "brace_in_result"}),
        apart="literal",
    ),
)


def _rust_conditions(source: bytes) -> int:
    """What lizard counts in tokens of Rust that are not parsed."""
    conditions = RustReader(None).conditions
    return sum(token in conditions for token in RustReader.generate_tokens(source.decode("utf-8", "replace")))


LIZARD_RUST = Oracle(
    "lizard",
    by_lizard,
    Rules(
        weights={
            "macro": 0,
            "macro_tokens": _rust_conditions,
            "closure": lambda source: source == b"||",
            "double_reference": lambda source: source.startswith(b"&&"),
            "brace_after_match": 0,
        },
        query="""
        (where_clause) @decision.where
        (removed_trait_bound) @decision.unsized
        (closure_parameters) @decision.closure
        [(reference_expression) (reference_type) (reference_pattern)] @decision.double_reference
        (macro_invocation (token_tree)) @decision.macro_tokens
        (match_expression value: [(if_expression) (block)] @decision.brace_after_match)
        """,
        flaws=frozenset({"brace_after_match"}),
    ),
)

LIZARD_JAVA = Oracle("lizard", by_lizard, Rules(weights={"guard": 0}))


def _lizard_csharp(path: Path, source: str) -> list[Measured]:
    """By lizard, without type parameters in names."""
    return [
        each._replace(name=each.name.partition("<")[0].split()[0])
        for each in by_lizard(path, source)
        if each.name.strip("< ")
    ]


_PREPROCESSOR = "[(preproc_if) (preproc_elif)]" if MODERN else "[(if_directive) (elif_directive)]"
_RETURNED = "returns" if MODERN else "type"

LIZARD_CSHARP = Oracle(
    "lizard",
    _lizard_csharp,
    Rules(
        weights={
            **dict.fromkeys(("for_each", "guard", "arm", "default", "pattern"), 0),
            **dict.fromkeys(("signature", "initializer"), 0),
        },
        query=f"""
        (nullable_type) @decision.nullable
        (goto_statement "case") @decision.goto_case
        {_PREPROCESSOR} @decision.preprocessor
        (method_declaration {_RETURNED}: (_) @decision.signature)
        (method_declaration parameters: (_) @decision.signature)
        (constructor_declaration parameters: (_) @decision.signature)
        (constructor_initializer) @decision.initializer
        """,
        opaque=frozenset({"signature", "initializer"}),
    ),
)
