"""What the graph of a workspace says of its files."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

import lynkr_desktop
from lynkr_desktop.engine.analysis.extract import extract
from lynkr_desktop.engine.analysis.facts import FileFacts
from lynkr_desktop.engine.analysis.graph import CodeGraph
from lynkr_desktop.engine.analysis.reach import Reach
from tests.support.code_fixtures import IMPORTS, edges_of, graph_of
from tests.unit.test_graph_reach import brute_force

SHOP = """
=== shop/__init__.py
=== shop/base.py
class Base:
    def save(self):
        return self.validate()

    def validate(self):
        return True

class Two:
    def one(self): return self.a
    def two(self): return self.b
=== shop/money.py
def cents(value):
    if value and value > 0:
        return round(value)
    return helper(value)

def helper(value):
    return value if value else helper(0)
=== shop/order.py
from shop.base import Base
from shop import money
import unknown

class Order(Base):
    def total(self):
        unknown.call()
        return self.lines() + money.cents(1)

    def lines(self):
        item.save()
        return 2
=== shop/cart.py
from shop.order import Order
from shop.checkout import pay

def empty():
    return Order()
=== shop/checkout.py
from shop import cart

def pay():
    return cart.empty()
=== tests/test_cart.py
from shop.cart import empty

def test_empty():
    assert empty()
"""


def test_metrics_of_a_small_workspace() -> None:
    graph = graph_of(SHOP)
    base = graph.metrics("shop/base.py")
    assert (base.depth, base.component) == (0, 1)
    assert (base.blast_1, base.blast_2, base.blast, base.blast_tests) == (1, 2, 3, 1)
    assert base.lcom4 == 2
    cart, checkout = graph.metrics("shop/cart.py"), graph.metrics("shop/checkout.py")
    assert (cart.depth, cart.component) == (checkout.depth, checkout.component) == (2, 2)
    assert (cart.blast_1, cart.blast, cart.blast_tests) == (1, 1, 1)
    money = graph.metrics("shop/money.py")
    assert (money.functions, money.cyclomatic_sum, money.cyclomatic_max, money.lines) == (2, 5, 3, 7)
    test = graph.metrics("tests/test_cart.py")
    assert test.test
    assert not cart.test
    assert (test.depth, test.blast) == (3, 0)


def test_cohesion_counts_references_to_the_workspace_alone() -> None:
    graph = graph_of(SHOP)
    # `self.lines()` is within; `Base` and `money.cents` are not; `unknown.call` and `item.save` lead nowhere.
    assert graph.metrics("shop/order.py").cohesion == pytest.approx(1 / 3)
    # A function that calls itself does not make a file more cohesive.
    assert graph.metrics("shop/money.py").cohesion == 1.0
    assert graph.metrics("shop/__init__.py").cohesion == 1.0


def test_edges_by_kind() -> None:
    graph = graph_of(SHOP)
    assert edges_of(graph, "inherit") == {("shop/order.py", "shop/base.py")}
    assert ("shop/order.py", "shop/money.py") in edges_of(graph, "call") & edges_of(graph, "import")
    assert not any(source == target for source, target in edges_of(graph))


def test_a_call_on_an_unknown_receiver_is_no_edge() -> None:
    graph = graph_of("""
=== a.py
def run(thing):
    thing.save()
    make().save()
    save()
=== b.py
def save():
    pass
=== c.py
class C:
    def save(self):
        pass
""")
    assert edges_of(graph) == set()


def test_names_lead_through_packages_that_pass_them_on() -> None:
    graph = graph_of("""
=== pkg/__init__.py
from .impl import Thing as Renamed
from .more import *
=== pkg/impl.py
class Thing: ...
=== pkg/more.py
def extra(): ...
=== user.py
from pkg import Renamed, extra
import pkg as p

class Mine(Renamed): ...

def run():
    extra()
    p.extra()
