"""TypeScript, TSX and JavaScript: three grammars that share most of their nodes.

Decisions are those of ESLint's `complexity` rule, so that default values and optional chains count too.
"""

from __future__ import annotations

import re

from lynkr_desktop.engine.analysis.facts import Import
from lynkr_desktop.engine.analysis.grammar import MODERN
from lynkr_desktop.engine.analysis.languages.spec import Captures, LanguageSpec

FUNCTIONS = f"[(arrow_function) (generator_function) ({'function_expression' if MODERN else 'function'})]"
"""The nodes of function expressions; in the queries below, [FUNCTION] stands for them."""

_QUERY = """
(function_declaration name: (identifier) @function.name) @function
(generator_function_declaration name: (identifier) @function.name) @function
(method_definition name: [
  (property_identifier) @function.name
  (private_property_identifier) @function.name
  (computed_property_name) @function.name
  (string . (string_fragment) @function.name)
]) @function
(method_definition "static" name: (_) @function.static)
(variable_declarator name: (identifier) @function.name value: [FUNCTION]) @function
(pair
  key: [
    (property_identifier) @function.name
    (computed_property_name) @function.name
    (string . (string_fragment) @function.name)
  ]
  value: [FUNCTION]) @function
(assignment_expression
  left: [
    (identifier) @function.name
    (member_expression property: [(property_identifier) (private_property_identifier)] @function.name)
  ]
  right: [FUNCTION]) @function
(assignment_expression
  left: (member_expression object: (member_expression
    object: (identifier) @receiver.type property: (property_identifier) @_prototype))
  right: [FUNCTION]
  (#eq? @_prototype "prototype"))
(export_statement "default" @function.name value: [FUNCTION]) @function
; Functions that are wrapped where they are declared: memo(() => ...), forwardRef(function () ...).
(program [
  (lexical_declaration (variable_declarator name: (identifier) @function.name
    value: (call_expression arguments: (arguments . [FUNCTION]))) @function)
  (export_statement (lexical_declaration (variable_declarator name: (identifier) @function.name
    value: (call_expression arguments: (arguments . [FUNCTION]))) @function))
])
[FUNCTION] @anonymous

(variable_declarator name: (identifier) @scope.name value: (object)) @scope

(class_declaration name: (_) @class.name) @class
(variable_declarator name: (identifier) @class.name value: (class)) @class
(export_statement "default" @class.name value: (class)) @class

(if_statement) @decision.if
(ternary_expression) @decision.conditional
(for_statement) @decision.for
(for_in_statement) @decision.for_in
(while_statement) @decision.while
(do_statement) @decision.do
(catch_clause) @decision.catch
(switch_case) @decision.case
["&&" "||" "??"] @decision.logical
(augmented_assignment_expression operator: ["&&=" "||=" "??="] @decision.logical_assignment)
[(assignment_pattern) (object_assignment_pattern)] @decision.default

(call_expression function: [(identifier) (member_expression)] @call)
(new_expression constructor: [(identifier) (member_expression)] @call)
(decorator [(identifier) (member_expression)] @call)

(import_statement) @import
(export_statement source: (string)) @import
(call_expression function: (import) arguments: (arguments . (string) @import.call))
(call_expression function: (identifier) @_require arguments: (arguments . (string) @import.call)
  (#eq? @_require "require"))
(variable_declarator
  value: (call_expression function: (identifier) @_require arguments: (arguments . (string)))
  (#eq? @_require "require")) @import.require
(variable_declarator
  value: (member_expression
    object: (call_expression function: (identifier) @_require arguments: (arguments . (string))))
  (#eq? @_require "require")) @import.require

(variable_declarator name: (identifier) @define)
(export_specifier alias: (identifier) @define)
(namespace_export (identifier) @define)
(assignment_expression
  left: (member_expression object: (identifier) @_exports property: (property_identifier) @define)
  (#eq? @_exports "exports"))
(assignment_expression
  left: (member_expression
    object: (member_expression object: (identifier) @_module property: (property_identifier) @_exports)
    property: (property_identifier) @define)
  (#eq? @_module "module") (#eq? @_exports "exports"))
"""

_JAVASCRIPT = """
(field_definition property: [(property_identifier) (private_property_identifier)] @function.name
  value: [FUNCTION]) @function
(class_heritage (_) @class.base)
(optional_chain) @decision.optional
"""

_JSX = """
([(jsx_opening_element name: (_) @call) (jsx_self_closing_element name: (_) @call)]
  (#match? @call "^[A-Z_$]|^[^.]+[.]"))
"""

_MEMBER = "(member_expression object: (this)) @member\n"

