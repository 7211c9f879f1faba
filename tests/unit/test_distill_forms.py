"""Each lossless form can be read back, whatever it is made of."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr_desktop.engine.optimization.block_cache import BlockCache, block_key
from lynkr_desktop.engine.optimization.distill import (
    DistillStage,
    beginnings,
    findings,
    grouping,
    json_forms,
    long_listing,
    terminal,
    trees,
)
from lynkr_desktop.engine.optimization.distill.diffing import matches, unified
from lynkr_desktop.engine.optimization.distill.envelope import split_envelope
from lynkr_desktop.engine.optimization.distill.listing import listing_of
from lynkr_desktop.engine.optimization.distill.mentions import Mentions
from lynkr_desktop.engine.optimization.distill.outline import fold
from lynkr_desktop.engine.optimization.distill.reread import applied
from lynkr_desktop.engine.optimization.stage import PATH, Scene, handle_of
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, ToolResult, ToolUse

words = st.text(st.sampled_from("ab c.,:/\\\"'∅é\t{}[]12-|"), max_size=8)
names = st.sampled_from(["id", "name", "rows", "columns", "same", "a b", "∅", "x"])
scalars = st.none() | st.booleans() | st.integers() | words | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
tables = st.lists(st.dictionaries(names, values, max_size=5), min_size=3, max_size=8)
documents = tables | st.dictionaries(names, tables | values, max_size=3) | st.lists(tables, max_size=3)


def exact(text: str) -> Any:
    """JSON with its numbers as they are written, so that 1, 1.0 and true are told apart."""
    return json.loads(text, parse_int=lambda digits: ("n", digits), parse_float=lambda digits: ("n", digits))


@settings(max_examples=120)
@given(documents, st.sampled_from([None, 2, 4]), st.booleans())
def test_json_says_the_same_in_each_form(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    short = json_forms.compact(text)
    if isinstance(value, dict | list):
        assert short is not None
        assert exact(short) == exact(text)
    if (columns := json_forms.columnar(text)) is not None:
        assert json_forms.decode(columns) == value
        assert repr(json_forms.decode(columns)).count("True") == repr(value).count("True")


@given(tables)
def test_lines_of_json_become_columns(rows: list[dict[str, Any]]) -> None:
    text = "\n".join(json.dumps(row) for row in rows)
    if (columns := json_forms.columnar(text)) is not None:
        assert json_forms.decode(columns) == rows


def test_numbers_keep_their_digits() -> None:
    text = '[{"a":1.10,"b":12345678901234567890123},{"a":1E5,"b":2},{"a":0.1,"b":3}]'
    columns = json_forms.columnar(text)
    assert columns is not None
    assert all(digits in columns for digits in ("1.10", "12345678901234567890123", "1E5"))


@pytest.mark.parametrize("text", ['[{"a":1,"a":2}' + ',{"a":3}' * 5 + "]", '[{"a":NaN},{"a":1},{"a":2}]'])
def test_json_that_columns_cannot_say_stays(text: str) -> None:
    assert json_forms.columnar(text) is None


paths = st.sampled_from(
    ["/a/long/folder/x.py", "/a/long/folder/y z.py", "C:\\w\\q.cs", "b.py", "/a/long/x", "Makefile"]
)
hits = st.one_of(
    st.builds(lambda path, line, text: f"{path}:{line}:{text}", paths, st.integers(0, 99), words),
    st.builds(lambda path, line, text: f"{path}-{line}-{text}", paths, st.integers(0, 99), words),
    st.builds(lambda path, line, text: f"{path}({line},1): {text}", paths, st.integers(0, 99), words),
    st.builds(lambda path, text: f"{path}:{text}", paths, words),
    st.sampled_from(["--", "", "Binary file x matches", " indented", "|bar"]),
    words,
)


@settings(max_examples=300)
@given(st.lists(hits, min_size=6, max_size=30))
def test_grouped_hits_can_be_read_back(lines: list[str]) -> None:
    text = "\n".join(lines)
    if (grouped := grouping.group_hits(text)) is not None:
        assert grouping.ungroup_hits(grouped) == text


@settings(max_examples=300)
@given(st.lists(paths | st.builds(lambda path, word: f"{path}/{word}", paths, words) | words, min_size=6))
def test_grouped_paths_can_be_read_back(lines: list[str]) -> None:
    text = "\n".join(lines)
    if (grouped := grouping.group_paths(text)) is not None:
        assert grouping.ungroup_paths(grouped) == text


def drawn(folder: dict[str, Any], bars: str = "") -> list[str]:
    lines: list[str] = []
    for number, (name, inside) in enumerate(folder.items(), 1):
        last = number == len(folder)
        lines.append(f"{bars}{'└' if last else '├'}── {name}")
        lines += drawn(inside, bars + ("    " if last else "│   "))
    return lines


folders: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), inner, max_size=6),
)


@settings(max_examples=60)
@given(folders)
def test_trees_can_be_drawn_again(folder: dict[str, Any]) -> None:
    text = "\n".join(["src", *drawn(folder), "", "3 directories, 9 files"])
    undrawn = trees.undraw_tree(text)
    assert undrawn is not None or text.count("── ") < 20
    if undrawn is not None:
        assert trees.draw_tree(undrawn) == text


def test_sections_of_a_listing_can_be_split_again() -> None:
    text = "\n\n".join(f"src/d{n}:\n" + "\n".join(f"f{m}.py" for m in range(6)) for n in range(5)) + "\n"
    joined = trees.join_sections(text)
    assert joined is not None
    assert trees.split_sections(joined) == text


entries = st.builds(
    lambda mode, size, date, name: f"{mode}  2 dev dev {size:>8} {date} {name}",
    st.sampled_from(["-rw-r--r--", "drwxr-xr-x", "-rwxr-xr-x", "lrwxrwxrwx"]),
    st.integers(0, 10**7),
    st.sampled_from(["Nov 23 19:30", "Jan  1  1970", "2026-08-03 12:00"]),
    st.sampled_from(["a.py", ".git", "two words", "x -> y", "f 1 2"]),
)


@given(st.lists(entries | st.sampled_from(["total 96", "", "./src:", "f 1 2 Nov 23 19:30 x"]), max_size=20))
def test_long_listings_can_be_read_back(lines: list[str]) -> None:
    text = "\n".join(lines)
    if (short := long_listing.shorten_listing(text)) is not None:
        assert long_listing.restore_listing(short).split() == text.split()


def test_a_long_listing_becomes_shorter() -> None:
    text = "total 9\n" + "\n".join(
        f"-rw-r--r-- 1 dev dev {n * 977:>6} Nov 23 19:30 f{n}.py" for n in range(30)
    )
    short = long_listing.shorten_listing(text)
    assert short is not None
    assert len(short) < 0.7 * len(text)


@given(st.lists(st.sampled_from(["", "same line that is long enough to be folded", "b", "c c"]), max_size=30))
def test_folded_lines_can_be_unfolded(lines: list[str]) -> None:
    text = "\n".join(lines)
    folded = terminal.fold_repeats(text)
    kept = [line for line in terminal.unfold_repeats(folded).split("\n") if line]
    assert kept == [line for line in lines if line]


@given(st.text(st.sampled_from("ab1%\r\n\x1b[0m ]")))
def test_a_terminal_keeps_its_lines_and_its_words(text: str) -> None:
    clean = terminal.clean(text)
    assert clean.count("\n") == text.count("\n")
    assert len(clean) <= len(text)


findings_lines = st.lists(
    st.tuples(
        st.sampled_from(["src/app/a.py", "src/app/b.py", "c.py"]),
        st.integers(1, 40),
        st.sampled_from([":3", ":12", ""]),
        st.sampled_from(
            [
                "E501 Line is too long by far",
                "E502 Two of them",
                "E502 Two of the same code",
                "E501 …",
                "error: no such name",
                "B1 x: 3: y",
            ]
        ),
    ),
    min_size=10,
    max_size=40,
)


@settings(max_examples=300)
@given(findings_lines, st.booleans(), st.lists(st.sampled_from(["", "Found 3 errors.", " 3: x"]), max_size=3))
def test_findings_can_be_read_back(
    made: list[tuple[str, int, str, str]], in_order: bool, rest: list[str]
) -> None:
    made = sorted(made, key=lambda one: one[:2]) if in_order else made
    lines = [f"{path}:{line}{column}: {message}" for path, line, column, message in made]
    text = "\n".join([*lines, *rest])
    if (short := findings.group_findings(text)) is not None:
        read = findings.ungroup_findings(short)
        assert read == findings.by_place(text)
        assert sorted(read.split("\n")) == sorted(text.split("\n"))


def test_a_finding_is_said_once_and_all_its_places_stay() -> None:
    lines = [
        f"src/app/{name}.py:{line}:5: {message}"
        for name in ("one", "two", "three")
        for line in range(1, 60, 4)
        for message in (
            "FBT001 Boolean-typed positional argument in function definition",
            f"X{line} odd {name}",
        )
    ]
    short = findings.group_findings("\n".join(lines))
    assert short is not None
    assert short.count("Boolean-typed positional") == 1
    assert " 1:5 5:5 9:5 13:5" in short
    assert all(f"X{line} odd {name}" in short for name in ("one", "three") for line in (1, 57))
    assert short.count("FBT001 …") == 2


alike = st.lists(
    st.sampled_from(
        [
            *(f"^94d4e36 (Dev Name 2026-11-23 19:32:38 +0000 {n:>3}) x = {n}" for n in range(8, 12)),
            *(f"a41c9d02 (Dev Name 2026-11-24 08:02:11 +0000 {n:>3}) y = {n}" for n in range(3)),
            "a41c9d02 (Dev Name 2026-11-24 08:02:11 +0000",
            "",
            "Found 3 lines that are long enough.",
            "» quoted",
        ]
    ),
    max_size=30,
)


@given(alike)
def test_lines_that_begin_alike_can_be_read_back(lines: list[str]) -> None:
    text = "\n".join(lines)
    if (short := beginnings.group_beginnings(text)) is not None:
        assert beginnings.ungroup_beginnings(short) == text


def test_the_beginnings_of_blamed_lines_are_said_once() -> None:
    text = "\n".join(
        f"{'^94d4e36' if n < 50 else 'a41c9d02'} (Dev 2026-11-23 19:32:38 +0000 {n:>3}) value_{n} = {n * 31}"
        for n in range(100)
    )
    short = beginnings.group_beginnings(text)
    assert short is not None
    assert short.count("2026-11-23") == 2
    assert all(f"{n:>3}) value_{n} = {n * 31}" in short for n in range(100))


texts = st.lists(st.sampled_from([*"abcdefghijkl", "", "+x", "-x", "@@"]), max_size=25)


@settings(max_examples=500)
@given(texts, texts)
def test_a_diff_makes_the_new_text_of_the_old(old: list[str], new: list[str]) -> None:
    pairs = matches(old, new)
    assert all(old[one] == new[other] for one, other in pairs)
    assert applied(old, unified(old, new, pairs)) == new


@given(st.text(st.sampled_from("ab\n<>[]/: Ouptex0")))
def test_an_envelope_joined_is_the_text(text: str) -> None:
    assert "".join(split_envelope("Exit code: 0\nOutput:\n" + text)) == "Exit code: 0\nOutput:\n" + text


@pytest.mark.parametrize("form", ["{:6d}\t{}", "{:6d}→{}", "{:05d}| {}", "{}: {}", "L{}: {}", "{} | {}"])
def test_numbers_of_lines_are_told_from_the_lines(form: str) -> None:
    lines = ["def a():", "", "    return 1", "x", "y", "z", "1: q"]
    text = "<file>\n" + "\n".join(form.format(n, line) for n, line in enumerate(lines, 12)) + "\n</file>"
    listing = listing_of(text, partial=False)
    assert (listing.first, listing.numbered) == (12, True)
    assert [line.strip() for line in listing.lines] == [line.strip() for line in lines]
    assert (listing.head, listing.tail) == ("<file>\n", "\n</file>")


code = st.lists(
    st.sampled_from(
        [
            "def load(rows):",
            "class Part:",
            "    def __init__(self, rows: list[int]) -> None:",
            "    async def fetch(",
            "        self, limit: int",
            "    ) -> int:",
            '        """Says what it does.',
            '        """',
            "        total = sum(convert(row) for row in self.rows)  # of all that there are",
            "            return handle_everything(total, total, total)",
            "export function load(rows) {",
            "  async run(limit) {",
            "    total += convert(rows, limit, limit, limit, limit);",
            "}",
            "  }",
            "",
            "\tif (a) {",
            "x = 1",
        ]
    ),
    min_size=4,
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(
    code,
    st.sampled_from(["a.py", "a.ts"]),
    st.booleans(),
    st.sampled_from(["", "`convert` fails", "load(rows)"]),
)
def test_a_folded_file_and_what_was_kept_are_the_file(
    lines: list[str], name: str, with_numbers: bool, ask: str
) -> None:
    lines = [line for part in range(8) for line in [*lines, f"part_{part} = {part}"]] * 2
    text = "\n".join(f"{n:>6}\t{line}" if with_numbers else line for n, line in enumerate(lines, 1))
    listing = listing_of(text, partial=False)
    mentions = Mentions()
    mentions.say(ask, person=True)
    folded = fold(listing, f"/r/{name}", mentions, lambda what: f"[{what} left out]")
    if folded is None:
        return
    read: list[str] = []
    for line in folded.text.split("\n")[1:]:
        if mark := re.fullmatch(r"\[… lines (\d+)-(\d+)(?:: [^\]]+)?\]", line):
            read += lines[int(mark[1]) - 1 : int(mark[2])]
        else:
            read.append(line.split("\t", 1)[1] if with_numbers else line)
    assert read == lines
    shown = [line for start, end in folded.shown for line in lines[start:end]]
    assert len(shown) < len(lines)
    assert all(line in shown for line in lines if line.startswith(("def ", "class ", "export ", "part_")))


