"""What the extractor reads of Rust."""

from __future__ import annotations

import lizard
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import Import
from tests.support.source import Source

SOURCE = Source("rust", ".rs")
read, classes = SOURCE.read, SOURCE.classes


LIKE_LIZARD = [
    ("a", 0),
    ("if a { b() } else if c { d() } else { e() }", 2),
    ("if let Some(x) = a { } else { }", 1),
    ("while a { } while let Some(x) = b { }", 2),
    ("loop { break; }", 0),
    ("'outer: for x in y { continue 'outer; }", 1),
    ("match a { 1 | 2 => b, 3 => { c } _ => d }", 2),
    ("match a { x => b }", 0),
    ("match a { 1 if b => c, _ => d }", 2),
    ("match a { 1 => match b { 2 => 3, _ => 4 }, _ => 5 }", 2),
    ("let x = a()?.b()?; x", 2),
    ("let Some(x) = a else { return };", 1),
    ("a && b || c", 2),
    ("a & b | c", 0),
    ("a.map(|x| if x { 1 } else { 2 })", 1),
    ("assert!(a && b);", 1),
    ("matches!(a, B | C if d)", 1),
    ('println!("if a && b? {}", c?)', 1),
    ("unsafe { *a }", 0),
    ("let f = |x: u8| -> u8 { x }; async { a.await }", 0),
    ('let s = "if a && b"; // if a?', 0),
]

UNLIKE_LIZARD = [
    ("let f = || 1; let g = move || 2;", 0),
    ("let a: &&str = &&b;", 0),
    ("vec.iter().for_each(|&&x| drop(x))", 0),
    ("spawn!(move || 1, &&x, || 2)", 0),
    ("debug!(?error, value = ?x)", 0),
    ("match a {}", 0),
]


@pytest.mark.parametrize(("body", "decisions"), LIKE_LIZARD + UNLIKE_LIZARD)
def test_counts_the_decisions_of_a_function(body: str, decisions: int) -> None:
    (function,) = read(f"fn f(a: i32) {{\n    {body}\n}}\n").functions

    assert function.complexity == decisions + 1


@pytest.mark.parametrize("body", [body for body, _ in LIKE_LIZARD])
def test_agrees_with_lizard(body: str) -> None:
    source = f"fn f(a: i32) {{\n    {body}\n}}\n"

    (function,) = read(source).functions
    (theirs,) = lizard.analyze_file.analyze_source_code("a.rs", source).function_list

    assert function.complexity == theirs.cyclomatic_complexity


def test_bounds_of_types_are_no_decisions() -> None:
    (function,) = read("fn f<T: ?Sized>(a: &T) where T: for<'a> Fn(&'a u8) {}").functions

    assert function.complexity == 1


def test_functions_are_named_by_what_they_stand_in() -> None:
    facts = read("""\
        fn a() {
            fn b() { if x {} }
            let c = || if y {};
        }
        impl<T> A<T> {
            pub fn d(&self) {}
        }
        impl fmt::Display for a::B { fn e() {} }
        trait C { fn f(&self); fn g(&self) { h() } }
        mod m { fn i() {} struct D; impl D { fn j() {} } }
        impl<T> Tr for [T] { fn k() {} }
    """)

    assert [(each.name, each.complexity) for each in facts.functions] == [
        ("a", 2),
        ("a.b", 2),
        ("A.d", 1),
        ("B.e", 1),
        ("C.g", 1),
        ("m.i", 1),
        ("m.D.j", 1),
        ("k", 1),
    ]
    assert (facts.functions[0].line, facts.functions[0].end_line) == (1, 4)


def test_implemented_traits_are_bases() -> None:
    found = classes("""
        struct A<T>(T);
        enum B { X, Y(u8) }
        union U { a: u8 }
        trait T: Base + std::fmt::Debug {}
        impl<T> fmt::Display for A<T> {}
        impl From<u8> for A<u8> {}
        impl<'a> T for &'a B {}
        impl T for other::C {}
        impl A<u8> {}
    """)

    assert {name: each.bases for name, each in found.items()} == {
        "A": ("fmt::Display", "From"),
        "B": ("T",),
        "U": (),
        "T": ("Base", "std::fmt::Debug"),
        "C": ("T",),
    }


