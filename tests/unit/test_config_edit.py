"""Options are changed in the text of the file: what was not asked for stays as it stands, to the letter."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.config.document import DocumentError, read_document
from lynkr_desktop.engine.config.edit import EditError, edit

FILE = b"""\
# My routing.

proxy:
  port: 8081   # as the editor has it
  auth:   # nothing yet

routing:
  tiers:
    simple:
      providers:
        - ollama/auto   # small ones
        - embedded/auto
      max_complexity: 0.3
    # the rest goes out
    complex: {providers: [openrouter/x], max_complexity: 1.0}   # all in one

# at the end
logging:
  level: "info"
  # keep: 3
"""


def edited(changes: dict[str, Any], content: bytes = FILE) -> str:
    return edit(content, {tuple(name.split("/")): value for name, value in changes.items()}).decode()


def test_a_value_is_replaced_and_nothing_else() -> None:
    assert edited({"proxy/port": 9000}) == FILE.decode().replace("8081", "9000")
    assert edited({"logging/level": "debug"}) == FILE.decode().replace('"info"', "debug")
    assert edited({"logging/level": "off"}) == FILE.decode().replace('"info"', '"off"')


def test_a_list_in_block_style_becomes_one_line() -> None:
    text = edited({"routing/tiers/simple/providers": ["ollama/a:7b", "embedded/auto"]})
    assert "      providers: [ollama/a:7b, embedded/auto]\n      max_complexity: 0.3\n" in text
    assert "# the rest goes out" in text


def test_a_new_option_stands_with_its_neighbours() -> None:
    text = edited(
        {"logging/max_size": "1MB", "routing/tiers/simple/enabled": False, "proxy/auth/token": "t" * 8}
    )
    assert text.endswith('# at the end\nlogging:\n  level: "info"\n  max_size: 1MB\n  # keep: 3\n')
    assert "      max_complexity: 0.3\n      enabled: false\n    # the rest goes out\n" in text
    assert "  auth:   # nothing yet\n    token: tttttttt\n\nrouting:" in text


def test_a_new_group_is_added_at_the_end() -> None:
    text = edited(
        {"providers/lm.studio/kind": "openai_compatible", "providers/lm.studio/base_url": "http://h:1/v1"}
    )
    assert text.startswith(FILE.decode() + "providers:\n  lm.studio:\n    kind: openai_compatible\n")
    assert read_document(text.encode()).data["providers"] == {
        "lm.studio": {"kind": "openai_compatible", "base_url": "http://h:1/v1"}
    }


def test_braces_are_written_anew() -> None:
    text = edited({"routing/tiers/complex/enabled": False})
    assert (
        "    complex: {providers: [openrouter/x], max_complexity: 1.0, enabled: false}   # all in one\n"
        in text
    )


def test_a_removed_option_leaves_no_empty_group() -> None:
    assert "max_complexity: 0.3" not in edited({"routing/tiers/simple/max_complexity": None})
    text = edited({"logging/level": None})
    assert "logging:" not in text
    assert "# at the end" in text
    assert edited({"telemetry/retention": None}) == FILE.decode(), "what is not there needs no removing"
    assert edit(b"logging:\n  level: info\n", {("logging", "level"): None}) == b""


def test_files_of_every_habit() -> None:
    assert edited({"logging/level": "debug"}, b"") == "logging:\n  level: debug\n"
    assert edited({"logging/level": "debug"}, b"# only this") == "# only this\nlogging:\n  level: debug\n"
    assert edited({"logging/level": "debug"}, b"logging:") == "logging:\n  level: debug"
    assert edited({"logging/level": "debug"}, b"logging: {}\n") == "logging:\n  level: debug\n"
    assert edited({"logging/level": "debug"}, b"{logging: {keep: 2}}") == "{logging: {keep: 2, level: debug}}"
    assert (
        edited({"logging/level": "debug"}, b"logging:\r\n  keep: 2\r\nproxy:\r\n  port: 1\r\n")
        == "logging:\r\n  keep: 2\r\n  level: debug\r\nproxy:\r\n  port: 1\r\n"
    )
    assert edited({"a/b": 2}, b"\xef\xbb\xbfa:\n  b: 1\n").encode() == b"\xef\xbb\xbfa:\n  b: 2\n"
    assert (
        edited({"a/c": "x"}, "ä:\n  ü: ö  # ß\na:\n  b: 1".encode())
        == "ä:\n  ü: ö  # ß\na:\n  b: 1\n  c: x\n"
    )


def test_what_cannot_be_done_safely_is_refused() -> None:
    shared = b"one: &x {port: 1}\ntwo: *x\n"
    with pytest.raises(EditError, match="by hand"):
        edit(shared, {("two", "port"): 2})
    with pytest.raises(EditError, match="by hand"):
        edit(b"proxy:\n  port: 1\n...\n", {("logging", "level"): "debug"})
    with pytest.raises(DocumentError):
        edit(b"proxy: [", {("logging", "level"): "debug"})


NAMES = st.text("abcxyz_ü-", min_size=1, max_size=6)
LEAVES = st.one_of(
    st.integers(-1000, 1000),
    st.booleans(),
    st.text(max_size=20).filter(lambda text: text.isprintable()),
    st.lists(st.sampled_from(["ollama/auto", "yes", "1", "a: b", "#x"]), max_size=3),
)
TREES = st.recursive(
    LEAVES, lambda below: st.dictionaries(NAMES, below, min_size=1, max_size=4), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(NAMES, TREES, max_size=4),
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    st.one_of(st.none(), LEAVES),
    st.sampled_from([False, None]),
)
def test_any_change_of_any_file_is_exact_or_refused(
    data: dict[str, Any], path: tuple[str, ...], value: Any, style: bool | None
) -> None:
    content = yaml.safe_dump(data, allow_unicode=True, default_flow_style=style).encode() if data else b""
    expected = read_document(content).data
    try:
        result = read_document(edit(content, {path: value})).data
    except EditError:
        return
    below: Any = result
    for name in path:
        below = below.get(name) if isinstance(below, dict) else None
    assert below == value
    for name in expected:
        if name != path[0]:
            assert result[name] == expected[name]