# ---------------------------------------------------------------- any conversation

parts = st.sampled_from(
    [
        *(f"tests/test_a.py::test_{n} PASSED [ 3%]" for n in range(4)),
        *(f"2026-01-01T00:00:0{n}Z INFO GET /x/{n} 200 {n}ms" for n in range(9)),
        "E   AssertionError: 3 != 4",
        "    at a.b.C(C.java:3)",
        "    at org.springframework.X(X.java:3)",
        "src/a.py:3:import os",
        "./node_modules/a/b.js",
        '{"a": 1, "b": 2}',
        "a,b,c",
        "",
        "\x1b[31mred\x1b[0m",
        "10%\r20%\r30%",
        "   Compiling a v1.0.0",
        "error: it is broken",
        "… odd \ud800",
    ]
)
outputs = st.lists(st.tuples(parts, st.integers(1, 40)), min_size=1, max_size=12).map(
    lambda runs: "\n".join(line for part, count in runs for line in [part] * count)
)
calls = st.sampled_from(
    [
        ("Bash", {"command": "make test"}),
        ("Read", {"file_path": "/r/a.py"}),
        ("Read", {"file_path": "/r/a.py", "offset": 3, "limit": 9}),
        ("Read", {"file_path": "a.log"}),
        ("Grep", {"pattern": "x"}),
        ("Glob", {"pattern": "*"}),
        ("shell", {"command": ["bash", "-lc", "cat a.py"]}),
        ("other", {}),
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(calls, outputs), min_size=1, max_size=6), st.booleans())
def test_the_laws_hold_for_any_conversation(made: list[tuple[Any, str]], restorable: bool) -> None:
    turns = [Message("user", (Text("do"),))]
    for number, ((name, arguments), text) in enumerate(made):
        turns.append(Message("assistant", (ToolUse(f"c{number}", name, arguments),)))
        turns.append(Message("user", (ToolResult(f"c{number}", (Text(text),)),)))
    stage = DistillStage()
    before: tuple[Message, ...] = ()
    for end in range(1, len(turns) + 1, 2):
        scene = Scene(count=lambda text: len(text) // 3, restorable=restorable, seconds=60)
        after = stage.apply(Request("m", tuple(turns[:end])), scene).messages
        assert after[: len(before)] == before
        before = after
    assert restorable or not scene.originals
    assert all(handle == handle_of(original) for handle, original in scene.originals.items())
    for old, new, (_, text) in zip(turns[2::2], before[2::2], made, strict=True):
        result, original = new.content[0], old.content[0]
        assert isinstance(result, ToolResult)
        assert isinstance(original, ToolResult)
        assert result.tool_use_id == original.tool_use_id
        short = result.text
        assert len(short) <= len(text)
        if f'left out; read "{PATH}' in short:
            assert text in scene.originals.values()
        elif "it is broken" in text:
            assert "it is broken" in short
        whole_line_gone = "E   AssertionError: 3 != 4" in text and "3 != 4" not in short
        assert not whole_line_gone or "above" in short


# ---------------------------------------------------------------- the block cache


def test_the_cache_keeps_within_its_bytes_and_forgets_the_oldest() -> None:
    cache: BlockCache[str] = BlockCache(1_000)
    for number in range(10):
        cache.put(block_key(str(number)), str(number), 150)
        cache.get(block_key("0"))
    assert cache.size <= 1_000
    assert cache.get(block_key("0")) == "0"
    assert cache.get(block_key("1")) is None
    assert (cache.hits, cache.misses) == (11, 1)


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache: BlockCache[str] = BlockCache(1_000)
    cache.put(b"a", "small", 10)
    cache.put(b"b", "large", 2_000)
    assert cache.get(b"a") == "small"
    assert cache.get(b"b") is None
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)


def test_keys_tell_apart_where_texts_are_cut() -> None:
    assert block_key("ab", "c") != block_key("a", "bc")
    assert block_key("\ud800") != block_key("?")
