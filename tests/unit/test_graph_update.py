"""A graph that was kept up to date through any changes is the graph that is built afresh."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.facts import ClassFacts, FileFacts, Function, Import, Language, Reference
from lynkr_desktop.engine.analysis.graph import CodeGraph

NAMES = ("ant", "bee", "cow", "dog")


def words(text: str) -> list[str]:
    return text.split()


PATHS: dict[Language, list[str]] = {
    "python": words("""
        ant.py bee.py cow/__init__.py cow/ant.py cow/bee.py cow/dog/__init__.py cow/dog/ant.py dog/ant.py
        src/ant/__init__.py src/ant/bee.py tests/test_ant.py tests/bee.py vendor/ant/__init__.py
    """),
    "typescript": words("""
        ant.ts bee.js cow/index.ts cow/ant.tsx cow/bee.d.ts cow/zebra.ts dog/src/index.ts dog/src/ant.ts
        dog/ant.spec.ts elk/src/index.ts elk/bee.mjs
    """),
    "rust": words("""
        src/lib.rs src/main.rs src/ant.rs src/bee/mod.rs src/bee/cow.rs src/ant/dog.rs tests/ant.rs
        tests/bee/mod.rs dog/src/lib.rs dog/src/cow.rs
    """),
    "go": words("main.go ant/x.go ant/y.go ant/x_test.go bee/x.go cow/ant/x.go dog/x.go gnu/x.go"),
    "java": words("A.java ant/X.java ant/Y.java src/test/java/ant/XTest.java bee/X.java vendor/ant/X.java"),
    "csharp": words("A.cs ant/X.cs ant/X.Part.cs bee/X.cs ant.Tests/XTests.cs vendor/ant/X.cs"),
}
MODULES: dict[Language, list[str]] = {
    "python": words("ant bee cow cow.ant cow.dog ant.bee . .. .ant ..ant .dog.ant dog.ant json ...ant"),
    "typescript": words(
        "./ant ./bee ./bee.js ../ant ./cow .. @x/dog @x/dog/ant elk ~/ant #bee @q ant/bee fs"
    ),
    "rust": words("""
        self::ant self::bee crate crate::ant crate::bee::cow super super::ant super::super dog dog::cow
    """),
    "go": words("x.org/m x.org/m/ant x.org/m/bee x.org/m/cow/ant x.org/yak x.org/fox ant fmt"),
    "java": words("ant.ant ant.bee bee.ant bee ant ant.bee.cow java.util.ant"),
    "csharp": words("ant bee ant.bee bee.ant ant.bee.cow System"),
}
SETTINGS: dict[str, tuple[bytes, bytes]] = {
    "tsconfig.json": (
        b'{"compilerOptions": {"paths": {"~/*": ["cow/*"], "@q": ["cow/zebra"]}}}',
        b'{"compilerOptions": {"baseUrl": "cow"}}',
    ),
    "dog/package.json": (
        b'{"name": "@x/dog", "exports": {".": "./dist/index.js", "./*": "./src/*.ts"}}',
        b"{",
    ),
    "elk/package.json": (b'{"name": "elk", "imports": {"#bee": "./bee.mjs"}}', b'{"name": "@x/dog"}'),
    "Cargo.toml": (
        b'[package]\nname = "r"\nedition = "2021"\n[dependencies]\ndog = {path = "dog"}',
        b'[package]\nname = "r"\n[lib]\npath = "src/ant.rs"',
    ),
    "dog/Cargo.toml": (b'[package]\nname = "dog"', b"["),
    "go.mod": (b"module x.org/m\nreplace x.org/yak => ./dog", b"module x.org/yak"),
    "gnu/go.mod": (b"module x.org/fox", b""),
    "pyproject.toml": (b"[project]", b""),
}
QUALIFIERS = ["", "", *words("self this ant bee cow ant.bee cow.dog crate::ant super self.ant ? dog.cow.bee")]
_DOTTED = ("ant", "bee", "ant.bee", "")
PACKAGES: dict[Language, tuple[str, ...]] = {
    "go": ("ant", "bee", "main"),
    "java": _DOTTED,
    "csharp": _DOTTED,
}

Changes = tuple[dict[str, FileFacts | None], dict[str, bytes | None]]


def some(chance: Random, values: Sequence[str], most: int) -> tuple[str, ...]:
    return tuple(chance.choice(values) for _ in range(chance.randint(0, most)))


def facts(chance: Random, language: Language) -> FileFacts:
    """A file in which few names stand for many things."""
    functions = tuple(
        Function(name, 1, 2, chance.randint(1, 9))
        for name in some(chance, ("ant", "bee", "cow.ant", "dog.bee"), 3)
    )
    classes = [
        ClassFacts(
            name, 1, 2, some(chance, ("ant", "bee", "cow.ant", "ant::bee"), 2), 1, chance.randint(0, 3)
        )
        for name in some(chance, NAMES, 2)
    ]
    imports = [
        Import(module, some(chance, (*NAMES, "*", "default"), 2), chance.choice(("", "", "ant", "_", "z")))
        for module in some(chance, MODULES[language], 3)
    ]
    if chance.random() < 0.1:
        return FileFacts(language=language, lines=1, imports=tuple(imports))
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
