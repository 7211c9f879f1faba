"""What the extractor reads of C#."""

from __future__ import annotations

import textwrap

import lizard
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import Import
from tests.support.source import Source, assert_sound, broken

SOURCE = Source("csharp", ".cs")
read, complexities, classes, references = SOURCE.read, SOURCE.complexities, SOURCE.classes, SOURCE.references


@pytest.mark.parametrize(
    ("body", "decisions"),
    [
        ("return a;", 0),
        ("if (a) b(); else if (c) d(); else e();", 2),
        ("for (int i = 0; i < n; i++) { }", 1),
        ("while (a) { } do { b(); } while (c);", 2),
        ("switch (a) { case 1: case 2: b(); break; case 3: break; default: c(); break; }", 3),
        ("try { a(); } catch (X e) { b(); } catch { c(); } finally { d(); }", 2),
        ("return a ? b : c ? d : e;", 2),
        ("return (a && b) || c;", 2),
        ("return a ?? b ?? c;", 2),
        ("a ??= b;", 1),
        ("a?.b?.c(); var x = d?[0];", 3),
        ("return a & b | c;", 0),
        ("lock (this) { using (var u = a()) { } checked { b(); } }", 0),
        ("list.Where(x => x != null && x.Ok).Select(x => { if (x.A) b(); return x; });", 2),
        ("var q = from x in list where x.Ok orderby x.A select x.B;", 0),
        ('var s = "if (a) && b ? c : d"; /* if (a) && b */', 0),
        ('var s = @"if (a) "" && b";', 0),
        ("goto done; done: return 1;", 0),
    ],
)
def test_counts_the_decisions_of_a_method_as_lizard_does(body: str, decisions: int) -> None:
    source = f"class T {{\n  object f(int a) {{\n    {body}\n  }}\n}}\n"
    assert complexities(source) == {"T.f": 1 + decisions}
    (theirs,) = lizard.analyze_file.analyze_source_code("T.cs", source).function_list
    assert theirs.cyclomatic_complexity == 1 + decisions


@pytest.mark.parametrize(
    ("body", "decisions"),
    [
        ("foreach (var x in list) { }", 1),
        ("await foreach (var (x, y) in list) { }", 1),
        ("int? x = null; List<string?> y = null;", 0),
        (
            "switch (o) { case string s when s.Length > 1: break; case > 3 and < 5: break; default: break; }",
            4,
        ),
        ("return o switch { 1 => 2, string s when s.Ok => 3, > 4 or < 1 => 5, { X: 1 } => 4, _ => 6 };", 6),
        ("if (o is Point { X: > 0 } p && p.Y is not null) { }", 2),
        ("try { } catch (X e) when (e.A) { }", 2),
    ],
)
def test_counts_loops_arms_and_guards_that_lizard_does_not(body: str, decisions: int) -> None:
    assert complexities(f"class T {{ async object f(object o) {{ {body} }} }}") == {"T.f": 1 + decisions}


def test_names_functions_by_where_they_stand() -> None:
    source = """
        namespace Shop {
            class A {
                static A() { }
                public A(int a) : base(a) { }
                ~A() { }
                public int Auto { get; set; } = b ? 1 : 2;
                public int Both { get { if (a) return 1; return 2; } set { b = value ?? c; } }
                public int Arrow => a ?? b;
                public int this[int i] { get => i > 0 ? a : b; set { } }
                public event Handler Changed { add { } remove { } }
                public static A operator +(A a, A b) => a;
                public static implicit operator int(A a) { return 1; }
                [Attribute]
                public async Task<T> M<T>(
                    T a
                ) where T : class
                {
                    int Local(int z) { return z > 1 ? 2 : 3; }
                    return Local(1);
                }
                void I.Explicit() { }
                abstract void None();
                extern static void Neither();
                class Inner { int N() => a; }
            }
            interface I { void None(); int P { get; } void Some() { } }
            record R(int X) { public int Sum() => X; }
            struct S { public void M() { } }
        }
    """
    facts = read(source)
    assert [(function.name, function.complexity) for function in facts.functions] == [
        ("A.A", 1),
        ("A.A", 1),
        ("A.A", 1),
        ("A.Both", 3),
        ("A.Arrow", 2),
        ("A.this", 2),
        ("A.Changed", 1),
        ("A.operator", 1),
        ("A.operator", 1),
        ("A.M", 1),
        ("A.M.Local", 2),
        ("A.Explicit", 1),
        ("A.Inner.N", 1),
        ("I.Some", 1),
        ("R.Sum", 1),
        ("S.M", 1),
    ]
    assert facts.defines == ("A", "I", "R", "S")
    assert not facts.broken
    method = next(function for function in facts.functions if function.name == "A.M")
    assert (method.line, method.end_line) == (15, 21)


def test_namespaces_and_imports() -> None:
    source = """
        using System;
        using static System.Math;
        using Lines = System.Collections.Generic.List<int>;
        global using Shop . Orders ;
        using global::Shop.Items;
        namespace Shop.Web { using Inner; }
    """
    facts = read(source)
    assert facts.package == "Shop.Web"
    assert list(facts.imports) == [
        Import("System", ("*",)),
        Import("System.Math", ("*",)),
        Import("System.Collections.Generic.List", (), "Lines"),
        Import("Shop.Orders", ("*",)),
        Import("Shop.Items", ("*",)),
        Import("Inner", ("*",)),
    ]
    assert read("using A; namespace Shop.Web; class B { }").package == "Shop.Web"


