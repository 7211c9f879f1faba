"""Java."""

from __future__ import annotations

import re

from lynkr_desktop.engine.analysis.facts import Import
from lynkr_desktop.engine.analysis.languages.spec import Captures, LanguageSpec

# Constructors count as methods without an object, as they touch every field. No body, no function.
_QUERY = """
(package_declaration [(identifier) (scoped_identifier)] @package)
(import_declaration) @import

(method_declaration name: (identifier) @function.name body: (block)) @function
(constructor_declaration name: (identifier) @function.name) @function
(compact_constructor_declaration name: (identifier) @function.name) @function
(static_initializer "static" @function.name) @function
(method_declaration (modifiers "static") name: (identifier) @function.static)
(constructor_declaration name: (identifier) @function.static)
(compact_constructor_declaration name: (identifier) @function.static)
(static_initializer "static" @function.static)

(class_declaration name: (identifier) @class.name) @class
(interface_declaration name: (identifier) @class.name) @class
(enum_declaration name: (identifier) @class.name) @class
(record_declaration name: (identifier) @class.name) @class
(annotation_type_declaration name: (identifier) @class.name) @class
(superclass (_) @class.base)
(super_interfaces (type_list (_) @class.base))
(extends_interfaces (type_list (_) @class.base))
(field_declaration declarator: (variable_declarator name: (identifier) @class.field))
(record_declaration parameters: (formal_parameters (formal_parameter name: (identifier) @class.field)))

(if_statement) @decision.if
(ternary_expression) @decision.conditional
(for_statement) @decision.for
(enhanced_for_statement) @decision.for_each
(while_statement) @decision.while
(do_statement) @decision.do
(catch_clause) @decision.catch
(switch_label "case") @decision.case
(guard) @decision.guard
["&&" "||"] @decision.logical

(identifier) @name
(local_variable_declaration declarator: (variable_declarator name: (identifier) @local))
(formal_parameter name: (identifier) @local)
(spread_parameter (variable_declarator name: (identifier) @local))
(catch_formal_parameter name: (identifier) @local)
(enhanced_for_statement name: (identifier) @local)
(resource name: (identifier) @local)
(lambda_expression parameters: (identifier) @local)
(inferred_parameters (identifier) @local)

(method_invocation) @call.named
(method_reference) @call
(method_reference . (identifier) @type (#match? @type "^[A-Z]"))
[(type_identifier) (scoped_type_identifier)] @type
(marker_annotation name: (_) @type)
(annotation name: (_) @type)
(field_access object: (identifier) @type (#match? @type "^[A-Z]"))
"""

_COMMENT = re.compile(rb"/\*.*?\*/|//[^\r\n]*", re.DOTALL)


def _imports(captures: Captures) -> list[Import]:
    """`a.B` is the module itself, `a.*` everything in it; a static import takes a name from a type."""
    found = []
    for source in captures.get("import", ()):
        words = _COMMENT.sub(b" ", source).decode("utf-8", "replace").rstrip("; \t\r\n").split()
        static = "static" in words[1:2]
        module = "".join(words[2 if static else 1 :])
        if module.endswith(".*"):
            found.append(Import(module[:-2], ("*",)))
        elif static:
            of, _, name = module.rpartition(".")
            found.append(Import(of, (name,)))
        elif module:
            found.append(Import(module))
    return found


_BUILT_IN = (
    "var String Object Integer Long Boolean Double Float Short Byte Character Void Class "
    "Override Deprecated SuppressWarnings FunctionalInterface SafeVarargs"
)

JAVA = LanguageSpec(
    language="java",
    grammars={"": "java"},
    query=_QUERY,
    imports=_imports,
    ignored_types=frozenset(_BUILT_IN.split()),
)
