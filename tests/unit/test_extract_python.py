"""What the extractor reads of Python."""

from __future__ import annotations

import sysconfig
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from radon.visitors import ComplexityVisitor

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import Import
from tests.support.source import Source

SOURCE = Source("python", ".py")
read, complexities, classes, references = SOURCE.read, SOURCE.complexities, SOURCE.classes, SOURCE.references


LIKE_RADON = [
    ("return a", 0),
    ("if a: pass\nelif b: pass\nelse: pass", 2),
    ("for a in b: pass", 1),
    ("async def g():\n    async for a in b: pass", 0),
    ("while a: pass", 1),
    ("try: pass\nexcept A: pass\nexcept (B, C) as e: pass\nfinally: pass", 2),
    ("try: pass\nexcept* A: pass", 1),
    ("with a as b, c: pass", 0),
    ("return a if b else c if d else e", 2),
    ("return a and b and c or d", 3),
    ("return not a", 0),
    ("return a < b < c", 0),
    ("return [x for x in y if x if z]", 3),
    ("return {x: z for x in y for z in x}", 2),
    ("return {x for x in y if x}, (x for x in y)", 3),
    ("assert a, b", 1),
    ("return lambda x: 1 if x else 2", 1),
    ("match a:\n    case 1: pass\n    case [x, y]: pass\n    case _: pass", 2),
    ("match a:\n    case 1 | 2: pass\n    case A(b=1): pass", 2),
    ("return 'if a and b else c'  # if a and b", 0),
    ("return f'{a if b else c}'", 1),
    ("if (a := b) and c: pass", 2),
    ("global a; del b; raise C from d", 0),
]

UNLIKE_RADON = [
    ("for a in b: pass\nelse: pass", 1),
    ("while a: pass\nelse: pass", 1),
    ("try: pass\nexcept A: pass\nelse: pass", 1),
    ("match a:\n    case 1 if b: pass\n    case _: pass", 2),
    ("match a:\n    case 1: pass\n    case _ if b: pass", 3),
    ("assert a and b", 2),
]


@pytest.mark.parametrize(("body", "decisions"), LIKE_RADON + UNLIKE_RADON)
def test_counts_the_decisions_of_a_function(body: str, decisions: int) -> None:
    source = "def f(a, b):\n" + textwrap.indent(body, "    ") + "\n"

    assert complexities(source)["f"] == decisions + 1


@pytest.mark.parametrize("body", [body for body, _ in LIKE_RADON if "except*" not in body])
def test_agrees_with_radon(body: str) -> None:
    source = "def f(a, b):\n" + textwrap.indent(body, "    ") + "\n"

    (function,) = ComplexityVisitor.from_code(source).functions

    assert complexities(source)["f"] == function.complexity


def test_agrees_with_radon_on_the_standard_library() -> None:
    """A small part; `benchmarks/analysis/complexity.py` compares all of it."""
    folder = Path(sysconfig.get_path("stdlib"))
    differ, total = [], 0
    for path in sorted(folder.glob("[a-f]*.py")):
        source = path.read_bytes()
        visitor = ComplexityVisitor.from_code(source.decode())
        theirs = {(each.name, each.lineno): each.complexity for each in visitor.functions}
        theirs |= {(m.name, m.lineno): m.complexity for each in visitor.classes for m in each.methods}
        for function in extract(source, "python", ".py").functions:
            expected = theirs.get((function.name.rsplit(".", 1)[-1], function.line))
            if expected is not None:
                total += 1
                if expected != function.complexity:
                    differ.append(f"{path.name} {function.name}")

    assert total > 1000
    assert len(differ) < total * 0.03, differ  # loops and `try` with an `else`, which radon counts


def test_decisions_belong_to_the_innermost_named_function() -> None:
    source = """
        def outer(a):
            if a:
                def inner(b):
                    return b or 1
                class Local:
                    def method(self):
                        while self: pass
            return inner
        if outer: pass
    """

    assert complexities(source) == {"outer": 2, "outer.inner": 2, "outer.Local.method": 2}


def test_functions_have_lines_and_qualified_names() -> None:
    (first, second) = read("""\
        class A:
            @property
            def x(self):
                return 1

            async def y(self): pass
    """).functions

    assert (first.name, first.line, first.end_line) == ("A.x", 3, 4)
    assert (second.name, second.line, second.end_line) == ("A.y", 6, 6)


def test_reads_bases() -> None:
    found = classes("""
        class A: pass
        class B(A, c.D, Generic[T], metaclass=M): pass
        class C(namedtuple("C", "a b")):
            class Inner(A): pass
    """)

    assert {name: each.bases for name, each in found.items()} == {
        "A": (),
        "B": ("A", "c.D", "Generic"),
        "C": ("namedtuple",),
        "C.Inner": ("A",),
    }


def test_methods_are_connected_by_fields_and_calls() -> None:
    found = classes("""
        class A:
            def __init__(self): self.x = self.y = self.z = 1
            def a(self): return self.x
            def b(self): self.x = 2
            def c(self): return self.d()
            def d(self): return self.y
            def e(self): return other.x
            @staticmethod
            def f(x): return x
            @classmethod
            def g(cls): return cls.E
            def h(this):
                def inner(): return this.E
                return inner
        class B:
            pass
        class C:
            @property
            def x(self): return 1
            @x.setter
            def x(self, value): pass
    """)

    assert found["A"].methods == 9
    assert found["A"].lcom4 == 4  # a b, c d, e, g h
    assert (found["B"].methods, found["B"].lcom4) == (0, 0)
    assert found["C"].lcom4 == 1


