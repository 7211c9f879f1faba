"""What the extractor has to know of a language: its grammars, one query, and a few conventions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lynkr_desktop.engine.analysis.facts import Import, Language

Captures = Mapping[str, list[bytes]]
"""The source of the captured nodes, by the name of their capture, in the order of the file."""


_HEAD = 2_000
"""Bytes in which a pragma is looked for: a licence may stand before it."""


class Token(NamedTuple):
    """What was found where there is no tree. `call` and `member` are as the captures of that name."""

    kind: Literal["branch", "call", "member"]
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageSpec:
    """One language. The query captures, under names that all languages share:

    - `@function` with `@function.name` in it, before anything nested: a named function or method.
    - `@anonymous`: a function without a name: a part of the function around it, at the top level one itself.
    - `@function.static`: the name of a method without an object (LCOM4 leaves it out).
    - `@receiver`: in a function, the name under which a method knows its object (`self`).
    - `@receiver.type`: in a function, the type whose method it is, where the function does not stand in it.
    - `@class` with `@class.name` and `@class.base` in it: a class, struct, interface, trait or enum.
    - `@extension` with `@extension.name`, `@extension.base`: methods and bases of a type declared elsewhere.
    - `@scope` with `@scope.name`: what only qualifies the names in it, as a module.
    - `@decision.KIND`: a branch of the innermost named function around it, counted by `weights`.
    - `@tokens`: source that is no tree; `read_tokens` finds in it what is found in the tree elsewhere.
    - `@member`: `object.name` in full, where the object may be the receiver.
    - `@class.field`, `@name`, `@local`: declared fields, names that may be fields, and variables that may
      hide fields, where `this` is optional.
    - `@call`: what is called, `@type`: a type that is named; both without arguments, as they are written.
    - `@call.name`: the last name of what is called, where its object is another node before it;
      `@call.named`: a call that has such a name as its field `name`.
    - `@import...`: given to `imports`, beside it the scopes that each stands in as `import... .in` (`a.b`).
    - `@package`: the name of the package.
    - `@define`: a name that is defined, beside functions and classes; it counts only at the top level.

    Long chains nest deeply, and a query over them takes time by the square of their length wherever a pattern
    has to wait for a later child at each level. So operators are captured by their tokens, and `@member` is
    the last pattern, after `@call` (for tree-sitter 0.21, which keeps captures in order).

    Attributes:
        grammars: the name of the grammar by suffix of the file; `""` for every other suffix.
        pragmas: the name of the grammar by a word at the head of files of those other suffixes.
        query: the patterns that both generations of grammars know (see `grammar.py`).
        query_older, query_newer: patterns that only one of them knows.
        query_by_grammar: patterns that only one grammar of the language knows, by its name.
        imports: makes imports of the captures whose names begin with `import`.
        weights: how much a kind of decision counts; 1 unless it is here.
        receivers: the names of the object in its methods where the language fixes them.
        constructors: methods that LCOM4 leaves out since they touch every field.
        static_without_receiver: whether a method without `@receiver` is a method without an object.
        read_tokens: given the source and the bounds of `@tokens`, finds branches (of kind `macro`), calls and
            uses of the receiver.
        ignored_types: names of built-in types that are no references.
    """

    language: Language
    grammars: Mapping[str, str]
    query: str
    imports: Callable[[Captures], list[Import]]
    query_older: str = ""
    query_newer: str = ""
    query_by_grammar: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    receivers: frozenset[bytes] = frozenset()
    constructors: frozenset[str] = frozenset()
    static_without_receiver: bool = False
    read_tokens: Callable[[bytes, int, int], Iterable[Token]] | None = None
    pragmas: Mapping[bytes, str] = field(default_factory=dict)
    ignored_types: frozenset[str] = frozenset()

    def grammar(self, suffix: str, source: bytes) -> str:
        """The grammar for a file whose name ends in `suffix` (with its dot, any case)."""
        by_suffix = self.grammars.get(suffix.lower())
        if by_suffix is not None:
            return by_suffix
        head = source[:_HEAD] if self.pragmas else b""
        return next((name for word, name in self.pragmas.items() if word in head), self.grammars[""])
