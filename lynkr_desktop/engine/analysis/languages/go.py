"""Go."""

from __future__ import annotations

import re

from lynkr_desktop.engine.analysis.facts import Import
from lynkr_desktop.engine.analysis.languages.spec import Captures, LanguageSpec

_QUERY = """
(function_declaration name: (identifier) @function.name) @function
(method_declaration
  receiver: (parameter_list (parameter_declaration type: [
    (type_identifier) @receiver.type
    (generic_type type: (type_identifier) @receiver.type)
    (pointer_type (type_identifier) @receiver.type)
    (pointer_type (generic_type type: (type_identifier) @receiver.type))
  ]))
  name: (field_identifier) @function.name) @function
(method_declaration receiver: (parameter_list (parameter_declaration name: (identifier) @receiver)))
(func_literal) @anonymous

(type_spec name: (type_identifier) @class.name type: [(struct_type) (interface_type)]) @class
(type_spec type: (struct_type (field_declaration_list (field_declaration !name type: (_) @class.base))))

(if_statement) @decision.if
(for_statement) @decision.for
(expression_case) @decision.case
(type_case) @decision.case
(communication_case) @decision.select
["&&" "||"] @decision.boolean

(call_expression function: [(identifier) (selector_expression)] @call)
[(type_identifier) (qualified_type)] @type

(import_spec) @import
(package_clause (package_identifier) @package)

(source_file (const_declaration (const_spec (identifier) @define)))
(source_file (type_declaration (type_spec name: (type_identifier) @define)))
(source_file (type_declaration (type_alias name: (type_identifier) @define)))
(source_file (var_declaration (var_spec (identifier) @define)))

(selector_expression operand: (identifier)) @member
"""

_QUERY_OLDER = """
(interface_type (constraint_elem . [(type_identifier) (qualified_type) (generic_type)] @class.base .))
"""

_QUERY_NEWER = """
(interface_type (type_elem . [(type_identifier) (qualified_type) (generic_type)] @class.base .))
(source_file (var_declaration (var_spec_list (var_spec (identifier) @define))))
(call_expression function: (index_expression
  operand: [(identifier) (selector_expression)] @call
  index: [
    [(identifier) (selector_expression)] @type
    (unary_expression "*" [(identifier) (selector_expression)] @type)
  ]))
"""

_IMPORT = re.compile(r"""([\w.]*)\s*["`]([^"`]*)["`]""")

_PREDECLARED = (
    *("any", "bool", "byte", "comparable", "error", "rune", "string", "uintptr"),
    *("int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "complex64", "complex128"),
)


def _imports(captures: Captures) -> list[Import]:
    """`"fmt"`, `f "fmt"`, `. "fmt"` (all its names are this file's own), `_ "embed"` (no name at all)."""
    found = []
    for source in captures.get("import", ()):
        match = _IMPORT.match(source.decode("utf-8", "replace"))
        if match is None:
            continue
        alias, path = match.groups()
        found.append(Import(path, ("*",)) if alias == "." else Import(path, (), alias))
    return found


GO = LanguageSpec(
    language="go",
    grammars={"": "go"},
    query=_QUERY,
    query_older=_QUERY_OLDER,
    query_newer=_QUERY_NEWER,
    imports=_imports,
    ignored_types=frozenset(_PREDECLARED),
)
