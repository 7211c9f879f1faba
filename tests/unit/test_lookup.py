"""Names as people and agents write them, and the files and symbols that they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.analysis.facts import ClassFacts, FileFacts, Function
from lynkr_desktop.engine.analysis.lookup import MANY, Names, candidates

ROOTS = {"/home/ada/shop": ""}


Files = dict[str, FileFacts]


def facts(*names: str, classes: tuple[str, ...] = (), package: str = "") -> FileFacts:
    functions = tuple(Function(name, line + 1, line + 2, line + 1) for line, name in enumerate(names))
    types = tuple(ClassFacts(name, 1, 9, (), 1, 1) for name in classes)
    return FileFacts(language="python", lines=10, functions=functions, classes=types, package=package)


SHOP = Names().changed({}, {
    "shop/users/service.py": facts(
        "UserService.load", "UserService.save", "hash_password", classes=("UserService",)
    ),
    "shop/orders/service.py": facts("OrderService.load", "update", "fn", classes=("OrderService",)),
    "shop/__init__.py": facts("parse_config"),
    "shop/config.py": facts("parse_config", "Config.load", classes=("Config",)),
    "tests/test_config.py": facts("test_parse", "parse_config"),
    "web/src/components/Button.tsx": facts("Button", "useTheme"),
    "web/src/index.ts": facts("main"),
    "web/src/pages/index.ts": facts("main"),
    "core/src/engine/flow.rs": facts("Flow.run", "drive", classes=("Flow",)),
    "cmd/shopd/main.go": facts("main", "serveHTTP", package="main"),
    "pkg/cart/cart.go": facts("Total", "Cart.Add", classes=("Cart",), package="cart"),
    "src/main/java/com/acme/shop/Ledger.java": facts(
        "Ledger.post", classes=("Ledger",), package="com.acme.shop"
    ),
    "Server/Services/Mailer.cs": facts("Mailer.Send", classes=("Mailer",), package="Acme.Services"),
})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("shop/users/service.py", ["shop/users/service.py"]),
        ("./shop/users/service.py", ["shop/users/service.py"]),
        ("`shop/users/service.py`,", ["shop/users/service.py"]),
        ("shop\\users\\service.py", ["shop/users/service.py"]),
        ("shop/users/service.py:12", ["shop/users/service.py"]),
        ("shop/users/service.py:12:5", ["shop/users/service.py"]),
        ("shop/users/service.py:12-40", ["shop/users/service.py"]),
        ("shop/users/service.py#L12-L40", ["shop/users/service.py"]),
        ("Button.tsx(12,5)", ["web/src/components/Button.tsx"]),
        ("/home/ada/shop/shop/config.py", ["shop/config.py"]),
        ("/home/ada/shop/./web/../shop/config.py:3", ["shop/config.py"]),
        ("file:///home/ada/shop/shop/config.py", ["shop/config.py"]),
        ("file://localhost/home/ada/shop/shop/config%2Epy", ["shop/config.py"]),
        ("a/shop/config.py", ["shop/config.py"]),
        ("config.py", ["shop/config.py"]),
        ("users/service.py", ["shop/users/service.py"]),
        ("service.py", ["shop/orders/service.py", "shop/users/service.py"]),
        ("components/Button", ["web/src/components/Button.tsx"]),
        ("./components/Button", ["web/src/components/Button.tsx"]),
        ("shop.users.service", ["shop/users/service.py"]),
        ("com.acme.shop.Ledger", ["src/main/java/com/acme/shop/Ledger.java"]),
        ("crate::engine::flow", ["core/src/engine/flow.rs"]),
        ("src/pages", ["web/src/pages/index.ts"]),
        ("/home/ada/shopping/shop/config.py", []),
        ("/etc/shop/config.py", []),
        ("../shop/config.py", []),
        ("nothing.py", []),
        ("users/config.py", []),
        ("hop/config.py", []),
        ("", []),
        ("/", []),
        ("..", []),
        ("README.md", []),
    ],
)
def test_a_path_means_the_file_that_it_names_or_ends(name: str, paths: list[str]) -> None:
    assert sorted(SHOP.find([name], roots=ROOTS).paths) == paths


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("UserService", ["UserService"]),
        ("UserService.load", ["UserService.load"]),
        ("UserService.load()", ["UserService.load"]),
        ("UserService.load(user, retry=True)", ["UserService.load"]),
        ("UserService::save", ["UserService.save"]),
        ("UserService#save", ["UserService.save"]),
        ("UserService->save()", ["UserService.save"]),
        ("shop.users.service.UserService.save", ["UserService.save"]),
        ("shop.users.UserService", ["UserService"]),
        ("users/hash_password", ["hash_password"]),
        ("hash_password", ["hash_password"]),
        ("self.hash_password()", ["hash_password"]),
        ("crate::engine::flow::Flow", ["Flow"]),
        ("Flow::run", ["Flow.run"]),
        ("Flow<T>", ["Flow"]),
        ("cart.Total", ["Total"]),
        ("cart.Cart.Add", ["Cart.Add"]),
        ("com.acme.shop.Ledger.post", ["Ledger.post"]),
        ("Acme.Services.Mailer", ["Mailer"]),
        ("useTheme", ["useTheme"]),
        ("serveHTTP", ["serveHTTP"]),
        ("load", []),
        ("load()", ["Config.load", "OrderService.load", "UserService.load"]),
        ("update", []),
        ("update()", ["update"]),
        ("fn", []),
        ("fn()", []),
        ("drive", ["drive"]),
        ("client.load()", []),
        ("os.path.join", []),
        ("Nothing", []),
        ("parse_config", ["parse_config", "parse_config"]),
        ("two words", []),
        ("()", []),
        ("::", []),
        ("((((((((", []),
    ],
)
def test_a_symbol_means_where_it_is_defined(name: str, symbols: list[str]) -> None:
    assert sorted(place.name for place in SHOP.find([name], roots=ROOTS).places) == symbols


def test_code_goes_before_tests() -> None:
    places = SHOP.find(["parse_config"], roots=ROOTS).places
    assert {place.path for place in places} == {"shop/__init__.py", "shop/config.py"}


def test_relative_paths_start_from_the_folder_that_was_asked_for() -> None:
    for name in ("index.ts", "./index.ts", "../src/index.ts", "web/src/index.ts"):
        assert SHOP.find([name], roots=ROOTS, prefix="web/src").paths == ("web/src/index.ts",)
    assert SHOP.find(["service.py"], roots=ROOTS, prefix="shop/orders").paths == ("shop/orders/service.py",)
    assert SHOP.find(["../../shop/config.py"], roots=ROOTS, prefix="web/src").paths == ("shop/config.py",)


def test_absolute_paths_may_go_through_another_spelling_of_a_folder() -> None:
    roots = {"/home/ada/shop": "", "/links/web": "web/src"}
    assert SHOP.find(["/links/web/pages/index.ts"], roots=roots).paths == ("web/src/pages/index.ts",)


def test_paths_of_windows_are_found_in_either_case() -> None:
    roots = {"C:/Users/Ada/shop": ""}
    for name in (
        "C:\\Users\\Ada\\shop\\shop\\config.py",
        "c:/users/ada/shop/shop/config.py",
        "file:///C:/Users/Ada/shop/shop/config.py",
    ):
        assert SHOP.find([name], roots=roots).paths == ("shop/config.py",)
    assert candidates("D:\\shop\\config.py", roots) == ()
    assert candidates("\\\\nas\\work\\shop\\config.py", {"//nas/work/shop": ""}) == ("config.py",)


def test_what_too_many_places_define_says_nothing_unless_it_is_qualified() -> None:
    files = {f"p{n}/views.py": facts("handle", f"View{n}.render") for n in range(MANY + 1)}
    names = Names().changed({}, files)
    assert names.find(["render()", "handle"], roots=ROOTS).places == ()
    assert [place.path for place in names.find(["View3.render"], roots=ROOTS).places] == ["p3/views.py"]
    assert len(names.find(["views.py"], roots=ROOTS).paths) == MANY


def test_each_file_and_symbol_comes_once_in_the_order_of_the_names() -> None:
    found = SHOP.find(["Flow", "config.py", "shop/config.py", "Flow", "Cart"], roots=ROOTS)
    assert found.paths == ("shop/config.py",)
    assert [place.name for place in found.places] == ["Flow", "Cart"]


WORDS = st.sampled_from(["a", "b", "load", "save", "Service", "main", "index", "parse_config"])
PATHS = st.builds(
    lambda folders, name, suffix: "/".join((*folders, name + suffix)),
    st.lists(WORDS, max_size=3),
    st.one_of(WORDS, st.just("__init__")),
    st.sampled_from([".py", ".ts", ".go"]),
)
FACTS = st.builds(
    lambda names, types: facts(*names, classes=tuple(types)),
    st.lists(st.one_of(WORDS, st.builds("{}.{}".format, WORDS, WORDS)), max_size=4),
    st.lists(WORDS, max_size=2),
)
FILES = st.dictionaries(PATHS, FACTS, max_size=8)
ASKED = st.lists(
    st.one_of(
        PATHS, WORDS, st.builds("{}.{}()".format, WORDS, WORDS), st.builds("{}/{}".format, WORDS, WORDS)
    ),
    max_size=10,
)


@given(st.lists(FILES, min_size=1, max_size=4), ASKED)
def test_changes_lead_to_the_same_names_as_a_fresh_start(
    states: list[dict[str, FileFacts]], asked: list[str]
) -> None:
    names, held = Names(), {}
    for state in states:
        gone = {path: facts for path, facts in held.items() if state.get(path) != facts}
        come = {path: facts for path, facts in state.items() if held.get(path) != facts}
        names, held = names.changed(gone, come), state
    fresh = Names().changed({}, held)
    for path in held:
        assert names.paths_of(path, roots=ROOTS) == fresh.paths_of(path, roots=ROOTS)
    for name in asked:
        old, new = names.find([name], roots=ROOTS), fresh.find([name], roots=ROOTS)
        assert set(old.paths) == set(new.paths)
        assert sorted(old.places, key=repr) == sorted(new.places, key=repr)


@given(FILES)
def test_every_file_is_found_by_its_own_path(files: dict[str, FileFacts]) -> None:
    names = Names().changed({}, files)
    for path in files:
        for spelling in (path, "./" + path, "/home/ada/shop/" + path, path.replace("/", "\\"), path + ":7"):
            assert names.find([spelling], roots=ROOTS).paths == (path,)


@given(FILES, st.lists(st.text(max_size=60), max_size=5))
def test_any_text_may_be_asked_for(files: dict[str, FileFacts], asked: list[str]) -> None:
    found = Names().changed({}, files).find(asked, roots=ROOTS)
    assert set(found.paths) <= set(files)
    assert {place.path for place in found.places} <= set(files)
