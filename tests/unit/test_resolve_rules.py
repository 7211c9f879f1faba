"""Single rules of how each language finds what is imported, one small workspace each."""

from __future__ import annotations

import pytest

from lynkr_desktop.engine.analysis.conventions import is_test, is_vendored
from tests.support.code_fixtures import edges_of, graph_of

Edges = set[tuple[str, str]]


def imports(text: str) -> Edges:
    return edges_of(graph_of(text), "import")


class TestPython:
    def test_a_module_in_a_package_does_not_hide_the_standard_library(self) -> None:
        assert imports("=== p/__init__.py\n=== p/json.py\n=== p/a.py\nimport json\nimport p.json as own") == {
            ("p/a.py", "p/json.py")
        }
        assert imports("=== p/json.py\n=== p/a.py\nimport json") == set()

    def test_the_closest_of_several_roots_is_meant(self) -> None:
        text = """
=== one/app/__init__.py
=== one/app/models.py
=== one/main.py
from app import models
=== two/app/__init__.py
=== two/app/models.py
=== two/main.py
import app.models
=== tools/check.py
import app.models
"""
        assert imports(text) == {
            ("one/main.py", "one/app/models.py"),
            ("two/main.py", "two/app/models.py"),
        }

    def test_a_name_of_the_package_goes_before_its_submodule(self) -> None:
        text = """
=== p/__init__.py
def run(): ...
=== p/run.py
=== a.py
from p import run
run()
"""
        graph = graph_of(text)
        assert edges_of(graph, "import") == {("a.py", "p/__init__.py"), ("a.py", "p/run.py")}
        assert edges_of(graph, "call") == {("a.py", "p/__init__.py")}

    def test_too_many_dots_lead_nowhere(self) -> None:
        assert imports("=== a.py\n=== p/b.py\nfrom ... import a\nfrom .... import a") == set()

    def test_stubs_stand_in_where_there_is_no_source(self) -> None:
        assert imports("=== a.py\nimport b, c\n=== b.pyi\n=== c.py\n=== c.pyi") == {
            ("a.py", "b.pyi"),
            ("a.py", "c.py"),
        }

    def test_either_of_two_imports_of_one_name(self) -> None:
        text = """
=== a.py
try:
    from fast import dump
except ImportError:
    from slow import dump
dump()
=== slow.py
def dump(): ...
"""
        assert edges_of(graph_of(text), "call") == {("a.py", "slow.py")}


class TestTypeScript:
    def test_a_list_of_projects_lends_its_paths(self) -> None:
        text = """
=== tsconfig.json
{"files": [], "references": [{"path": "./tsconfig.app.json"}, {"path": "./tsconfig.node.json"}]}
=== tsconfig.app.json
{"compilerOptions": {"baseUrl": ".", "paths": {"@/*": ["./src/*"]}}, "include": ["src"]}
=== src/main.ts
import '@/lib/a';
=== src/lib/a.ts
"""
        assert imports(text) == {("src/main.ts", "src/lib/a.ts")}

    def test_configurations_that_extend_each_other_end(self) -> None:
        text = """
=== tsconfig.json
{"extends": "./other.json"}
=== a.ts
import './b'; import 'c';
=== b.ts
"""
        circle = text + '=== tsconfig.other.json\n{"extends": "./tsconfig.json"}\n'
        assert imports(circle.replace("./other.json", "./tsconfig.other.json")) == {("a.ts", "b.ts")}

    def test_a_configuration_in_a_package(self) -> None:
        text = """
=== config/package.json
{"name": "@x/config"}
=== config/tsconfig.base.json
{"compilerOptions": {"paths": {"~/*": ["../app/src/*"]}}}
=== app/tsconfig.json
{"extends": "@x/config/tsconfig.base.json"}
=== app/main.ts
import '~/a';
=== app/src/a.ts
"""
        assert imports(text) == {("app/main.ts", "app/src/a.ts")}

    def test_the_longest_pattern_is_meant(self) -> None:
        text = """
=== tsconfig.json
{"compilerOptions": {"paths": {"@/*": ["src/*"], "@/lib/*": ["lib/*"], "@/lib/exact": ["exact.ts"]}}}
=== main.ts
import '@/lib/a'; import '@/b'; import '@/lib/exact';
=== src/b.ts
=== src/lib/a.ts
=== lib/a.ts
=== lib/exact.ts
=== exact.ts
"""
        assert imports(text) == {("main.ts", "lib/a.ts"), ("main.ts", "src/b.ts"), ("main.ts", "exact.ts")}

    def test_the_source_is_meant_beside_what_is_built_of_it(self) -> None:
        text = """
=== a.ts
import './b.js'; import './c.jsx'; import './d.mjs';
=== b.ts
=== b.js
=== c.tsx
=== d.mts
"""
        assert imports(text) == {("a.ts", "b.ts"), ("a.ts", "c.tsx"), ("a.ts", "d.mts")}

    def test_what_a_package_does_not_export_cannot_be_imported(self) -> None:
        text = """
=== lib/package.json
{"name": "lib", "exports": {"./open": "./src/open.js"}}
=== lib/src/open.ts
=== lib/src/inner.ts
=== lib/inner.ts
=== main.ts
import 'lib/open'; import 'lib/inner'; import 'lib/src/inner';
"""
        assert imports(text) == {("main.ts", "lib/src/open.ts")}

    def test_a_name_of_two_packages_that_are_equally_close(self) -> None:
        package = '{"name": "twice", "main": "a.js"}'
        text = (
            f"=== one/package.json\n{package}\n=== one/a.js\n=== two/package.json\n{package}\n=== two/a.js\n"
        )
        assert imports(text + "=== main.js\nrequire('twice')") == set()
        assert imports(text + "=== two/b.js\nrequire('twice')") == {("two/b.js", "two/a.js")}

    def test_members_of_a_namespace_lead_through_barrels(self) -> None:
        text = """
=== main.ts
import * as lib from './lib';
import run from './lib/run';
lib.start(); run();
=== lib/index.ts
export * from './start';
=== lib/start.ts
export function start() {}
=== lib/run.ts
export default function () {}
"""
        assert edges_of(graph_of(text), "call") == {("main.ts", "lib/start.ts"), ("main.ts", "lib/run.ts")}


