"""What the extractor reads of Java."""

from __future__ import annotations

import textwrap

import lizard
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import Import
from tests.support.source import Source, assert_sound, broken

SOURCE = Source("java", ".java")
read, complexities, classes, references = SOURCE.read, SOURCE.complexities, SOURCE.classes, SOURCE.references


LIKE_LIZARD = [
    ("return a;", 0),
    ("if (a) b(); else if (c) d(); else e();", 2),
    ("for (int i = 0; i < n; i++) {} for (String s : list) {}", 2),
    ("while (a) { }", 1),
    ("do { a(); } while (b);", 1),
    ("switch (a) { case 1: case 2: b(); break; case 3: break; default: c(); }", 3),
    ("switch (a) { case 1, 2 -> b(); default -> c(); }", 1),
    ("int x = switch (a) { case 1: yield 2; case 3: yield 4; default: yield 5; };", 2),
    ("try (var r = open()) { a(); } catch (X | Y e) { b(); } catch (Z e) { } finally { c(); }", 2),
    ("return a ? b : c ? d : e;", 2),
    ("return (a && b) || c;", 2),
    ("return a & b | c ^ d;", 0),
    ("assert a > 0 : b;", 0),
    ("synchronized (this) { a(); }", 0),
    ("List<? extends A> x = a; Map<?, ? super B> y = b;", 0),
    ("list.stream().filter(x -> x != null && x.ok()).map(A::b).forEach(x -> { if (x.y()) z(); });", 2),
    ('String s = "if (a) && b ? c : d"; // if (a) && b', 0),
    ("outer: for (;;) { while (a) { continue outer; } }", 2),
]


@pytest.mark.parametrize(("body", "decisions"), LIKE_LIZARD)
def test_counts_the_decisions_of_a_method_as_lizard_does(body: str, decisions: int) -> None:
    source = f"class T {{\n  Object f(int a) {{\n    {body}\n  }}\n}}\n"
    assert complexities(source) == {"T.f": 1 + decisions}
    (theirs,) = lizard.analyze_file.analyze_source_code("T.java", source).function_list
    assert theirs.cyclomatic_complexity == 1 + decisions


@pytest.mark.parametrize(
    ("body", "decisions"),
    [
        ("switch (o) { case String s when s.isEmpty() -> a(); case Integer i -> b(); default -> c(); }", 3),
        ("if (o instanceof Point(int x, int y) && x > y) a();", 2),
        ("switch (o) { case null, default -> a(); }", 1),
    ],
)
def test_counts_guards_and_patterns(body: str, decisions: int) -> None:
    assert complexities(f"class T {{ Object f(Object o) {{ {body} }} }}") == {"T.f": 1 + decisions}


def test_names_functions_by_where_they_stand() -> None:
    source = """
        class A {
            static { if (x) y(); }
            A() { this(1); }
            A(int a) { }
            @Override
            public <T> T m(
                int a
            ) { return null; }
            class Inner { void n() { } }
            void withAnonymous() { run(new Runnable() { public void run() { if (a) b(); } }); }
        }
        interface I { void none(); default void some() { } static void s() { } }
        enum E { ONE { void each() { } }; E() { } }
        record R(int a, int b) { R { if (a < 0) throw new X(); } int sum() { return a + b; } }
    """
    facts = read(source)
    assert {function.name: function.complexity for function in facts.functions} == {
        "A.static": 2,
        "A.A": 1,
        "A.m": 1,
        "A.Inner.n": 1,
        "A.withAnonymous": 1,
        "A.withAnonymous.run": 2,
        "I.some": 1,
        "I.s": 1,
        "E.each": 1,
        "E.E": 1,
        "R.R": 2,
        "R.sum": 1,
    }
    assert facts.defines == ("A", "I", "E", "R")
    method = next(function for function in facts.functions if function.name == "A.m")
    assert (method.line, method.end_line) == (7, 9)


def test_field_initialisers_and_abstract_methods_are_no_functions() -> None:
    assert complexities("abstract class A { int x = a ? 1 : 2; { if (b) c(); } abstract void f(); }") == {}


def test_package_and_imports() -> None:
    facts = read(
        """
        // package no.such;
        package com.example.shop;
        import java.util.List;
        import java.io.*;
        import static java.lang.Math.max;
        import static java.lang.Math.*;
        import /* odd */ a . b . C ;
        """
    )
    assert facts.package == "com.example.shop"
    assert list(facts.imports) == [
        Import("java.util.List"),
        Import("java.io", ("*",)),
        Import("java.lang.Math", ("max",)),
        Import("java.lang.Math", ("*",)),
        Import("a.b.C"),
    ]