@pytest.mark.parametrize(
    ("statement", "imports"),
    [
        ("import a", [Import("a")]),
        ("import a.b.c as d, e", [Import("a.b.c", (), "d"), Import("e")]),
        ("from a import b", [Import("a", ("b",))]),
        ("from a.b import c as d, e", [Import("a.b", ("c",), "d"), Import("a.b", ("e",))]),
        ("from a import (b,  # why\n    c,\n)", [Import("a", ("b", "c"))]),
        ("from a import (b as c)", [Import("a", ("b",), "c")]),
        ("from a import *", [Import("a", ("*",))]),
        ("from . import a", [Import(".", ("a",))]),
        ("from .. import a", [Import("..", ("a",))]),
        ("from ...a.b import c", [Import("...a.b", ("c",))]),
        ("from .a import \\\n    b", [Import(".a", ("b",))]),
        ("from __future__ import annotations", [Import("__future__", ("annotations",))]),
        ("def f():\n    import a", [Import("a")]),
        ("if TYPE_CHECKING:\n    from a import B", [Import("a", ("B",))]),
        ("try:\n    import a\nexcept ImportError:\n    a = None", [Import("a")]),
        ("x = 'import a'", []),
    ],
)
def test_reads_imports(statement: str, imports: list[Import]) -> None:
    assert list(read(statement + "\n").imports) == imports


def test_reads_what_is_defined_at_the_top_level() -> None:
    facts = read("""
        X = 1
        Y: int = 2
        def f(): z = 1
        class A:
            w = 1
            def g(self): pass
        if X:
            def h(): pass
    """)

    assert set(facts.defines) == {"X", "Y", "f", "A", "h"}


def test_reads_calls_and_named_types() -> None:
    found = references("""
        @decorate
        class A:
            x: "B"
            def m(self, a: c.D | None) -> list[E]:
                self.n()
                f(g.h.i(1))
                make().run()
                return f(2)
        top()
    """)

    assert found == {
        ("", "decorate", ""),
        ("", "B", ""),
        ("c", "D", "A.m"),
        ("", "list", "A.m"),
        ("", "E", "A.m"),
        ("self", "n", "A.m"),
        ("", "f", "A.m"),
        ("g.h", "i", "A.m"),
        ("", "make", "A.m"),
        ("?", "run", "A.m"),
        ("", "top", ""),
    }


def test_says_whether_source_is_broken_and_reads_the_rest() -> None:
    facts = read("""
        def a(x):
            return x if x else 1
        def b(:
        class C:
            def d(self): pass
    """)

    assert facts.broken
    assert "a" in {function.name for function in facts.functions}
    assert not read("def a(): pass\n").broken


@pytest.mark.parametrize(("source", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2)])
def test_counts_lines(source: bytes, lines: int) -> None:
    assert extract(source, "python", ".py").lines == lines


def test_reads_source_that_is_no_utf_8() -> None:
    source = "def größe():\n    return 'ä' if x else 1\n@é\n@staticmethod\ndef g(): pass\n".encode("latin-1")

    facts = extract(source, "python", ".py")

    assert [function.complexity for function in facts.functions] == [2, 1]
    assert not facts.broken


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_never_raises(source: bytes) -> None:
    assert extract(source, "python", ".py").lines == len(source.split(b"\n")) - (source[-1:] in (b"\n", b""))


PIECES = [
    "def f():\n",
    "class A(",
    "):\n",
    "    ",
    "if x:\n",
    "import a",
    "from . ",
    "(",
    ")",
    "self.x",
    "'",
    '"""',
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, "\n", "\0", "match x:\n", "case ", "@", ":", "\xff"]), max_size=40))
def test_never_raises_on_what_is_nearly_python(pieces: list[str]) -> None:
    source = "".join(pieces).encode("latin-1")

    assert extract(source, "python", ".py") == extract(source, "python", ".py")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([body for body, _ in LIKE_RADON]), min_size=1, max_size=5), st.data())
def test_comments_and_blank_lines_change_nothing(bodies: list[str], data: st.DataObject) -> None:
    code = "".join(f"def f{index}():\n{textwrap.indent(body, '    ')}\n" for index, body in enumerate(bodies))
    lines = code.splitlines()
    for position in sorted(data.draw(st.sets(st.integers(0, len(lines)))), reverse=True):
        lines.insert(
            position, data.draw(st.sampled_from(["", "   ", "# if a and b: pass", "        # else"]))
        )

    assert complexities("\n".join(lines)) == complexities(code)


@pytest.mark.parametrize(
    "source", [b"(" * 10_000, b"x = " + b"[" * 10_000 + b"]" * 10_000, b"f" + b"(1)" * 10_000]
)
def test_deep_nesting_is_no_danger(source: bytes) -> None:
    assert extract(source, "python", ".py").lines == 1