""")
    assert edges_of(graph, "import") >= {("user.py", "pkg/__init__.py")}
    assert edges_of(graph, "inherit") == {("user.py", "pkg/impl.py")}
    assert ("user.py", "pkg/more.py") in edges_of(graph, "call")


def test_languages_do_not_mix() -> None:
    graph = graph_of("=== a.py\nimport b\n=== b.ts\nexport const a = 1;\n=== b.js\n")
    assert edges_of(graph) == set()


def test_an_unknown_file_is_an_error() -> None:
    graph = graph_of("=== a.py\n")
    assert "a.py" in graph
    assert "b.py" not in graph
    assert graph.paths == ("a.py",)
    with pytest.raises(KeyError):
        graph.metrics("b.py")


def test_an_empty_workspace_grows_and_shrinks() -> None:
    empty = CodeGraph({})
    assert (empty.paths, empty.edges) == ((), ())
    facts = {path: extract(text, "python", ".py") for path, text in (("a.py", b"import b"), ("b.py", b""))}
    grown = empty.update(facts)
    assert edges_of(grown) == {("a.py", "b.py")}
    assert empty.paths == ()
    assert grown.update({"a.py": None, "b.py": None, "never.py": None}).paths == ()


ASKING_SETTINGS = """
=== a.ts
import './b';
import 'x';
import '#y';
import 'x/z';
=== b.ts
=== src/lib.rs
use a::b;
use c;
=== m.go
package m
"""


def test_malformed_settings_count_as_none() -> None:
    names = (
        "tsconfig.json",
        "package.json",
        "go.mod",
        "go.work",
        "Cargo.toml",
        "pyproject.toml",
        "a/package.json",
    )
    nested = b'{"compilerOptions":' * 5000
    for content in (b"", b"\xff\xfe\x00", b"[1]", b"null", b"{" * 100_000, nested, b"= = =", b'{"name": {}}'):
        graph = graph_of(ASKING_SETTINGS).update({}, dict.fromkeys(names, content))
        assert edges_of(graph) == {("a.ts", "b.ts")}


@pytest.mark.parametrize(
    "content",
    [
        b'{"compilerOptions": {"baseUrl": 1, "paths": []}, "extends": {}, "references": 1}',
        b'{"compilerOptions": {"paths": {"*": 1, "x": [null, 2], "": [""]}}, "extends": ["./tsconfig.json"]}',
        b'{"name": "x", "exports": {".": [1, {"import": null}]}, "imports": [], "main": {}}',
        b'{"name": "x", "exports": [], "imports": {"#y": {"a": {"b": 1}}, "#*": "./*"}, "references": [{}]}',
        b"[package]\nname = 1\nedition = 2\n[lib]\npath = 3\n[dependencies]\na = {path = 1}\nb = 2",
        b"package = 1\nlib = 2\ndependencies = 3\nworkspace = 4\nbin = 5\ntarget = 6",
        b"[package]\n[[bin]]\n[target.x]\ndependencies = 1\n[workspace.dependencies]\na = 1",
    ],
)
def test_settings_of_unexpected_shapes_count_as_none(content: bytes) -> None:
    names = ("tsconfig.json", "package.json", "Cargo.toml", "a/Cargo.toml")
    graph = graph_of(ASKING_SETTINGS).update({}, dict.fromkeys(names, content))
    assert edges_of(graph) == {("a.ts", "b.ts")}


def _checkout() -> dict[str, FileFacts]:
    package = Path(lynkr_desktop.__file__).parent
    return _facts(package.parent, sorted((package / "engine").rglob("*.py")))


def _standard_library() -> dict[str, FileFacts]:
    library = Path(sysconfig.get_path("stdlib"))
    names = (
        "asyncio",
        "collections",
        "concurrent",
        "email",
        "http",
        "importlib",
        "json",
        "logging",
        "unittest",
    )
    paths = [path for name in names for path in sorted((library / name).rglob("*.py"))]
    return _facts(library, [*sorted(library.glob("*.py")), *paths])


def _facts(root: Path, paths: list[Path]) -> dict[str, FileFacts]:
    sources = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    small = {path: source for path, source in sources.items() if len(source) < 60_000}
    return {path: extract(source, "python", ".py") for path, source in small.items()}


@pytest.mark.parametrize("files", [_checkout, _standard_library])
def test_figures_of_real_code_equal_brute_force(files: object) -> None:
    assert callable(files)
    _equals_brute_force(CodeGraph(files()), least_edges=300)


@pytest.mark.parametrize("language", ["python", "typescript", "rust", "go", "java", "csharp"])
def test_figures_of_the_fixtures_equal_brute_force(language: str) -> None:
    graph = graph_of((IMPORTS / language / "workspace.txt").read_text("utf-8"))
    _equals_brute_force(graph, least_edges=25)


def _equals_brute_force(graph: CodeGraph, least_edges: int) -> None:
    successors: list[list[int]] = [[] for _ in graph.paths]
    for edge in graph.edges:
        successors[edge.source].append(edge.target)
    metrics = [graph.metrics(path) for path in graph.paths]
    found = Reach(
        [each.depth for each in metrics],
        [each.component for each in metrics],
        [each.blast_1 for each in metrics],
        [each.blast_2 for each in metrics],
        [each.blast for each in metrics],
        [each.blast_tests for each in metrics],
    )
    assert len(graph.edges) >= least_edges
    assert found == brute_force(successors, [each.test for each in metrics])