def test_bases() -> None:
    source = """
        class A<T extends X> extends b.C<T> implements I, J<K> { }
        interface L extends M, N<O> { }
        enum E implements I { ONE }
        record R(int a) implements I { }
        @interface Q { int value() default 1; }
    """
    assert {name: each.bases for name, each in classes(source).items()} == {
        "A": ("b.C", "I", "J"),
        "L": ("M", "N"),
        "E": ("I",),
        "R": ("I",),
        "Q": (),
    }


def test_cohesion_of_a_class() -> None:
    source = """
        class Order {
            private final List<Line> lines = new ArrayList<>(), gifts;
            private Address address;
            private int count;
            Order(Address address) { this.address = address; this.count = 0; lines.clear(); }
            static Order parse(String text) { return new Order(null); }
            void add(Line line) { lines.add(line); }
            int total() { return this.lines.stream().mapToInt(line -> line.price).sum(); }
            void ship() { check(); address.print(); }
            boolean check() { return true; }
            void count() { count++; }
            void shadows(int count) { count = 2; }
            void another(Order other) { other.count = 1; }
        }
    """
    # lines: add, total; ship and check; count; shadows; another. Overloads and statics as above.
    order = classes(source)["Order"]
    assert (order.methods, order.lcom4) == (9, 5)


def test_cohesion_counts_the_components_of_a_record() -> None:
    record = classes("record R(int a, int b) { int x() { return a; } int y() { return a + b; } }")["R"]
    assert (record.methods, record.lcom4) == (2, 1)


def test_references() -> None:
    source = """
        @Entity(table = Names.ORDERS)
        class A {
            Repository<Item> repository = Factory.make();
            Result f(Request request) throws Failure {
                helper(); helper();
                this.helper(); super.start(); request.body.read(); make().go();
                builder
                    .with(1)
                    .build();
                new Outer.Inner<Part>(2) { };
                Object o = (Shape) list.map(Mapper::apply);
                return Status.DONE.toResult(Kind.class);
            }
        }
    """
    assert references(source) == {
        ("", "Entity", ""),
        ("", "Names", ""),
        ("", "Repository", ""),
        ("", "Item", ""),
        ("Factory", "make", ""),
        ("", "Result", "A.f"),
        ("", "Request", "A.f"),
        ("", "Failure", "A.f"),
        ("", "helper", "A.f"),
        ("this", "helper", "A.f"),
        ("super", "start", "A.f"),
        ("request.body", "read", "A.f"),
        ("", "make", "A.f"),
        ("?", "go", "A.f"),
        ("builder", "with", "A.f"),
        ("?", "build", "A.f"),
        ("Outer", "Inner", "A.f"),
        ("", "Part", "A.f"),
        ("", "Shape", "A.f"),
        ("list", "map", "A.f"),
        ("Mapper", "apply", "A.f"),
        ("", "Mapper", "A.f"),
        ("", "Status", "A.f"),
        ("Status.DONE", "toResult", "A.f"),
        ("", "Kind", "A.f"),
    }


def test_a_long_chain_of_calls_is_read() -> None:
    found = references("class A { void f() { start" + ".step(x)" * 20_000 + "; } }")
    assert found == {("?", "step", "A.f"), ("start", "step", "A.f")}


def test_a_class_of_many_methods_is_read() -> None:
    methods = "".join(f"int f{i}() {{ return a > {i} ? f{i + 1}() : b; }}\n" for i in range(5000))
    facts = read(f"class A {{ int a, b;\n{methods}}}")
    assert len(facts.functions) == 5000
    assert facts.classes[0].lcom4 == 1


SNIPPET = textwrap.dedent(
    """
    package a.b; import static c.D.*;
    @X(1) class A<T> extends B.C<T> implements I { int x = y ? 1 : 2; static { z(); }
      A() { super(); } <R> R m(List<? super T> p) throws E { for (var q : p) { this.x = q::r; }
        switch (o) { case String s when s.a() -> b(); default -> { } } return new F<>() { void g() { } }; } }
    record R(int a) { R { } } enum E { P { void h() { } }; int i; }
    """
).encode()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(source: bytes) -> None:
    assert_sound(extract(source, "java", ".java"))


@settings(max_examples=120, deadline=None)
@given(broken(SNIPPET))
def test_broken_code_is_read(source: bytes) -> None:
    assert_sound(extract(source, "java", ".java"))
