"""What one source file says, before it is known what its names refer to. Stored by the hash of its bytes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Language = Literal["typescript", "python", "rust", "go", "java", "csharp"]

SUFFIXES: dict[str, Language] = {
    ".py": "python",
    ".pyi": "python",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "typescript",
    ".js": "typescript",
    ".mjs": "typescript",
    ".cjs": "typescript",
    ".jsx": "typescript",
    ".rs": "rust",
    ".go": "go",
    ".java": "java",
    ".cs": "csharp",
}

VERSION = 1
"""Raised whenever the same bytes would give other facts: facts of another version are not used again."""


class Function(Struct, frozen=True, array_like=True):
    """A function, method, lambda with a name, or constructor. Lines count from 1.

    `name` is qualified within the file by a dot: `Class.method`, `outer.inner`. `complexity` is McCabe's,
    decisions + 1; the decisions of a named function inside it are not its own.
    """

    name: str
    line: int
    end_line: int
    complexity: int


class ClassFacts(Struct, frozen=True, array_like=True):
    """A class, struct, interface or trait. `bases` are names as written, without type arguments.

    `lcom4` counts the connected groups of its methods (they are connected by a field that both use, or by a
    call of one from the other); 0 where it has no methods. Constructors and static methods are no part of it.
    A type whose methods or traits stand in another file (Go, Rust) is listed in both.
    """

    name: str
    line: int
    end_line: int
    bases: tuple[str, ...]
    methods: int
    lcom4: int


class Import(Struct, frozen=True, array_like=True):
    """One imported module as it is written: `.models`, `../a`, `crate::x`, `example.com/a/b`, `com.a.B`.

    `names` are what is taken from it, `*` for everything, empty for the module itself; `alias` is the name
    under which the module is used, empty for its own. A name that is taken under another one is an import by
    itself: one name, and its `alias`.
    """

    module: str
    names: tuple[str, ...] = ()
    alias: str = ""


class Reference(Struct, frozen=True, array_like=True):
    """A use of a name: a call, or a type that is named. `qualifier` is what stands before its last dot (in
    Rust also `::`) as it is written, `?` where that is no dotted name, as in `make().run()`.

    `function` is the position of the function that it stands in, -1 for the top level.
    """

    name: str
    qualifier: str
    function: int


class FileFacts(Struct, frozen=True, kw_only=True, array_like=True):
    """All facts of one file.

    Attributes:
        package: the package, namespace or module that the file says it belongs to, empty where it says none.
        defines: the names that it defines at its top level.
        references: each (name, qualifier, function) once.
        broken: whether the parser met something that it could not read.
    """

    language: Language
    lines: int
    functions: tuple[Function, ...] = ()
    classes: tuple[ClassFacts, ...] = ()
    imports: tuple[Import, ...] = ()
    package: str = ""
    defines: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    broken: bool = False