def test_methods_are_connected_by_fields_and_calls() -> None:
    found = classes("""
        struct A { x: u8, y: u8, z: u8 }
        impl A {
            fn new() -> Self { A { x: 1 } }
            fn a(&self) -> u8 { self.x }
            fn b(&mut self) { self.x = 2; }
            fn c(&self) { self.d() }
        }
        impl Display for A {
            fn d(&self) { write!(f, "{}", self.y) }
            fn e(self) -> u8 { other.x }
        }
    """)

    assert (found["A"].methods, found["A"].lcom4) == (6, 3)  # a b, c d, e


@pytest.mark.parametrize(
    ("statement", "imports"),
    [
        ("use a;", [Import("a")]),
        ("use a as b;", [Import("a", (), "b")]),
        ("pub(crate) use a::b::C;", [Import("a::b", ("C",))]),
        ("use a::B as C;", [Import("a", ("B",), "C")]),
        ("use a::*;", [Import("a", ("*",))]),
        ("use a::{b, c::{self, D as E, f::*}};", [
            Import("a::c"), Import("a::c", ("D",), "E"), Import("a", ("b",)), Import("a::c::f", ("*",)),
        ]),
        ("use a::{\n    B, // why\n    C,\n};", [Import("a", ("B", "C"))]),
        ("use a::{self as b};", [Import("a", (), "b")]),
        ("use crate::a::B;", [Import("crate::a", ("B",))]),
        ("use self::a; use super::super::b;", [Import("self", ("a",)), Import("super::super", ("b",))]),
        ("use ::a::b;", [Import("a", ("b",))]),
        ("use r#type::r#fn;", [Import("type", ("fn",))]),
        ("extern crate a; extern crate b as c;", [Import("a"), Import("b", (), "c")]),
        ("mod a; pub mod b;", [Import("self::a"), Import("self::b")]),
        ("mod a { mod b; use c::D; }", [Import("self::a::b"), Import("c", ("D",))]),
        ("mod tests { use super::*; }", [Import("self", ("*",))]),
        ("mod a { mod b { use super::c::D; use super::super::super::E; } }", [
            Import("self::a::c", ("D",)), Import("super", ("E",)),
        ]),
        ("fn f() { use a::B; }", [Import("a", ("B",))]),
    ],
)  # fmt: skip
def test_reads_imports(statement: str, imports: list[Import]) -> None:
    assert list(read(statement).imports) == imports


def test_reads_what_is_defined_at_the_top_level() -> None:
    facts = read("""
        const A: u8 = 1; static B: u8 = 2; type C = u8;
        struct D; enum E {} trait F {} fn g() { const X: u8 = 1; }
        macro_rules! h { () => {} }
        mod i { fn x() {} }
        mod j;
        impl D { fn x() {} }
    """)

    assert set(facts.defines) == {"A", "B", "C", "D", "E", "F", "g", "h", "i", "j"}


def test_reads_calls_and_named_types() -> None:
    facts = read("""
        fn f(x: &a::T) -> Option<U> {
            g(x.y.h());
            b::C::<u8>::new();
            k().m::<V>();
            Self::n();
            assert_eq!(o(1), self.p(q::r()));
            W { s: 1 }
        }
    """)

    assert {(each.qualifier, each.name) for each in facts.references} == {
        ("a", "T"),
        ("", "U"),
        ("", "g"),
        ("x.y", "h"),
        ("b::C", "new"),
        ("", "k"),
        ("?", "m"),
        ("", "V"),
        ("Self", "n"),
        ("", "assert_eq"),
        ("", "o"),
        ("self", "p"),
        ("q", "r"),
        ("", "W"),
    }


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_never_raises(source: bytes) -> None:
    assert extract(b"fn f() { match x { " + source, "rust", ".rs").language == "rust"


PIECES = [
    "use a::{",
    "}",
    "{",
    "self",
    "::",
    ",",
    " as b",
    "*",
    ";",
    "mod m {",
    "m!(",
    "self.x",
    "\0",
    '"',
    "r#",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_never_raises_on_what_is_nearly_rust(pieces: list[str]) -> None:
    assert extract("".join(pieces).encode(), "rust", ".rs").language == "rust"


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([body for body, _ in LIKE_LIZARD]), st.data())
def test_comments_and_blank_lines_change_nothing(body: str, data: st.DataObject) -> None:
    lines = f"fn f() {{\n{body}\n}}\n".splitlines()
    for position in sorted(data.draw(st.sets(st.integers(0, len(lines)))), reverse=True):
        lines.insert(position, data.draw(st.sampled_from(["", "  ", "// if a && b? {", "/* a => b,\n */"])))

    (before,) = read(f"fn f() {{\n{body}\n}}\n").functions
    (after,) = read("\n".join(lines)).functions

    assert after.complexity == before.complexity