_TYPESCRIPT = """
(public_field_definition name: [(property_identifier) (private_property_identifier)] @function.name
  value: [FUNCTION]) @function
(abstract_class_declaration name: (type_identifier) @class.name) @class
(interface_declaration name: (type_identifier) @class.name) @class
(enum_declaration name: (identifier) @class.name) @class
(extends_clause value: (_) @class.base)
(implements_clause (_) @class.base)
(extends_type_clause type: (_) @class.base)
(internal_module name: [(identifier) (nested_identifier)] @scope.name) @scope
(module name: [(identifier) (nested_identifier)] @scope.name) @scope
"?." @decision.optional
(required_parameter value: (_)) @decision.default
(optional_parameter value: (_)) @decision.default
(type_identifier) @type
(nested_type_identifier) @type
(type_alias_declaration name: (_) @define)
(internal_module name: (identifier) @define)
(function_signature name: (_) @define)
"""

_COMMENT = re.compile(r"/\*.*?\*/|//[^\r\n]*", re.DOTALL)
_STRING = r"""["'`]([^"'`]*)["'`]"""
_FROM = re.compile(
    rf"(?:import|export)\b(?:\s*type\b(?!\s*(?:,|from\b)))?(?P<what>[^\"']*?)\bfrom\s*{_STRING}", re.DOTALL
)
_BARE = re.compile(rf"import\s*{_STRING}")
_REQUIRE = re.compile(
    rf"(?P<what>.*?)=\s*require\s*\(\s*{_STRING}\s*,?\s*\)(?:\s*\.\s*(?P<member>[\w$]+))?", re.DOTALL
)
_WORDS = re.compile(r"[\w$]+|\*")


def _imports(captures: Captures) -> list[Import]:
    """Imports, re-exports and `require`. What is imported by default has the name `default`."""
    found = []
    for source in captures.get("import", ()):
        text = _COMMENT.sub(" ", source.decode("utf-8", "replace"))
        if match := _FROM.match(text):
            found += _clause(match["what"], match[2])
        elif match := _BARE.match(text):
            found.append(Import(match[1]))
        elif match := _REQUIRE.match(text):
            found.append(Import(match[2], (), _WORDS.findall(match["what"])[-1]))
    for source in captures.get("import.require", ()):
        if match := _REQUIRE.match(_COMMENT.sub(" ", source.decode("utf-8", "replace"))):
            found += _required(match["what"].strip(), match[2], match["member"])
    named = {imported.module for imported in found}
    for source in captures.get("import.call", ()):
        module = source.decode("utf-8", "replace")[1:-1]
        if module not in named:
            found.append(Import(module))
    return list(dict.fromkeys(found))


def _clause(text: str, module: str) -> list[Import]:
    """What stands between `import` or `export` and `from`."""
    before, braced, rest = text.partition("{")
    found = []
    words = _WORDS.findall(before)
    if "*" in words:
        default = words[: words.index("*")]
        found.append(Import(module, (), words[-1]) if words[-1] != "*" else Import(module, ("*",)))
    else:
        default = words
    if default:
        found.insert(0, Import(module, ("default",), default[-1]))
    if braced:
        found += _members(rest.partition("}")[0], " as ", module)
        if not found:
            found.append(Import(module))
    return found


def _required(pattern: str, module: str, member: str | None) -> list[Import]:
    """`a = require(module)`, `{ a, b: c } = require(module)`, `a = require(module).member`."""
    if pattern.startswith("{"):
        return _members(pattern.strip("{} \t\r\n"), ":", module) or [Import(module)]
    words = _WORDS.findall(pattern)
    alias = words[0] if words else ""
    if member is not None:
        return [Import(module, (member,), "" if alias == member else alias)]
    return [Import(module, (), alias)]


def _members(text: str, separator: str, module: str) -> list[Import]:
    """`a, type b, c as d` -> one import of `a` and `b`, and one of `c` under the name `d`."""
    plain = []
    found = []
    for part in text.split(","):
        name, renamed, alias = " ".join(part.split("=")[0].split()).partition(separator)
        names = _WORDS.findall(name)
        if not names:
            continue
        aliases = _WORDS.findall(alias) if renamed else ()
        if aliases and aliases[0] != names[-1]:
            found.append(Import(module, (names[-1],), aliases[0]))
        else:
            plain.append(names[-1])
    return [Import(module, tuple(plain)), *found] if plain else found


def _text(query: str) -> str:
    return query.replace("[FUNCTION]", FUNCTIONS)


TYPESCRIPT = LanguageSpec(
    language="typescript",
    grammars={
        "": "javascript",
        ".ts": "typescript",
        ".mts": "typescript",
        ".cts": "typescript",
        ".tsx": "tsx",
    },
    pragmas={b"@flow": "tsx"},  # its types are much like TypeScript's, and no JavaScript
    query=_text(_QUERY),
    query_by_grammar={
        "javascript": _text(_JAVASCRIPT) + _JSX + _MEMBER,
        "typescript": _text(_TYPESCRIPT) + _MEMBER,
        "tsx": _text(_TYPESCRIPT) + _JSX + _MEMBER,
    },
    imports=_imports,
    receivers=frozenset({b"this"}),
    constructors=frozenset({"constructor"}),
)
