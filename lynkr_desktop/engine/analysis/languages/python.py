"""Python."""

from __future__ import annotations

import re

from lynkr_desktop.engine.analysis.facts import Import
from lynkr_desktop.engine.analysis.languages.spec import Captures, LanguageSpec

_QUERY = """
(function_definition name: (identifier) @function.name) @function
(parameters . [
  (identifier) @receiver
  (typed_parameter . (identifier) @receiver)
])
(decorated_definition
  (decorator (identifier) @_decorator)
  definition: (function_definition name: (identifier) @function.static)
  (#eq? @_decorator "staticmethod"))

(class_definition name: (identifier) @class.name) @class
(class_definition superclasses: (argument_list
  [(identifier) (attribute) (subscript) (call)] @class.base))

(if_statement) @decision.if
(elif_clause) @decision.if
(conditional_expression) @decision.if
(for_statement) @decision.for
(while_statement) @decision.while
(except_clause) @decision.except
(boolean_operator) @decision.boolean
(for_in_clause) @decision.comprehension
(list_comprehension (if_clause) @decision.comprehension)
(set_comprehension (if_clause) @decision.comprehension)
(dictionary_comprehension (if_clause) @decision.comprehension)
(generator_expression (if_clause) @decision.comprehension)
(assert_statement) @decision.assert
(case_clause) @decision.case
(case_clause !guard (case_pattern "_")) @decision.default
(case_clause guard: (if_clause) @decision.guard)

(call function: [(identifier) (attribute)] @call)
(decorator [(identifier) (attribute)] @call)
(type) @type

[(import_statement) (import_from_statement) (future_import_statement)] @import

(attribute object: (identifier)) @member
"""

_QUERY_OLDER = """
(except_group_clause) @decision.except
(module (expression_statement (assignment left: (identifier) @define)))
"""

_QUERY_NEWER = """
(module (assignment left: (identifier) @define))
"""

_COMMENT = re.compile(rb"#[^\r\n]*")
_FROM = re.compile(r"from\s*([.\s]*[\w.\s]*?)\s*\bimport\b(.*)", re.DOTALL)


def _imports(captures: Captures) -> list[Import]:
    """`import a.b as c, d` and `from ..a import (b as c, d)`; what is renamed is an import by itself."""
    found = []
    for source in captures.get("import", ()):
        text = _COMMENT.sub(b"", source).replace(b"\\", b" ").decode("utf-8", "replace")
        if text.startswith("from"):
            match = _FROM.match(text)
            if match is None:
                continue
            module = "".join(match[1].split())
            plain = []
            for name, alias in _names(match[2]):
                if alias:
                    found.append(Import(module, (name,), alias))
                else:
                    plain.append(name)
            if plain:
                found.append(Import(module, tuple(plain)))
        else:
            found += [Import(name, (), alias) for name, alias in _names(text.removeprefix("import"))]
    return found


def _names(text: str) -> list[tuple[str, str]]:
    """`(a as b, c)` -> [("a", "b"), ("c", "")]."""
    found = []
    for part in text.replace("(", " ").replace(")", " ").split(","):
        words = part.split()
        if len(words) >= 3 and words[-2] == "as":
            found.append(("".join(words[:-2]), words[-1]))
        elif words:
            found.append(("".join(words), ""))
    return found


PYTHON = LanguageSpec(
    language="python",
    grammars={"": "python"},
    query=_QUERY,
    query_older=_QUERY_OLDER,
    query_newer=_QUERY_NEWER,
    imports=_imports,
    weights={"default": -1},
    constructors=frozenset({"__init__", "__new__", "__post_init__", "__init_subclass__", "__del__"}),
    ignored_types=frozenset({"None", "True", "False", "str", "int", "float", "bool", "bytes", "object"}),
)
