"""A graph that was kept up to date through any changes is the graph that is built afresh."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.facts import ClassFacts, FileFacts, Function, Import, Language, Reference
from lynkr_desktop.engine.analysis.graph import CodeGraph

NAMES = ("a", "b", "c", "d")
PATHS: dict[Language, tuple[str, ...]] = {
    "python": (
        *("a.py", "b.py", "c/__init__.py", "c/a.py", "c/b.py", "c/d/__init__.py", "c/d/a.py", "d/a.py"),
        *("src/a/__init__.py", "src/a/b.py", "tests/test_a.py", "tests/b.py", "vendor/a/__init__.py"),
    ),
    "typescript": (
        *("a.ts", "b.js", "c/index.ts", "c/a.tsx", "c/b.d.ts", "d/src/index.ts", "d/src/a.ts", "d/a.spec.ts"),
        *("e/src/index.ts", "e/b.mjs"),
    ),
    "rust": (
        *("src/lib.rs", "src/main.rs", "src/a.rs", "src/b/mod.rs", "src/b/c.rs", "src/a/d.rs", "tests/a.rs"),
        *("tests/b/mod.rs", "d/src/lib.rs", "d/src/c.rs"),
    ),
    "go": ("main.go", "a/x.go", "a/y.go", "a/x_test.go", "b/x.go", "c/a/x.go", "d/x.go"),
    "java": ("A.java", "a/X.java", "a/Y.java", "src/test/java/a/XTest.java", "b/X.java", "vendor/a/X.java"),
    "csharp": ("A.cs", "a/X.cs", "a/X.Part.cs", "b/X.cs", "a.Tests/XTests.cs", "vendor/a/X.cs"),
}
MODULES: dict[Language, tuple[str, ...]] = {
    "python": ("a", "b", "c", "c.a", "c.d", "a.b", ".", "..", ".a", "..a", ".d.a", "d.a", "json", "...a"),
    "typescript": (
        "./a",
        "./b",
        "./b.js",
        "../a",
        "./c",
        "..",
        "@x/d",
        "@x/d/a",
        "e",
        "~/a",
        "#b",
        "a/b",
        "fs",
    ),
    "rust": (
        "self::a",
        "self::b",
        "crate",
        "crate::a",
        "crate::b::c",
        "super",
        "super::a",
        "d",
        "d::c",
        "std::a",
    ),
    "go": ("x.org/m", "x.org/m/a", "x.org/m/b", "x.org/m/c/a", "x.org/d", "a", "fmt"),
    "java": ("a.a", "a.b", "b.a", "b", "a", "a.b.c", "java.util.a"),
    "csharp": ("a", "b", "a.b", "b.a", "a.b.c", "System"),
}
SETTINGS = {
    "tsconfig.json": (
        b'{"compilerOptions": {"paths": {"~/*": ["c/*"]}}}',
        b'{"compilerOptions": {"baseUrl": "c"}}',
    ),
    "d/package.json": (b'{"name": "@x/d", "exports": {".": "./dist/index.js", "./*": "./src/*.ts"}}', b"{"),
    "e/package.json": (b'{"name": "e", "imports": {"#b": "./b.mjs"}}', b'{"name": "@x/d"}'),
    "Cargo.toml": (
        b'[package]\nname = "r"\nedition = "2021"\n[dependencies]\nd = {path = "d"}',
        b'[package]\nname = "r"\n[lib]\npath = "src/a.rs"',
    ),
    "d/Cargo.toml": (b'[package]\nname = "d"', b"["),
    "go.mod": (b"module x.org/m\nreplace x.org/d => ./d", b"module x.org/d"),
    "pyproject.toml": (b"[project]", b""),
}


QUALIFIERS = (
    "",
    "",
    "self",
    "this",
    "a",
    "b",
    "c",
    "a.b",
    "c.d",
    "crate::a",
    "super",
    "self.a",
    "?",
    "d.c.b",
)
PACKAGES: dict[Language, tuple[str, ...]] = {"go": ("a", "b", "main"), "java": ("a", "b", "a.b", "")}
PACKAGES["csharp"] = PACKAGES["java"]

Changes = tuple[dict[str, FileFacts | None], dict[str, bytes | None]]


def some(chance: Random, values: Sequence[str], most: int) -> tuple[str, ...]:
    return tuple(chance.choice(values) for _ in range(chance.randint(0, most)))


def facts(chance: Random, language: Language) -> FileFacts:
    """A file in which few names stand for many things."""
    functions = tuple(
        Function(name, 1, 2, chance.randint(1, 9)) for name in some(chance, ("a", "b", "c.a", "d.b"), 3)
    )
    classes = [
        ClassFacts(name, 1, 2, some(chance, ("a", "b", "c.a", "a::b"), 2), 1, chance.randint(0, 3))
        for name in some(chance, NAMES, 2)
    ]
    imports = [
        Import(module, some(chance, (*NAMES, "*", "default"), 2), chance.choice(("", "", "a", "_", "z")))
        for module in some(chance, MODULES[language], 3)
    ]
    references = [
        Reference(chance.choice(NAMES), qualifier, chance.randint(-1, len(functions) - 1))
        for qualifier in some(chance, QUALIFIERS, 7)
    ]
    return FileFacts(
        language=language,
        lines=chance.randint(0, 9),
        functions=functions,
        classes=tuple(classes),
        imports=tuple(imports),
        package=chance.choice(PACKAGES.get(language, ("",))),
        defines=tuple(dict.fromkeys(some(chance, NAMES, 2))),
        references=tuple(dict.fromkeys(references)),
    )


def changes(chance: Random, main: Language) -> Changes:
    """Some files that are written or deleted, and sometimes settings."""
    files: dict[str, FileFacts | None] = {}
    for language in (main, chance.choice(list(PATHS))):
        for path in some(chance, PATHS[language], 3):
            files[path] = facts(chance, language) if chance.random() < 0.7 else None
    names = some(chance, tuple(SETTINGS), 2) if chance.random() < 0.3 else ()
    return files, {name: chance.choice((*SETTINGS[name], None)) for name in names}


@settings(max_examples=400, deadline=None)
@given(language=st.sampled_from(list(PATHS)), seed=st.integers(0, 2**32), steps=st.integers(1, 6))
def test_updates_equal_a_fresh_build(language: Language, seed: int, steps: int) -> None:
    chance = Random(seed)
    files = {path: facts(chance, language) for path in PATHS[language] if chance.random() < 0.7}
    written = {path: contents[0] for path, contents in SETTINGS.items()}
    graph = first = CodeGraph(files, written)
    before = _picture(first)
    for _ in range(steps):
        changed, changed_settings = changes(chance, language)
        graph = graph.update(changed, changed_settings)
        files = {path: found for path, found in {**files, **changed}.items() if found is not None}
        written = {path: text for path, text in {**written, **changed_settings}.items() if text is not None}
        assert _picture(graph) == _picture(CodeGraph(files, written))
    assert _picture(first) == before


def _picture(graph: CodeGraph) -> tuple[object, ...]:
    return graph.paths, graph.edges, [graph.metrics(path) for path in graph.paths]
