"""Rust.

The arguments of macros are tokens, not a syntax tree: calls, uses of `self` and branches in them are read
from the tokens, as `assert!(a && b)` and `write!(f, "{}", self.name()?)` are ordinary code to their writer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile

from lynkr_desktop.engine.analysis.facts import Import
from lynkr_desktop.engine.analysis.languages.spec import Captures, LanguageSpec, Token

_QUERY = """
(function_item name: (identifier) @function.name) @function
(self_parameter (self) @receiver)

[(struct_item name: (type_identifier) @class.name)
 (enum_item name: (type_identifier) @class.name)
 (union_item name: (type_identifier) @class.name)
 (trait_item name: (type_identifier) @class.name)] @class
(trait_item bounds: (trait_bounds [(type_identifier) (scoped_type_identifier) (generic_type)] @class.base))

(impl_item type: [
  (type_identifier) @extension.name
  (primitive_type) @extension.name
  (generic_type type: (type_identifier) @extension.name)
  (scoped_type_identifier name: (type_identifier) @extension.name)
  (generic_type type: (scoped_type_identifier name: (type_identifier) @extension.name))
  (reference_type type: (type_identifier) @extension.name)
  (reference_type type: (generic_type type: (type_identifier) @extension.name))
  (dynamic_type trait: (type_identifier) @extension.name)
]) @extension
(impl_item trait: (_) @extension.base)
(mod_item name: (identifier) @scope.name body: (_)) @scope

(if_expression) @decision.if
(for_expression) @decision.for
(while_expression) @decision.while
(match_arm) @decision.arm
(match_block) @decision.match
(match_pattern condition: (_) @decision.guard)
(let_declaration alternative: (_) @decision.let_else)
["&&" "||"] @decision.boolean
(try_expression) @decision.try
(macro_invocation (token_tree) @tokens)

(call_expression function: [(identifier) (scoped_identifier) (field_expression)] @call)
(call_expression function:
  (generic_function function: [(identifier) (scoped_identifier) (field_expression)] @call))
(macro_invocation macro: [(identifier) (scoped_identifier)] @call)
[(type_identifier) (scoped_type_identifier)] @type

(use_declaration argument: (_) @import)
(extern_crate_declaration) @import.crate
(mod_item name: (identifier) @import.module !body)

(source_file [
  (const_item name: (identifier) @define)
  (static_item name: (identifier) @define)
  (type_item name: (type_identifier) @define)
  (macro_definition name: (identifier) @define)
  (mod_item name: (identifier) @define)
])

(field_expression value: (self)) @member
"""

_CRATE = re.compile(r"extern\s+crate\s+(\w+)(?:\s+as\s+(\w+))?")
_TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|(?:r#)?(\w+|[{},*])", re.DOTALL)
_IN_MACROS = re.compile(
    rb"""//[^\n]*|/\*.*?\*/|r(\#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'  # comments, strings, characters
    |(?:[(,=\[{;]|\bmove)\s*(?:\|\||&&)  # a closure without parameters, a reference to a reference
    |(?P<branch>\b(?:if|for|while)\b|&&|\|\||(?<=[\w)\]}])\?)
    |(?P<path>(?P<member>\bself\.\w+)(?:(?:\.|::)\w+)*|\.?\b\w+(?:(?:\.|::)\w+)*)(?P<called>(?=\s*\())?""",
    re.DOTALL | re.VERBOSE,
)


def _imports(captures: Captures) -> list[Import]:
    """Trees of `use`, flat; `mod x;` is `self::x`. Paths in inline modules are made to begin at the file."""
    found = []
    for source, inside in zip(
        captures.get("import.module", ()), captures.get("import.module.in", ()), strict=True
    ):
        found.append(Import("::".join(["self", *_modules(inside), _decode(source)])))
    for source in captures.get("import.crate", ()):
        match = _CRATE.search(_decode(source))
        if match is not None:
            found.append(Import(match[1], (), match[2] or ""))
    uses = zip(captures.get("import", ()), captures.get("import.in", ()), strict=True)
    for source, inside in uses:
        taken: dict[str, list[str]] = {}
        for path, alias in _leaves(_decode(source)):
            path = _from_file(path, _modules(inside))
            module, name = "::".join(path[:-1]), path[-1]
            if name == "self" and module:
                found.append(Import(module, (), alias))
            elif not module:
                found.append(Import(name, (), alias))
            elif alias:
                found.append(Import(module, (name,), alias))
            else:
                taken.setdefault(module, []).append(name)
        found += [Import(module, tuple(names)) for module, names in taken.items()]
    return found


def _leaves(text: str) -> Iterator[tuple[list[str], str]]:
    """`a::{b, c::{self, d as e}}` -> (["a", "b"], ""), (["a", "c", "self"], ""), (["a", "c", "d"], "e")."""
    outer: list[list[str]] = [[]]
    words: list[str] = []
    for match in _TOKEN.finditer(text + ","):
        token = match[1]
        if token == "{":
            outer.append(outer[-1] + words)
            words = []
        elif token in (",", "}"):
            if len(words) > 2 and words[-2] == "as":
                yield outer[-1] + words[:-2], words[-1]
            elif words:
                yield outer[-1] + words, ""
            words = []
            if token == "}" and len(outer) > 1:
                outer.pop()
        elif token:  # else a comment
            words.append(token)


def _from_file(path: list[str], inside: list[str]) -> list[str]:
    """A path that stands in inline modules, as it would be written at the top of the file."""
    if not inside or path[0] not in ("self", "super"):
        return path
    rest = list(dropwhile(lambda part: part in ("self", "super"), path))
    up = path[: len(path) - len(rest)].count("super")
    if up > len(inside):
        return ["super"] * (up - len(inside)) + rest
    return ["self", *inside[: len(inside) - up], *rest]


def _read_macro(source: bytes, start: int, end: int) -> Iterator[Token]:
    for match in _IN_MACROS.finditer(source, start, end):
        if match["branch"]:
            yield Token("branch", *match.span())
        elif match["path"]:
            if match["member"]:
                yield Token("member", *match.span("member"))
            if match["called"] is not None:
                yield Token("call", *match.span("path"))


def _modules(inside: bytes) -> list[str]:
    return _decode(inside).split(".") if inside else []


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


RUST = LanguageSpec(
    language="rust",
    grammars={"": "rust"},
    query=_QUERY,
    imports=_imports,
    weights={"match": -1},
    receivers=frozenset({b"self"}),
    static_without_receiver=True,
    read_tokens=_read_macro,
    ignored_types=frozenset({"Self", "Option", "Result", "String", "Vec", "Box"}),
)