class TestRust:
    def test_paths_of_the_2015_edition_begin_at_the_crate(self) -> None:
        text = """
=== Cargo.toml
[package]
name = "old"
=== src/lib.rs
mod a;
mod b;
=== src/a/mod.rs
use b::Thing;
=== src/b.rs
pub struct Thing;
"""
        newer = text.replace('name = "old"', 'name = "old"\nedition = "2018"')
        assert ("src/a/mod.rs", "src/b.rs") in imports(text)
        assert ("src/a/mod.rs", "src/b.rs") not in imports(newer)

    def test_a_crate_from_a_registry_is_not_that_of_the_same_name_here(self) -> None:
        text = """
=== app/Cargo.toml
[package]
name = "app"
edition = "2021"
[dependencies]
near = { workspace = true }
far = "1"
=== Cargo.toml
[workspace.dependencies]
near = { path = "near" }
=== near/Cargo.toml
[package]
name = "near"
=== near/src/lib.rs
=== far/Cargo.toml
[package]
name = "far"
=== far/src/lib.rs
=== app/src/main.rs
use near::A;
use far::B;
"""
        assert imports(text) == {("app/src/main.rs", "near/src/lib.rs")}

    def test_programs_tests_and_examples_use_their_own_library(self) -> None:
        text = """
=== Cargo.toml
[package]
name = "my-lib"
edition = "2021"
[[bin]]
name = "x"
path = "programs/x.rs"
=== src/lib.rs
pub mod a;
=== src/a.rs
=== programs/x.rs
use my_lib::a;
=== tests/t.rs
use my_lib::a::*;
=== examples/e.rs
use crate::a;
use super::a;
"""
        assert imports(text) == {
            ("src/lib.rs", "src/a.rs"),
            ("programs/x.rs", "src/a.rs"),
            ("tests/t.rs", "src/a.rs"),
        }

    def test_paths_in_expressions_are_calls(self) -> None:
        text = """
=== Cargo.toml
[package]
name = "x"
edition = "2021"
=== src/lib.rs
mod a;
fn f() { crate::a::g(); a::h(); unknown::g(); value.g(); }
=== src/a.rs
pub fn g() { super::f(); Self::g(); }
pub fn h() {}
"""
        assert edges_of(graph_of(text), "call") == {("src/lib.rs", "src/a.rs"), ("src/a.rs", "src/lib.rs")}


class TestGo:
    def test_nested_modules_have_names_of_their_own(self) -> None:
        text = """
=== go.mod
module x.org/m
=== sub/go.mod
module x.org/other
=== sub/a/a.go
package a
=== main.go
package main
import (
  _ "x.org/m/sub/a"
  _ "x.org/other/a"
)
"""
        assert imports(text) == {("main.go", "sub/a/a.go")}

    def test_a_package_is_known_by_the_name_that_it_says(self) -> None:
        text = """
=== go.mod
module x.org/m
=== go-util/a.go
package util
func A() {}
=== go-util/b.go
package util
func B() {}
=== go-util/gen.go
package main
func A() {}
=== main.go
package main
import "x.org/m/go-util"
func main() { util.A() }
"""
        assert edges_of(graph_of(text)) == {("main.go", "go-util/a.go")}

    def test_files_of_one_package_call_each_other_without_an_import(self) -> None:
        text = """
=== p/a.go
package p
func A() { B(); fmt.B() }
=== p/b.go
package p
func B() {}
=== q/b.go
package q
func B() {}
"""
        graph = graph_of(text)
        assert edges_of(graph, "call") == {("p/a.go", "p/b.go")}
        assert edges_of(graph, "import") == set()


