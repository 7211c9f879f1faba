"""What the extractor reads of TypeScript, TSX and JavaScript."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import Import
from tests.support.source import Source, assert_sound, broken

SUFFIXES = (".ts", ".tsx", ".js")
SOURCE = Source("typescript", ".ts")
read, complexities, classes, references = SOURCE.read, SOURCE.complexities, SOURCE.classes, SOURCE.references


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("body", "decisions"),
    [
        ("return a", 0),
        ("if (a) b(); else if (c) d(); else e()", 2),
        ("for (let i = 0; i < n; i++) {} for (const k in o) {} for (const v of o) {}", 3),
        ("while (a) {} do {} while (b)", 2),
        ("switch (a) { case 1: case 2: b(); break; case 3: break; default: c() }", 3),
        ("try { a() } catch (e) { b() } finally { c() }", 1),
        ("return a ? b : c ? d : e", 2),
        ("return (a && b) || c", 2),
        ("return a ?? b", 1),
        ("a ||= b; c &&= d; e ??= f; g += h; i = j", 3),
        ("return a?.b?.[c]?.(d)", 3),
        ("const { x = 1, y: { z = 2 } } = a; const [v = 3] = b", 3),
        ("outer: for (;;) { for (;;) { continue outer } }", 2),
        ("throw new Error(`${a ? 1 : 2}`)", 1),
        ("b.map(x => x && x.y).filter(function (x) { return x || c })", 2),
        ("return /if (a) && b ? c : d/.test('a && b || c') /* a && b */", 0),
        ("return !a & b | c", 0),
    ],
)
def test_counts_the_decisions_of_a_function(body: str, decisions: int, suffix: str) -> None:
    assert complexities(f"function f(a, b, c) {{ {body} }}", suffix) == {"f": 1 + decisions}


def test_default_values_of_parameters_are_decisions_as_they_are_to_eslint() -> None:
    assert complexities("function f(a = 1, { b = 2 } = {}, c) {}", ".js") == {"f": 4}
    assert complexities("function f(a: number = 1, { b = 2 } = {}, c?: string) {}") == {"f": 4}
    assert complexities("class A { constructor(private readonly a = 1) {} }") == {"A.constructor": 2}


def test_types_are_no_decisions() -> None:
    source = """
        type T<A> = A extends string ? 1 : A extends number ? 2 : never
        function f(a?: string): a is "x" { return (a! as any) satisfies B }
    """
    assert complexities(source) == {"f": 1}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("function f() {}", ["f"]),
        ("async function* f() {}", ["f"]),
        ("export default function f() {}", ["f"]),
        ("export default function () {}", ["default"]),
        ("export default () => {}", ["default"]),
        ("export default class { m() {} }", ["default.m"]),
        ("const f = () => {}", ["f"]),
        ("export const f = async (a) => {}, g = function () {}", ["f", "g"]),
        ("export const Button = memo(forwardRef)(function () {})", ["Button"]),
        ("let f; f = () => {}", ["f"]),
        ("const o = { m() {}, get g() {}, f: function () {}, 'a-b': () => {}, [c]: () => {} }",
         ["o.m", "o.g", "o.f", "o.a-b", "o.[c]"]),
        ("module.exports = { f: () => {} }", ["f"]),
        ("exports.f = function () {}; module.exports.g = () => {}", ["f", "g"]),
        ("function A() {}\nA.prototype.m = function () {}", ["A", "A.m"]),
        ("class A { m() {} static s() {} get g() { return 1 } set g(v) {} async *#p() {} f = () => {} }",
         ["A.m", "A.s", "A.g", "A.g", "A.#p", "A.f"]),
        ("function outer() { function inner() {} const g = () => {} }", ["outer", "outer.inner", "outer.g"]),
        ("function outer() { class A { m() {} } }", ["outer", "outer.A.m"]),
        ("(function () { function f() {} })()", ["<anonymous>", "f"]),
        ("describe('x', () => { it('y', () => {}) })", ["<anonymous>"]),
    ],
)  # fmt: skip
def test_names_functions_by_where_they_stand(source: str, names: list[str]) -> None:
    for suffix in SUFFIXES:
        assert [function.name for function in read(source, suffix).functions] == names


def test_declarations_without_a_body_are_no_functions() -> None:
    source = """
        function f(a: string): void;
        function f(a: number): void;
        function f(a: any) { return a ? 1 : 2 }
        abstract class A { abstract a(): void; b(x: string): void; b(x: any) {} }
        interface I { m(): void }
        declare function g(): void
    """
    assert complexities(source) == {"f": 2, "A.b": 1}
    assert read(source).defines == ("f", "A", "I", "g")


def test_unnamed_callbacks_belong_to_the_function_around_them_and_named_ones_do_not() -> None:
    source = """
        function f(list) {
            const inner = (x) => x ? 1 : 2
            return list.map((x) => x && inner(x)).filter((x) => x || y)
        }
        setTimeout(() => { if (a) b(); g(() => c && d) })
    """
    assert complexities(source) == {"f": 3, "f.inner": 2, "<anonymous>": 3}


def test_field_initialisers_and_static_blocks_are_no_functions() -> None:
    source = "class A { a = b ? 1 : 2; static { if (c) d() } m() { if (e) f() } }"
    assert complexities(source) == {"A.m": 2}


def test_jsx() -> None:
    source = """
        export const List = ({ items, empty = null }: Props) => (
            <Foo.Bar items={items} render={(x) => x ? <Row/> : null}>
                {items?.map((item) => <Item<Kind> key={item.id} onClick={() => open && close()} />)}
                <div className="x">{empty}</div>
            </Foo.Bar>
        )
    """
    assert complexities(source, ".tsx") == {"List": 5}
    found = references(source, ".tsx")
    assert {("Foo", "Bar", "List"), ("", "Row", "List"), ("", "Item", "List")} <= found
    assert {("", "Props", "List"), ("", "Kind", "List"), ("", "close", "List")} <= found
    assert "div" not in {name for _, name, _ in found}


def test_decorators() -> None:
    source = """
        @Component({ selector: "x" })
        export class A {
            @Input() a: string
            @Output b = new EventEmitter<Done>()
            @HostListener("click", ["$event"]) onClick(e: MouseEvent) { if (e) this.b.emit() }
        }
    """
    assert complexities(source) == {"A.onClick": 2}
    found = {name for _, name, _ in references(source)}
    assert {"Component", "Input", "Output", "HostListener", "EventEmitter", "Done", "MouseEvent"} <= found


def test_bases() -> None:
    source = """
        class A<T> extends B.C<T> implements I, ns.J<K> {}
        abstract class D extends A<string> {}
        interface E extends F<G>, H {}
        class M extends Mixin(A, B) {}
        export const N = class extends A {}
        enum O { P }
    """
    assert {name: each.bases for name, each in classes(source).items()} == {
        "A": ("B.C", "I", "ns.J"),
        "D": ("A",),
        "E": ("F", "H"),
        "M": ("Mixin",),
        "N": ("A",),
        "O": (),
    }
    assert classes("class A extends b.C { m() {} }", ".js")["A"].bases == ("b.C",)


def test_cohesion_of_a_class() -> None:
    source = """
        class Order {
            constructor() { this.lines = []; this.address = null; this.log = null }
            static parse(text) { return new Order() }
            add(line) { this.lines.push(line) }
            total() { return this.lines.reduce((sum, line) => sum + line.price, 0) }
            get size() { return this.lines.length }
            ship() { this.check(); this.address.print() }
            check() { return true }
            note(text) { this.#write(text) }
            #write(text) { console.log(text) }
            alone() { return 1 }
        }
    """
    # lines: add, total, size; ship and check; note and #write; alone.
    for suffix in SUFFIXES:
        order = classes(source, suffix)["Order"]
        assert (order.methods, order.lcom4) == (10, 4)


def test_methods_added_to_a_prototype_are_of_its_class() -> None:
    source = """
        function Stack() { this.items = [] }
        Stack.prototype.push = function (x) { this.items.push(x) }
        Stack.prototype.pop = function () { return this.items.pop() }
        Stack.prototype.help = function () { return "?" }
    """
    stack = classes(source, ".js")["Stack"]
    assert (stack.methods, stack.lcom4) == (3, 2)


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import a from './x'", [Import("./x", ("default",), "a")]),
        ("import { a, b } from './x'", [Import("./x", ("a", "b"))]),
        ("import { a as b, type C } from './x'", [Import("./x", ("C",)), Import("./x", ("a",), "b")]),
        ("import d, { a } from './x'", [Import("./x", ("default",), "d"), Import("./x", ("a",))]),
        ("import d, * as n from './x'", [Import("./x", ("default",), "d"), Import("./x", (), "n")]),
        ("import * as n from '../y'", [Import("../y", (), "n")]),
        ("import './side'", [Import("./side")]),
        ("import type { T } from 't'", [Import("t", ("T",))]),
        ("import type T from 't'", [Import("t", ("default",), "T")]),
        ("import type from 't'", [Import("t", ("default",), "type")]),
        ("import { default as d } from 't'", [Import("t", ("default",), "d")]),
        ("import {\n  a, // from 'z'\n  b /* } */,\n} from 't'", [Import("t", ("a", "b"))]),
        ("import fs = require('fs')", [Import("fs", (), "fs")]),
        ("export * from './x'", [Import("./x", ("*",))]),
        ("export * as n from './x'", [Import("./x", (), "n")]),
        ("export { a, b as c } from './x'", [Import("./x", ("a",)), Import("./x", ("b",), "c")]),
        ("export type { T } from './x'", [Import("./x", ("T",))]),
        ("const m = require('m')", [Import("m", (), "m")]),
        ("const { a, b: c } = require('m')", [Import("m", ("a",)), Import("m", ("b",), "c")]),
        ("var a = require('m').a, d = require('n').b", [Import("m", ("a",)), Import("n", ("b",), "d")]),
        ("require('./side')", [Import("./side")]),
        ("const f = async () => (await import('./lazy')).g()", [Import("./lazy")]),
        ("const x = require(name), y = require.resolve('z'), w = import(name)", []),
        ("import a from './x'; const b = require('./x')",
         [Import("./x", ("default",), "a"), Import("./x", (), "b")]),
        ("export { a }", []),
    ],
)  # fmt: skip
def test_imports(source: str, imports: list[Import]) -> None:
    assert list(read(source).imports) == imports


def test_definitions_are_those_of_the_top_level() -> None:
    source = """
        export const a = 1, b = { c: 2 }
        let d
        export type T = string
        export interface I {}
        export enum E { X }
        export namespace N { export const inside = 1; export function too() {} }
        export declare const g: string
        function f() { const local = 1; class Local {} }
        const hidden = 1
        export { hidden as shown }
        export * as ns from "./ns"
    """
    assert set(read(source).defines) == {
        *("a", "b", "d", "T", "I", "E", "N", "g", "f", "hidden", "shown", "ns")
    }
    assert read("exports.a = 1; module.exports.b = 2; c.d = 3", ".js").defines == ("a", "b")


def test_functions_in_namespaces_are_qualified_by_them() -> None:
    assert complexities("namespace A.B { export function f() {} class C { m() {} } }") == {
        "A.B.f": 1,
        "A.B.C.m": 1,
    }


def test_references() -> None:
    source = """
        const top = build(Config.load())
        function f(a: Map<string, Item[]>, b: ns.Kind): Result | undefined {
            run(); run(); a.b.c(); this.d(); new Foo.Bar<Baz>(1); make().go()
            return list[0].go() as Shape
        }
    """
    assert references(source) == {
        ("", "build", ""),
        ("Config", "load", ""),
        ("", "run", "f"),
        ("a.b", "c", "f"),
        ("this", "d", "f"),
        ("Foo", "Bar", "f"),
        ("", "make", "f"),
        ("?", "go", "f"),
        *(("", name, "f") for name in ("Map", "Item", "Baz", "Result", "Shape")),
        ("ns", "Kind", "f"),
    }


def test_javascript_with_the_types_of_flow_is_read() -> None:
    source = """
        /**
         * @flow strict
         */
        import type { Props } from "./types"
        export function f(a: ?string, b: Array<Props>): number { return a ? b.length : 0 }
    """
    facts = read(source, ".js")
    assert [(each.name, each.complexity) for each in facts.functions] == [("f", 2)]
    assert ("", "Props", "f") in references(source, ".js")


def test_a_minified_bundle_of_one_line_is_read() -> None:
    module = 'function(e,t,n){"use strict";var r=n(%d);t.f%d=function(a){return a&&a.b?r.c(a):null}}'
    bundle = "!function(m){m(0)}([" + ",".join(module % (i, i) for i in range(6000)) + "]);"
    facts = extract(bundle.encode(), "typescript", ".js")
    assert len(bundle) > 500_000
    assert len(facts.functions) == 12_001
    assert not facts.broken


def test_a_long_chain_of_calls_is_read() -> None:
    for suffix in SUFFIXES:
        facts = read("start" + ".step(x)" * 20_000, suffix)
        assert [(each.qualifier, each.name) for each in facts.references] == [
            ("?", "step"),
            ("start", "step"),
        ]


@pytest.mark.parametrize("nonsense", ["(", "{", "[", "!", "a.b(", "x = [", "`${"])
def test_long_runs_of_nonsense_are_given_up(nonsense: str) -> None:
    for suffix in SUFFIXES:
        facts = extract((nonsense * (300_000 // len(nonsense))).encode(), "typescript", suffix)
        assert facts.broken
        assert facts.classes == ()


SNIPPET = textwrap.dedent(
    """
    import a, { b as c } from "./x"
    @D() export class A<T> extends B.C<T> implements I { #p = 1; m(x = 1) { return x?.y ?? this.#p } }
    export default async (x) => { for (const y of x) if (y && `${y ? 1 : 2}`) switch (y) { case 1: } }
    const o = { f() {}, "g-h": () => <A b={c}>{d}</A>, [k]: function* () {} }
    A.prototype.z = function () { this.q = require("m").n }
    """
).encode()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(SUFFIXES))
def test_any_bytes_are_read(source: bytes, suffix: str) -> None:
    assert_sound(extract(source, "typescript", suffix))


@settings(max_examples=120, deadline=None)
@given(broken(SNIPPET), st.sampled_from(SUFFIXES))
def test_broken_code_is_read(source: bytes, suffix: str) -> None:
    assert_sound(extract(source, "typescript", suffix))