def test_using_statements_are_no_imports() -> None:
    assert read("class A { void f() { using (var a = b()) { } using var c = d(); } }").imports == ()


def test_bases() -> None:
    source = """
        class A<T> : b.C<T>, I, J<K> where T : class { }
        interface L : M, N<O> { }
        record R(int X) : Base(X), I { }
        struct S : I { }
        enum E : byte { One }
    """
    assert {name: each.bases for name, each in classes(source).items()} == {
        "A": ("b.C", "I", "J"),
        "L": ("M", "N"),
        "R": ("Base", "I"),
        "S": ("I",),
        "E": (),
    }


def test_cohesion_of_a_class() -> None:
    source = """
        class Order {
            private readonly List<Line> lines = new(), gifts;
            private int count;
            public Address Address { get; set; }
            public int Size { get { return lines.Count; } }
            public Order(Address address) { Address = address; count = 0; lines.Clear(); }
            public static Order Parse(string text) => new Order(null);
            public void Add(Line line) { lines.Add(line); }
            public int Total() => this.lines.Sum(line => line.Price);
            public void Ship() { Check(); Address.Print(); }
            bool Check() => true;
            void Count() { count++; }
            void Shadows(int count) { count = 2; }
            void Another(Order other) { other.count = 1; }
        }
    """
    # lines: Size, Add, Total; Ship and Check; Count; Shadows; Another.
    order = classes(source)["Order"]
    assert (order.methods, order.lcom4) == (10, 5)


def test_cohesion_counts_the_parameters_of_a_record() -> None:
    record = classes("record R(int A, int B) { int X() => A; int Y() { return A + B; } }")["R"]
    assert (record.methods, record.lcom4) == (2, 1)


def test_references() -> None:
    source = """
        [Table(Names.Orders)]
        class A {
            Repository<Item> repository = Factory.Make();
            async Task<Result> F(Request request, Kind? kind, Part[] parts) {
                Helper(); Helper();
                this.Helper(); base.Start(); request.Body.Read(); Make().Go(); request?.Close();
                Load<Thing>(1); this.Store<Other>();
                var x = new Outer.Inner<Piece>(2);
                Shape y = (Circle)z; if (y is Square s) { } var t = typeof(Type1); var u = y as Type2;
                try { } catch (Failure) { }
                return Status.Done;
            }
        }
    """
    assert references(source) == {
        ("", "Table", ""),
        ("", "Names", ""),
        ("", "Repository", ""),
        ("", "Item", ""),
        ("Factory", "Make", ""),
        ("", "Factory", ""),
        *(("", name, "A.F") for name in ("Task", "Result", "Request", "Kind", "Part", "Thing", "Other")),
        *(("", name, "A.F") for name in ("Piece", "Shape", "Circle", "Square", "Type1", "Type2", "Failure")),
        ("", "Status", "A.F"),
        ("", "Helper", "A.F"),
        ("this", "Helper", "A.F"),
        ("base", "Start", "A.F"),
        ("request.Body", "Read", "A.F"),
        ("", "Make", "A.F"),
        ("?", "Go", "A.F"),
        ("request", "Close", "A.F"),
        ("", "Load", "A.F"),
        ("this", "Store", "A.F"),
        ("Outer", "Inner", "A.F"),
    }


def test_both_branches_of_a_directive_are_read() -> None:
    source = """
        class A {
        #if DEBUG && !NET || UNITY
            void F() { if (a) b(); }
        #else
            void G() { }
        #endif
            void H() {
        #if DEBUG || TEST
                a();
        #elif OTHER && ANOTHER
                b();
        #endif
            }
        }
    """
    assert complexities(source) == {"A.F": 2, "A.G": 1, "A.H": 1}


def test_a_long_chain_of_calls_is_read() -> None:
    found = references("class A { void f() { start" + ".step(x)" * 20_000 + "; } }")
    assert found == {("?", "step", "A.f"), ("start", "step", "A.f")}


def test_a_class_of_many_methods_is_read() -> None:
    methods = "".join(f"int F{i}() {{ return a > {i} ? F{i + 1}() : b; }}\n" for i in range(5000))
    facts = read(f"class A {{ int a, b;\n{methods}}}")
    assert len(facts.functions) == 5000
    assert facts.classes[0].lcom4 == 1


SNIPPET = textwrap.dedent(
    """
    using static a.b; using X = c.D<int>;
    namespace N.M { [Q(1)] partial class A<T> : B.C<T>, I where T : new() {
      int x = y ? 1 : 2; public int P { get { return x; } set { x = value; } } A() : base(1) { } ~A() { }
      async R M<R>(List<T?> p, int q = 1) { foreach (var z in p) { this.x ??= z?.w[0]; }
        return o switch { 1 => 2, string s when s.A => 3, _ => await F<int>() }; int L() => 1; } }
    record R(int A) : B(A); enum E : byte { P } delegate void Del(int a); }
    """
).encode()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(source: bytes) -> None:
    assert_sound(extract(source, "csharp", ".cs"))


@settings(max_examples=120, deadline=None)
@given(broken(SNIPPET))
def test_broken_code_is_read(source: bytes) -> None:
    assert_sound(extract(source, "csharp", ".cs"))
