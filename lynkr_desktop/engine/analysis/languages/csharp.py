"""C#. A property with code in it is one function, whatever accessors it has."""

from __future__ import annotations

import re

from lynkr_desktop.engine.analysis.facts import Import
from lynkr_desktop.engine.analysis.languages.spec import Captures, LanguageSpec

# Constructors count as methods without an object, as they touch every field. No body, no function.
_QUERY = """
(namespace_declaration name: (_) @package)
(file_scoped_namespace_declaration name: (_) @package)
(using_directive) @import

(method_declaration name: (identifier) @function.name body: (_)) @function
(local_function_statement name: (identifier) @function.name) @function
(constructor_declaration name: (identifier) @function.name body: (_)) @function
(destructor_declaration name: (identifier) @function.name body: (_)) @function
(operator_declaration "operator" @function.name body: (_)) @function
(conversion_operator_declaration "operator" @function.name body: (_)) @function
(property_declaration name: (identifier) @function.name
  accessors: (accessor_list . (accessor_declaration body: (_)))) @function
(property_declaration name: (identifier) @function.name value: (arrow_expression_clause)) @function
(indexer_declaration "this" @function.name
  accessors: (accessor_list . (accessor_declaration body: (_)))) @function
(indexer_declaration "this" @function.name value: (arrow_expression_clause)) @function
(event_declaration name: (identifier) @function.name
  accessors: (accessor_list . (accessor_declaration body: (_)))) @function
(method_declaration (modifier "static") name: (identifier) @function.static)
(property_declaration (modifier "static") name: (identifier) @function.static)
(constructor_declaration name: (identifier) @function.static)
(destructor_declaration name: (identifier) @function.static)
(operator_declaration "operator" @function.static)
(conversion_operator_declaration "operator" @function.static)

(class_declaration name: (identifier) @class.name) @class
(struct_declaration name: (identifier) @class.name) @class
(interface_declaration name: (identifier) @class.name) @class
(enum_declaration name: (identifier) @class.name) @class
(record_declaration name: (identifier) @class.name) @class
(base_list [(identifier) (qualified_name) (generic_name)] @class.base)
(base_list (primary_constructor_base_type type: (_) @class.base))
(field_declaration (variable_declaration (variable_declarator name: (identifier) @class.field)))
(event_field_declaration (variable_declaration (variable_declarator name: (identifier) @class.field)))
(property_declaration name: (identifier) @class.field)
(record_declaration (parameter_list (parameter name: (identifier) @class.field)))

(if_statement) @decision.if
(conditional_expression) @decision.conditional
(for_statement) @decision.for
(while_statement) @decision.while
(do_statement) @decision.do
(catch_clause) @decision.catch
[(when_clause) (catch_filter_clause)] @decision.guard
(switch_expression_arm) @decision.arm
(switch_expression_arm . (discard) . "=>") @decision.default
[(and_pattern) (or_pattern)] @decision.pattern
["&&" "||"] @decision.logical
"??" @decision.coalescing
"??=" @decision.coalescing_assignment
(conditional_access_expression) @decision.conditional_access

(identifier) @name
(local_declaration_statement (variable_declaration (variable_declarator name: (identifier) @local)))
(parameter name: (identifier) @local)
(catch_declaration name: (identifier) @local)
(declaration_expression name: (identifier) @local)

(invocation_expression function: [
  (identifier) (member_access_expression) (conditional_access_expression)
] @call)
(generic_name . (identifier) @call.name)
(_ type: [(identifier) (qualified_name) (generic_name) (nullable_type) (array_type) (tuple_type)] @type)
(type_argument_list) @type
(base_list [(identifier) (qualified_name) (generic_name)] @type)
(attribute name: (_) @type)
(as_expression right: (identifier) @type)
(member_access_expression expression: (identifier) @type (#match? @type "^[A-Z]"))
(type_parameter_constraint) @type

(delegate_declaration name: (identifier) @define)
"""

_OLDER = """
(record_struct_declaration name: (identifier) @class.name) @class
(record_struct_declaration (parameter_list (parameter name: (identifier) @class.field)))
(for_each_statement) @decision.for_each
(for_each_statement left: (identifier) @local)
(case_switch_label) @decision.case
(case_pattern_switch_label) @decision.case
(implicit_parameter_list (parameter name: (identifier) @local))
(if_directive (_) @tokens)
(elif_directive (_) @tokens)
"""

_NEWER = """
(class_declaration (parameter_list (parameter name: (identifier) @class.field)))
(struct_declaration (parameter_list (parameter name: (identifier) @class.field)))
(foreach_statement) @decision.for_each
(foreach_statement left: (identifier) @local)
(switch_section "case" @decision.case)
(implicit_parameter) @local
(preproc_if condition: (_) @tokens)
(preproc_elif condition: (_) @tokens)
(method_declaration
  returns: [(identifier) (qualified_name) (generic_name) (nullable_type) (array_type) (tuple_type)] @type)
"""

_COMMENT = re.compile(rb"/\*.*?\*/|//[^\r\n]*", re.DOTALL)
_USING = re.compile(
    r"(?:global\s+)?using\s+(?P<static>static\s+)?(?:unsafe\s+)?(?:(?P<alias>@?\w+)\s*=\s*)?(?P<name>[\w.@:\s]+)"
)


def _imports(captures: Captures) -> list[Import]:
    """`using a.b` and `using static a.B` take everything; `using x = a.B` gives one thing another name."""
    found = []
    for source in captures.get("import", ()):
        match = _USING.match(_COMMENT.sub(b" ", source).decode("utf-8", "replace"))
        if match is None:
            continue
        module = "".join(match["name"].split()).replace("global::", "").replace("::", ".")
        if match["alias"]:
            found.append(Import(module, (), match["alias"]))
        else:
            found.append(Import(module, ("*",)))
    return found


_BUILT_IN = (
    "var dynamic bool byte sbyte char decimal double float int uint long ulong short ushort nint nuint "
    "object string void class struct new notnull unmanaged default in out ref"
)

CSHARP = LanguageSpec(
    language="csharp",
    grammars={"": "csharp"},
    query=_QUERY,
    query_older=_OLDER,
    query_newer=_NEWER,
    imports=_imports,
    weights={"default": -1},
    read_tokens=lambda _source, _start, _end: (),  # conditions of directives are no code
    ignored_types=frozenset(_BUILT_IN.split()),
)