class TestJava:
    def test_one_class_of_two_that_are_equally_close_is_not_guessed(self) -> None:
        text = "=== one/A.java\npackage p;\nclass A {}\n=== two/A.java\npackage p;\nclass A {}\n"
        assert imports(text + "=== three/B.java\npackage p;\nclass B extends A {}") == set()
        assert imports(text + "=== two/B.java\npackage p;\nclass B extends A {}") == {
            ("two/B.java", "two/A.java")
        }

    def test_an_import_goes_before_the_own_package_and_that_before_a_wildcard(self) -> None:
        text = """
=== a/X.java
package a;
public class X {}
=== b/X.java
package b;
public class X {}
=== b/Named.java
package b;
import a.X;
class Named { X x; }
=== b/Any.java
package b;
import a.*;
class Any { X x; }
"""
        assert imports(text) == {("b/Named.java", "a/X.java"), ("b/Any.java", "b/X.java")}

    def test_tests_are_not_seen_from_outside(self) -> None:
        text = """
=== src/test/java/p/Help.java
package p;
class Help {}
=== src/main/java/p/A.java
package p;
class A { Help h; }
"""
        assert imports(text) == set()

    def test_a_class_with_its_package(self) -> None:
        text = "=== a/X.java\npackage a;\nclass X {}\n=== b/Y.java\npackage b;\nclass Y extends a.X {}"
        assert edges_of(graph_of(text), "inherit") == {("b/Y.java", "a/X.java")}


class TestCSharp:
    def test_a_name_in_two_used_namespaces_is_not_guessed(self) -> None:
        text = """
=== A/X.cs
namespace A { class X {} }
=== B/X.cs
namespace B { class X {} }
=== P.cs
using A; using B;
namespace C { class P { X x; } }
=== Q.cs
using A;
namespace B.Inner { class Q { X x; } }
"""
        assert imports(text) == {("Q.cs", "B/X.cs")}

    def test_a_type_goes_before_a_method_of_its_name(self) -> None:
        text = """
=== State.cs
namespace A;
class State {}
=== P.cs
namespace A;
class P { State State() { return new State(); } class Nested {} Nested nested; }
=== Nested.cs
namespace A;
class Nested {}
"""
        assert imports(text) == {("P.cs", "State.cs")}

    def test_what_is_imported_for_the_whole_project(self) -> None:
        text = """
=== one/Properties/Usings.cs
global using A;
=== one/P.cs
class P { X x; }
=== two/P.cs
class P { X x; }
=== three/X.cs
namespace A;
class X {}
"""
        graph = graph_of(text)
        assert edges_of(graph, "import") == {("one/P.cs", "three/X.cs")}
        without = graph.update({"one/Properties/Usings.cs": None})
        assert edges_of(without) == set()


@pytest.mark.parametrize(
    "path",
    [
        *("tests/a.py", "pkg/test_a.py", "pkg/a_test.py", "conftest.py", "pkg/a_test.go", "src/a.spec.ts"),
        *("src/__tests__/a.tsx", "src/a.test.mjs", "src/test/java/p/A.java", "p/ATest.java", "tests/it.rs"),
        *("src/a/tests.rs", "Shop.Tests/A.cs", "src/ATests.cs", "e2e/login.ts"),
    ],
)
def test_tests_are_known_by_their_paths(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize(
    "path",
    [
        *(
            "contest.py",
            "testing.py",
            "latest.go",
            "src/attest.ts",
            "src/Contest.java",
            "p/Latest.cs",
            "src/lib.rs",
        ),
        *("inspector/a.py", "src/specification.ts", "Greatest/A.cs", "pkg/test.go"),
        "app/src/main/java/p/TestKit.java",
    ],
)
def test_other_files_are_no_tests(path: str) -> None:
    assert not is_test(path)


def test_copies_of_other_projects_are_known_by_their_folder() -> None:
    assert is_vendored("third_party/x/a.py")
    assert is_vendored("a/_vendor/b.py")
    assert not is_vendored("vendor.py")
    assert not is_vendored("vendors/a.py")
