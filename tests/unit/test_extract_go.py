"""What the extractor reads of Go."""

from __future__ import annotations

import textwrap

import lizard
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import Import
from tests.support.source import Source

SOURCE = Source("go", ".go")
read, classes = SOURCE.read, SOURCE.classes


LIKE_LIZARD = [
    ("return a", 0),
    ("if a { b() } else if c { d() } else { e() }", 2),
    ("if err := f(); err != nil { return err }", 1),
    ("for i := 0; i < n; i++ { }", 1),
    ("for { break }", 1),
    ("for range xs { }", 1),
    ("for k, v := range xs { f(k, v) }", 1),
    ("switch a {\ncase 1, 2:\n\tb()\n\tfallthrough\ncase 3:\ndefault:\n}", 2),
    ("switch { case a: }", 1),
    ("switch t := a.(type) {\ncase int, string:\ncase nil:\ndefault:\n}", 2),
    ("select {\ncase x := <-c:\n\tf(x)\ncase c <- 1:\ndefault:\n}", 2),
    ("return a && b || !c", 2),
    ("return a & b | c &^ d", 0),
    ("defer f()\ngo g()\ngoto end\nend:\n\treturn nil", 0),
    ('s := "if a && b" // if a && b\nreturn s', 0),
    ("s := `for {\n if`\nreturn s", 0),
    ("return x.(*T).y[1:2]", 0),
]


@pytest.mark.parametrize(("body", "decisions"), LIKE_LIZARD)
def test_counts_the_decisions_of_a_function_as_lizard_does(body: str, decisions: int) -> None:
    source = f"package a\n\nfunc f(a, b int) any {{\n{textwrap.indent(body, '    ')}\n}}\n"

    (function,) = read(source).functions
    (theirs,) = lizard.analyze_file.analyze_source_code("a.go", source).function_list

    assert function.complexity == decisions + 1 == theirs.cyclomatic_complexity


def test_function_literals_are_part_of_the_function_around_them() -> None:
    facts = read("""
        package a
        func f() {
            g := func() { if a { } }
            go func() { for { h(func() bool { return a || b }) } }()
        }
        var x = func() int { if a { return 1 }; return 2 }
    """)

    assert [(each.name, each.complexity) for each in facts.functions] == [("f", 4), ("<anonymous>", 2)]


def test_methods_belong_to_the_type_of_their_receiver() -> None:
    facts = read("""\
        package a

        func (t *T) A() {}
        func (t T) B() {
        }
        func (q *Q[K, V]) C() {}
        func (Q[_, _]) D() {}
        func E[T any](x T) {}
    """)

    assert [(each.name, each.line, each.end_line) for each in facts.functions] == [
        ("T.A", 3, 3),
        ("T.B", 4, 5),
        ("Q.C", 6, 6),
        ("Q.D", 7, 7),
        ("E", 8, 8),
    ]
    assert facts.defines == ("E",)


def test_reads_embedded_types_as_bases() -> None:
    found = classes("""
        package a
        type S struct {
            Base
            *pkg.Other
            G[int]
            x, y int
            z struct { Inner }
        }
        type I interface {
            io.Reader
            Closer
            M(a int) error
        }
        type Number interface { ~int | ~float64 }
    """)

    assert {name: each.bases for name, each in found.items()} == {
        "S": ("Base", "pkg.Other", "G"),
        "I": ("io.Reader", "Closer"),
        "Number": (),
    }


def test_methods_are_connected_by_fields_and_calls() -> None:
    found = classes("""
        package a
        type S struct { x, y, z int }
        func (s *S) A() int { return s.x }
        func (s *S) B() { s.x = 1 }
        func (other S) C() { other.D() }
        func (s S) D() { func() { s.y++ }() }
        func (s S) E() int { return t.x }
        func (m *Elsewhere) F() {}
    """)

    assert (found["S"].methods, found["S"].lcom4) == (5, 3)  # A B, C D, E
    assert (found["Elsewhere"].methods, found["Elsewhere"].lcom4) == (1, 1)


def test_reads_the_package_and_its_imports() -> None:
    facts = read("""
        package main
        import (
            "fmt"
            f "example.com/x/y" // why
            . "a"
            _ "embed"
        )
        import `b/v2`
    """)

    assert facts.package == "main"
    assert facts.imports == (
        Import("fmt"),
        Import("example.com/x/y", (), "f"),
        Import("a", ("*",)),
        Import("embed", (), "_"),
        Import("b/v2"),
    )


def test_reads_what_is_defined_at_the_top_level() -> None:
    facts = read("""
        package a
        const A, B = 1, 2
        const (
            C = iota
            D
        )
        var E, F int
        var (
            G = 1
        )
        type H int
        type I = H
        type ( J struct{}; K interface{} )
        func L() { var x int; type y int; const z = 1 }
        func (J) M() {}
    """)

    assert set(facts.defines) == set("ABCDEFGHIJKL")


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("make[T]()", {"make", "T"}), ("q.Make[q.T]()", {"q.Make", "q.T"}), ("make[*T]()", {"make", "T"}),
        ("make[T](1)", {"make", "T"}), ("q.Make[T](1, 2)", {"q.Make", "T"}), ("make[int]()", {"make"}),
        ("make[K, V]()", {"make", "K", "V"}), ("make[[]T]()", {"make", "T"}), ("m[\"x\"](1)", set()),
    ],
)  # fmt: skip
def test_reads_calls_of_generic_functions(call: str, names: set[str]) -> None:
    facts = read(f"package a\nfunc f() {{ {call} }}\n")

    assert {f"{each.qualifier}.{each.name}".strip(".") for each in facts.references} == names


def test_reads_calls_and_named_types() -> None:
    facts = read("""
        package a
        func f(x *pkg.T, y map[string]U) (z V) {
            g(x.y.h(1))
            k().m()
            _ = W{n: 1}
            return V(1)
        }
    """)

    assert {(each.qualifier, each.name) for each in facts.references} == {
        ("pkg", "T"),
        ("", "U"),
        ("", "V"),
        ("", "g"),
        ("x.y", "h"),
        ("", "k"),
        ("?", "m"),
        ("", "W"),
    }


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_never_raises(source: bytes) -> None:
    assert extract(b"package a\nfunc f() {" + source, "go", ".go").language == "go"


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([body for body, _ in LIKE_LIZARD if "`" not in body]), st.data())
def test_comments_and_blank_lines_change_nothing(body: str, data: st.DataObject) -> None:
    lines = f"package a\nfunc f() any {{\n{body}\n}}\n".splitlines()
    before = [function.complexity for function in read("\n".join(lines)).functions]
    for position in sorted(data.draw(st.sets(st.integers(0, len(lines)))), reverse=True):
        lines.insert(position, data.draw(st.sampled_from(["", "\t", "// if a && b {", "/* case 1:\n */"])))

    assert [function.complexity for function in read("\n".join(lines)).functions] == before
