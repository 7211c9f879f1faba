"""Tool results become smaller, and nothing that an answer may depend on is lost."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.distill import DistillStage
from lynkr_desktop.engine.optimization.stage import PATH, RESTORE, OutOfTime, Scene
from lynkr_desktop.engine.wire.canonical import Image, Message, Request, Text, Tool, ToolResult, ToolUse

Call = tuple[str, dict[str, Any], str]

CODE = "\n".join(f"def step_{n}(value: int) -> int:\n    return value * {n}  # part {n}\n" for n in range(60))


MODULE = "\n".join(
    f"""def load_part_{n}(rows: list[int], limit: int = {n}) -> int:
    \"\"\"Loads part {n} of the rows.

    It goes on for some lines.
    \"\"\"
    total = 0
    for row in rows[:limit]:
        total += convert_row_{n}(row) * {n * 7919}
        if total > {n * 104729}:
            raise TooManyRows(total)
    log.debug("part %s of the rows is loaded", {n})
    return total

"""
    for n in range(30)
)


def conversation(*calls: Call, ask: str = "Please look.") -> Request:
    turns = [Message("user", (Text(ask),))]
    for number, (name, arguments, text) in enumerate(calls):
        turns.append(Message("assistant", (ToolUse(f"c{number}", name, arguments),)))
        turns.append(Message("user", (ToolResult(f"c{number}", (Text(text),)),)))
    return Request("m", tuple(turns), tools=(Tool("Bash"),))


def results(request: Request) -> list[str]:
    return [
        block.text
        for message in request.messages
        for block in message.content
        if isinstance(block, ToolResult)
    ]


def distilled(*calls: Call, restorable: bool = True, ask: str = "Please look.") -> tuple[list[str], Scene]:
    scene = Scene(count=tokens.count, restorable=restorable)
    return results(DistillStage().apply(conversation(*calls, ask=ask), scene)), scene


def bash(text: str, command: str = "./run.sh") -> Call:
    return "Bash", {"command": command}, text


def read(text: str, path: str = "/repo/app/steps.py", first: int = 1, **more: Any) -> Call:
    lines = "\n".join(f"{number:6d}\t{line}" for number, line in enumerate(text.split("\n"), first))
    return "Read", {"file_path": path, **more}, lines


def narrow(text: str) -> str:
    """A file as `read` shows it, with its numbers not aligned: all else must stay."""
    return re.sub(r"(?m)^ +(?=\d+\t)", "", text)


def saved(before: str, after: str) -> float:
    return 1 - tokens.count(after) / tokens.count(before)


def pytest_log() -> str:
    lines = [
        f"tests/test_{n // 20}.py::test_case_{n} {'FAILED' if n == 77 else 'PASSED'} [{n // 4:3d}%]"
        for n in range(400)
    ]
    return "\n".join(
        [
            *lines,
            "=================================== FAILURES ===================================",
            "tests/test_3.py:12: in test_case_77",
            "E   AssertionError: order 8841 has 41 rows, not 42",
            "======================== 1 failed, 399 passed in 3.21s =========================",
        ]
    )


# ---------------------------------------------------------------- logs


def test_a_test_run_keeps_its_failures_its_error_text_and_its_counts() -> None:
    (text,), scene = distilled(bash(pytest_log(), "pytest -v"))
    for needle in ("test_case_77 FAILED", "order 8841 has 41 rows, not 42", "1 failed, 399 passed in 3.21s"):
        assert needle in text
    assert saved(pytest_log(), text) > 0.9
    assert list(scene.originals.values()) == [pytest_log()]
    assert next(iter(scene.originals)) in text


def test_the_lines_that_a_mark_names_are_those_lines_of_the_original() -> None:
    head = "Exit code: 1\nWall time: 3.2 seconds\nOutput:\n"
    (text,), scene = distilled(("shell", {"command": ["bash", "-lc", "pytest -v"]}, head + pytest_log()))
    (original,) = scene.originals.values()
    assert text.startswith(head)
    assert "lines 4-80: passed tests]" in text
    assert all("PASSED" in line for line in original.split("\n")[3:80])


LOGS = {
    "jest": (
        "\n".join(
            f"PASS src/c{n}.test.ts\n  Part {n}\n    ✓ does {n} (3 ms)\n    ✓ is {n}" for n in range(40)
        )
        + "\nFAIL src/z.test.ts\n  Z\n    ✕ breaks (3 ms)\n\n  ● Z › breaks\n"
        "    Expected: 3\n    Received: 4\n"
        "Tests: 1 failed, 80 passed, 81 total",
        ("FAIL src/z.test.ts", "  Z\n", "✕ breaks", "Received: 4", "1 failed, 80 passed"),
    ),
    "go": (
        "\n".join(f"=== RUN   TestA{n}\n--- PASS: TestA{n} (0.00s)" for n in range(60))
        + "\n    b_test.go:12: want 3, got 4\n--- FAIL: TestB (0.01s)\nFAIL\tgithub.com/x/y\t0.12s",
        ("b_test.go:12: want 3, got 4", "--- FAIL: TestB", "FAIL\tgithub.com/x/y"),
    ),
    "cargo": (
        "\n".join(f"   Compiling crate{n} v1.{n}.0" for n in range(60))
        + "\nwarning: unused variable: `x`\n --> src/main.rs:3:9\nerror[E0382]: borrow of moved value: `v`",
        ("unused variable: `x`", "src/main.rs:3:9", "error[E0382]: borrow of moved value: `v`"),
    ),
    "maven": (
        "\n".join(f"[INFO] Downloading from central: https://repo/{n}.pom" for n in range(60))
        + "\n[WARNING] system modules path not set\n[ERROR] src/A.java:[3,4] cannot find symbol"
        "\n[INFO] BUILD FAILURE",
        ("system modules path not set", "src/A.java:[3,4] cannot find symbol", "BUILD FAILURE"),
    ),
    "pip": (
        "\n".join(f"Collecting p{n}\n  Downloading p{n}-1.{n}-py3-none-any.whl (12 kB)" for n in range(40))
        + "\nERROR: Could not find a version that satisfies zlib-x==9\nSuccessfully installed a-1.2 b-2.7",
        ("Could not find a version that satisfies zlib-x==9", "Successfully installed a-1.2 b-2.7"),
    ),
    "npm": (
        "\n".join(f"npm http fetch GET 200 https://registry/p{n} 12ms" for n in range(40))
        + "\nnpm warn deprecated inflight@1.0.6: leaks memory\nadded 211 packages in 4s"
        "\n3 high severity vulnerabilities",
        ("inflight@1.0.6: leaks memory", "added 211 packages", "3 high severity"),
    ),
    "docker": (
        "\n".join(f"#8 sha256:{n:064x} 1.2MB / 3.0MB 0.{n}s" for n in range(30))
        + "\n#9 [3/5] RUN make\n#9 12.31 src/a.c:3:1: error: expected ';'\n#9 ERROR: exit code: 2",
        ("#9 [3/5] RUN make", "src/a.c:3:1: error: expected ';'", "#9 ERROR: exit code: 2"),
    ),
    "make": (
        "\n".join(f"gcc -O2 -Iinclude -c src/f{n}.c -o build/f{n}.o" for n in range(40))
        + "\nsrc/f81.c:12:5: warning: unused variable 'x'\nmake: *** [Makefile:12: f82.o] Error 1",
        ("src/f81.c:12:5: warning: unused variable 'x'", "[Makefile:12: f82.o] Error 1"),
    ),
    "gradle": (
        "\n".join(f"> Task :m{n}:compileJava UP-TO-DATE" for n in range(40))
        + "\nAppTest > adds numbers FAILED\n    java.lang.AssertionError at AppTest.java:9"
        "\n31 tests completed, 1 failed",
        ("AppTest > adds numbers FAILED", "AppTest.java:9", "31 tests completed, 1 failed"),
    ),
    "unittest": (
        "\n".join(f"test_{n} (app.Case.test_{n}) ... ok" for n in range(60))
        + "\ntest_x (app.Case.test_x) ... FAIL\nAssertionError: 3 != 4\nRan 61 tests in 0.1s"
        "\n\nFAILED (failures=1)",
        ("test_x (app.Case.test_x) ... FAIL", "3 != 4", "Ran 61 tests", "failures=1"),
    ),
}


@pytest.mark.parametrize("tool", LOGS)
def test_logs_of_tools_keep_what_went_wrong(tool: str) -> None:
    log, needles = LOGS[tool]
    (text,), scene = distilled(bash(log))
    assert saved(log, text) > 0.6
    for needle in needles:
        assert needle in text
    assert list(scene.originals.values()) == [log]


def test_a_list_with_ticks_that_is_no_test_run_stays() -> None:
    log = "\n".join(
        f"✓ deployed service-{n} to https://eu-{n}.example.com as rel_{n * 7919}" for n in range(60)
    )
    (text,), _ = distilled(bash(log))
    assert all(f"rel_{n * 7919}" in text for n in range(60))


def server_log() -> list[str]:
    values = random.Random(5)
    lines = [
        f"2026-05-01T12:{n // 60:02d}:{n % 60:02d}Z INFO [http] GET /items/{n * 7} 200 "
        f"{values.randint(3, 19)}ms "
        f"req={values.getrandbits(48):012x}"
        for n in range(600)
    ]
    lines[321] = "2026-05-01T12:05:21Z INFO [http] GET /items/2247 500 11ms req=00aa11bb22cc"
    lines[411] = "2026-05-01T12:06:51Z INFO [http] GET /items/2877 200 30412ms req=0011223344ff"
    lines[200] = "2026-05-01T12:03:20Z ERROR [db] timeout on connection 9"
    lines[500] = "2026-05-01T12:08:20Z INFO [auth] key rotated for tenant blue"
    return lines


def test_a_long_log_keeps_errors_and_what_is_unusual() -> None:
    lines = server_log()
    (text,), _ = distilled(bash("\n".join(lines), "docker logs api"))
    for index in (0, 200, 321, 411, 500, 599):
        assert lines[index] in text
    assert saved("\n".join(lines), text) > 0.8


def test_frames_of_libraries_are_folded_and_own_frames_stay() -> None:
    frames = "\n".join(
        f'  File "/v/lib/python3.11/site-packages/django/m{n}.py", line {n}, in call\n    return f{n}()'
        for n in range(30)
    )
    trace = (
        f'Traceback (most recent call last):\n  File "/repo/app.py", line 3, in main\n    run()\n{frames}\n'
        '  File "/repo/db.py", line 77, in save\n    raise ValueError(row)\nValueError: row 4711 is not valid'
    )
    (text,), _ = distilled(bash(trace))
    for needle in ("/repo/app.py", "line 77, in save", "ValueError: row 4711 is not valid"):
        assert needle in text
    assert saved(trace, text) > 0.6


def test_a_trace_that_comes_again_is_not_repeated() -> None:
    frames = "\n".join(
        f'  File "/repo/part{n}.py", line {n}, in call\n    return step_{n}()' for n in range(9)
    )
    trace = f"Traceback (most recent call last):\n{frames}\nValueError: row is not valid"
    log = "\n".join(f"job {n} failed for order {n * 7919}\n{trace}" for n in range(12))
    (text,), _ = distilled(bash(log))
    assert all(f"order {n * 7919}" in text for n in range(12))
    assert "ValueError: row is not valid" in text
    assert text.count("in call") == 9
    assert saved(log, text) > 0.7


def test_a_warning_is_said_once_with_its_context() -> None:
    warning = (
        "include/x.h:12:5: warning: unused variable 'limit' [-Wunused]\n   12 | int limit;\n      |     ^"
    )
    log = "\n".join(f"unit {n} is built with flags {n * 31}\n{warning}" for n in range(20))
    (text,), _ = distilled(bash(log, "make"))
    assert text.count("unused variable 'limit'") == text.count("int limit;") == 1
    assert all(f"flags {n * 31}" in text for n in range(20))


def test_json_behind_headers_becomes_smaller() -> None:
    items = [{"id": n, "owner": {"login": f"u{n}", "kind": "person"}, "open": True} for n in range(30)]
    text = "HTTP/1.1 200 OK\ncontent-type: application/json\n\n" + json.dumps(items, indent=2)
    (short,), scene = distilled(bash(text, "curl -i https://api.example.com"), restorable=False)
    assert short.startswith("HTTP/1.1 200 OK\ncontent-type: application/json\n\n")
    assert all(f'"u{n}"' in short for n in range(30))
    assert not scene.originals
    assert saved(text, short) > 0.5


def test_output_in_the_object_of_codex_is_shortened_in_it() -> None:
    text = json.dumps({"output": pytest_log(), "metadata": {"exit_code": 1, "duration_seconds": 0.4}})
    text = text.replace('": ', '":', 1)
    (short,), scene = distilled(("shell", {"command": ["bash", "-lc", "pytest -v"]}, text))
    fields = json.loads(short)
    assert fields["metadata"] == {"exit_code": 1, "duration_seconds": 0.4}
    assert "order 8841 has 41 rows, not 42" in fields["output"]
    assert list(scene.originals.values()) == [pytest_log()]
    assert saved(text, short) > 0.9


# ---------------------------------------------------------------- searches, listings, data


def test_all_hits_of_a_search_in_json_stay_without_any_handle() -> None:
    hits = [
        {"file": f"src/m{n % 7}.py", "line": n * 3, "text": f"    token_{n * 7919} = make()", "repo": "acme"}
        for n in range(60)
    ]
    text = json.dumps({"matches": hits, "total": 60}, indent=2)
    (short,), scene = distilled(("search_code", {"query": "token"}, text))
    assert all(f"token_{n * 7919} = make()" in short for n in range(60))
    assert not scene.originals
    assert saved(text, short) > 0.4


@pytest.mark.parametrize("form", ["one line", "a line each"])
def test_records_in_json_are_never_left_out(form: str) -> None:
    records = [{"key": f"order_{n * 7919}", "note": "held" if n == 77 else None} for n in range(300)]
    text = json.dumps(records, separators=(",", ":"))
    if form == "a line each":
        text = "\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    (short,), scene = distilled(("query", {"sql": "select *"}, text))
    assert all(f'"order_{n * 7919}"' in short for n in range(300))
    assert not scene.originals


def test_search_hits_name_their_file_once() -> None:
    text = "\n".join(
        f"/home/me/app/src/{'abcdef'[n // 10]}_module.py:{n}:    call_{n * 31}()" for n in range(60)
    )
    (short,), scene = distilled(("Grep", {"pattern": "call_"}, text), restorable=False)
    assert all(f"{n}:    call_{n * 31}()" in short for n in range(60))
    assert short.count("a_module.py") == 1
    assert not scene.originals


def test_folders_of_package_managers_become_counts() -> None:
    own = [f"./src/part{n}/index.ts" for n in range(20)]
    text = "\n".join([*own, *(f"./node_modules/p{n}/lib/a.js" for n in range(400))])
    (short,), scene = distilled(bash(text, "find . -type f"))
    assert all(path.split("/")[2] in short for path in own)
    assert saved(text, short) > 0.8
    assert text in scene.originals.values()


def test_a_lock_file_keeps_names_and_versions() -> None:
    packages = {
        f"node_modules/p{n}": {
            "version": f"1.{n}.0",
            "resolved": f"https://registry.npmjs.org/p{n}/-/p{n}-1.{n}.0.tgz",
            "integrity": "sha512-" + f"Ab3{n}" * 20,
        }
        for n in range(60)
    }
    call = read(json.dumps({"name": "shop", "packages": packages}, indent=2), "/repo/package-lock.json")
    (text,), _ = distilled(call)
    assert all(f'"node_modules/p{n}"' in text and f'"1.{n}.0"' in text for n in range(60))
    assert saved(call[2], text) > 0.5


def test_a_minified_line_keeps_what_was_looked_for() -> None:
    line = "".join(f"var a{n}=function(e){{return e+{n}}};" for n in range(2000))
    line = line[:20_000] + "var secretToggle=!0;" + line[20_000:]
    hits = f"dist/app.min.js:1:{line}"
    (text,), scene = distilled(("Grep", {"pattern": "secretToggle"}, hits))
    assert "var secretToggle=!0;" in text
    assert saved(hits, text) > 0.9
    assert hits in scene.originals.values()


def test_a_long_table_keeps_its_ends_its_shape_and_rows_of_trouble() -> None:
    rows = [f"{n},user{n},{n * 1.5},{'late' if n % 9 == 0 else 'ok'}" for n in range(400)]
    rows[250] = "250,user250,,error: no such account"
    rows[77] = "77,user77,90210.5,ok"
    rows[123] = "123,user123,184.5,held: see PAY-7174"
    text = "\n".join(["id,name,amount,status", *rows])
    (short,), _ = distilled(bash(text, "cat data.csv"))
    for needle in (rows[0], rows[77], rows[123], rows[250], rows[399], "400 rows", "late 45×"):
        assert needle in short
    assert saved(text, short) > 0.8


def test_a_table_without_a_head_and_a_report_in_columns_keep_what_stands_out() -> None:
    rows = [f"{n % 37 + 3},{n % 7 + 1},src/part{n % 9}.py,load_{n * 7919}" for n in range(200)]
    rows[120] = "412,33,src/part3.py,load_everything"
    (table,), _ = distilled(bash("\n".join(rows), "lizard --csv src"))
    report = [
        f"{n % 37 + 3:>8}{n % 7 + 1:>7}{n * 31 % 977:>7}{n % 5:>7} load_{n * 7919}@src/part{n % 9}.py"
        for n in range(200)
    ]
    report[120] = f"{412:>8}{33:>7}{4100:>7}{9:>7} load_everything@src/part3.py"
    text = "\n".join(
        ["  NLOC    CCN   token  PARAM  location", "-" * 40, *report, "200 functions, 1 file analyzed"]
    )
    (short,), scene = distilled(bash(text, "lizard src"))
    for needle in (rows[0], rows[120], rows[199], "200 rows"):
        assert needle in table
    for needle in ("NLOC    CCN", report[0], report[120], report[199], "200 functions, 1 file analyzed"):
        assert needle in short
    assert saved("\n".join(rows), table) > 0.6
    assert saved(text, short) > 0.6
    assert text in scene.originals.values()


def test_progress_bars_and_colours_go_and_messages_between_them_stay() -> None:
    bars = "".join(f"\r[{'#' * n}{'.' * (40 - n)}] {n * 2}%" for n in range(41))
    text = f"start\x1b[32m ok\x1b[0m\n{bars[:900]}\rwarning: mirror 7 is slow{bars[900:]}\ndone in 3s"
    (short,), scene = distilled(bash(text), restorable=False)
    for needle in ("start ok", "warning: mirror 7 is slow", "80%", "done in 3s"):
        assert needle in short
    assert "\x1b" not in short
    assert not scene.originals


@pytest.mark.parametrize("sign", ["\t", "→", " |"])
def test_numbers_of_lines_are_not_aligned_and_all_else_stays(sign: str) -> None:
    lines = CODE.split("\n")
    text = "\n".join(f"{number:6d}{sign}{line}" for number, line in enumerate(lines, 1))
    text += "\n\n<system-reminder>\nMind the style.\n</system-reminder>"
    (short,), scene = distilled(("Read", {"file_path": "/repo/app/steps.py"}, text), restorable=False)
    numbered = [f"{number}\t{line}" for number, line in enumerate(lines, 1)]
    told = [] if sign == "\t" else ["[each line begins with its number and a tab]"]
    assert short.split("\n")[:-4] == [*told, *numbered]
    assert short.endswith("\n\n<system-reminder>\nMind the style.\n</system-reminder>")
    assert saved(text, short) > 0.15
    assert not scene.originals


# ---------------------------------------------------------------- long files


def function(number: int) -> str:
    """One function of `MODULE` as `read` shows it, with its numbers."""
    lines = narrow(read(MODULE)[2]).split("\n")
    return "\n".join(lines[number * 14 : number * 14 + 12])


def unfolded(text: str, scene: Scene) -> list[str]:
    """The lines of a file with gaps, each gap filled with the lines of these numbers from what was kept."""
    handle = text.split('left out; read "lynkr:')[1].split('"')[0]
    kept = scene.originals[handle].split("\n")
    lines: list[str] = []
    for line in text.split("\n"):
        if mark := re.fullmatch(r"\[… lines (\d+)-(\d+)(?:: .*)?\]", line):
            lines += kept[int(mark[1]) - 1 : int(mark[2])]
        elif handle not in line:
            lines.append(line)
    return [narrow(line) for line in lines]


def test_of_a_long_file_the_functions_stay_that_were_spoken_of() -> None:
    traceback = 'Traceback:\n  File "/repo/app/parts.py", line 150, in load_part_10\nTooManyRows: 41'
    (_, text), scene = distilled(
        bash(traceback, "python -m app"),
        read(MODULE, "/repo/app/parts.py"),
        ask="Why does convert_row_21 get rows twice? The log says `load_part_4` ran once.",
    )
    assert saved(read(MODULE)[2], text) > 0.5
    assert all(function(n) in text for n in (4, 10, 21))
    assert all(f"def load_part_{n}(rows: list[int], limit: int = {n}) -> int:" in text for n in range(30))
    assert all(f"Loads part {n} of the rows." in text for n in range(30))
    assert "convert_row_5, TooManyRows, log.debug]" in text
    assert "limit=" not in text.split("\n")[0]
    assert unfolded(text, scene) == narrow(read(MODULE)[2]).split("\n")


def test_lines_that_a_wide_search_found_stay_with_what_is_around_them() -> None:
    hits = "\n".join(
        f"app/parts.py:{n * 14 + 8}:        total += convert_row_{n}(row) * {n * 7919}" for n in range(1, 30)
    )
    hits += "\n" + "\n".join(f"app/other.py:{n}:        total += x" for n in range(1, 30))
    (_, text), scene = distilled(bash(hits, "grep -rn 'total +=' app"), read(MODULE, "/repo/app/parts.py"))
    assert all(f"total += convert_row_{n}(row) * {n * 7919}" in text for n in range(1, 30))
    assert not scene.originals or unfolded(text, scene) == narrow(read(MODULE)[2]).split("\n")


@pytest.mark.parametrize(
    ("call", "ask"),
    [
        (
            read("\n".join(MODULE.split("\n")[:300]), "/repo/app/parts.py", offset=1, limit=300),
            "Please look.",
        ),
        (read(MODULE, "/repo/app/parts.py"), "Review parts.py line by line."),
        (read(MODULE, "/repo/app/parts.txt"), "Please look."),
        (read("\n".join(MODULE.split("\n")[:80]), "/repo/app/parts.py"), "Please look."),
    ],
    ids=["a part", "asked for by name", "no code", "short"],
)
def test_what_was_asked_for_in_so_many_words_comes_whole(call: Call, ask: str) -> None:
    (text,), scene = distilled(call, ask=ask)
    assert text == narrow(call[2])
    assert not scene.originals


def test_what_is_said_behind_a_file_does_not_change_it() -> None:
    turns = conversation(read(MODULE)).messages
    said = Text("Now look at `convert_row_9`, please.")
    more = Message("user", (*turns[2].content, said))
    texts = [
        results(DistillStage().apply(Request("m", (*turns[:2], last), tools=(Tool("Bash"),)), scene))[0]
        for last in (turns[2], more)
        for scene in (Scene(count=tokens.count, restorable=True),)
    ]
    assert texts[0] == texts[1]
    assert "convert_row_9(row)" not in texts[0]


def test_without_a_way_back_a_long_file_stays_whole() -> None:
    (text,), _ = distilled(read(MODULE), restorable=False)
    assert text == narrow(read(MODULE)[2])


def test_what_was_left_out_of_a_file_is_shown_when_it_is_asked_for_again() -> None:
    middle = "\n".join(MODULE.split("\n")[140:196])
    (first, part, again, third), scene = distilled(
        read(MODULE), read(middle, first=141, offset=141, limit=56), read(MODULE), read(MODULE)
    )
    assert "convert_row_12(row)" not in first
    assert all(function(n) in part or f"convert_row_{n}(row)" in part for n in (10, 11, 12, 13))
    known = f"{first}\n{part}\n{again}"
    assert all(f"total += convert_row_{n}(row) * {n * 7919}" in known for n in range(30))
    assert "total += convert_row_5(row)" in again
    assert len(third) < 500
    assert unfolded(first, scene) == narrow(read(MODULE)[2]).split("\n")


def test_after_an_edit_a_long_file_is_shown_by_what_changed() -> None:
    changed = MODULE.replace("total += convert_row_7(row)", "total += convert_row_seven(row)")
    edit = "Edit", {"file_path": "/repo/app/steps.py", "old_string": "x", "new_string": "y"}, "Done. " * 9
    (first, _, second, third), scene = distilled(read(MODULE), edit, read(changed), read(changed))
    assert "convert_row_7(row)" not in first
    assert "+        total += convert_row_seven(row)" in second
    assert saved(read(changed)[2], second) > 0.9
    assert read(changed)[2] in scene.originals.values()
    # Who reads it once more wants to see what was not shown.
    assert "convert_row_seven(row)" in third
    assert "total += convert_row_20(row)" in third


BRACED = {
    "store.ts": "  async load{n}(rows: Row[], limit = {n}): Promise<number> {{",
    "store.go": "  func (s *Store) Load{n}(rows []Row, limit int) (int, error) {{",
    "Store.java": "  public static int load{n}(List<Row> rows, int limit) throws IOException {{",
    "store.rs": "  pub fn load{n}(&self, rows: &[Row], limit: usize) -> Result<usize, Error> {{",
    "store.cs": "  public int Load{n}(Row[] rows, int limit)\n  {{",
}


@pytest.mark.parametrize("name", BRACED)
def test_functions_in_braces_keep_their_heads(name: str) -> None:
    body = "".join(f"    total += convert_{{n}}(rows[{line}], limit * {{n}}{line});\n" for line in range(9))
    functions = [
        BRACED[name].format(n=n)
        + f"\n{body.format(n=n)}    if (total > {n}) {{\n      stop();\n    }}\n  }}\n"
        for n in range(20)
    ]
    text = "class Store {\n  rows: Row[];\n" + "\n".join(functions) + "}"
    (short,), scene = distilled(read(text, f"/repo/{name}"), ask="What does convert_7 do?")
    assert saved(read(text)[2], short) > 0.4
    assert all(BRACED[name].format(n=n).split("\n")[0] in short for n in range(20))
    assert "rows: Row[];" in short
    assert "total += convert_7(rows[8], limit * 78)" in short
    assert "total += convert_8(rows[8], limit * 88)" not in short
    assert unfolded(short, scene) == narrow(read(text)[2]).split("\n")


# ---------------------------------------------------------------- files read again


def test_a_file_read_again_is_named_and_not_repeated() -> None:
    (first, second), scene = distilled(read(CODE), read(CODE))
    assert first == narrow(read(CODE)[2])
    assert "Read /repo/app/steps.py" in second
    assert saved(first, second) > 0.9
    assert list(scene.originals.values()) == [read(CODE)[2]]


def test_a_changed_file_is_shown_by_its_changes() -> None:
    changed = CODE.replace("return value * 30 ", "return value * 3000 ")
    (_, second), scene = distilled(read(CODE), read(changed))
    assert "-    return value * 30  # part 30" in second
    assert "+    return value * 3000  # part 30" in second
    assert scene.originals[second.split('"lynkr:')[1].split('"')[0]] == read(changed)[2]


def test_a_part_of_a_file_that_was_read_whole() -> None:
    part = "\n".join(CODE.split("\n")[49:99])
    (_, second), _ = distilled(read(CODE), read(part, first=50, offset=50, limit=50))
    assert "lines 50-99 of /repo/app/steps.py, unchanged" in second


def test_reads_by_the_shell_and_what_was_written() -> None:
    part = "\n".join(CODE.split("\n")[49:99])
    _, whole, again = distilled(
        ("Write", {"file_path": "/repo/app/steps.py", "content": CODE}, "File created."),
        bash(CODE, "cat app/steps.py"),
        bash(part, "cd /repo && sed -n '50,99p' app/steps.py"),
    )[0]
    assert "unchanged since Write /repo/app/steps.py" in whole
    assert "50 lines of" not in again or "unchanged" in again
    assert saved(part, again) > 0.8


def put_together(text: str, earlier: list[str]) -> list[str]:
    """The lines of a file from which those that stand earlier were left out, as a model would find them."""
    known = {line.split("\t")[0].strip(): line for result in earlier for line in result.split("\n")}
    lines: list[str] = []
    for line in text.split("\n")[1:]:
        if mark := re.fullmatch(r"\[… lines (\d+)-(\d+): as in .* above(?:, there from line (\d+))?\]", line):
            first, last = int(mark[1]), int(mark[2])
            there = int(mark[3] or first)
            lines += [
                f"{number}\t" + known[str(number - first + there)].split("\t", 1)[1]
                for number in range(first, last + 1)
            ]
        else:
            lines.append(line)
    return lines


def test_a_file_whose_parts_were_read_shows_what_is_new() -> None:
    lines = CODE.split("\n")
    parts = [read("\n".join(lines[:60]), limit=60), read("\n".join(lines[60:120]), first=61, offset=61)]
    moved = [*lines[:30], "import added", *lines[30:]]
    whole = read("\n".join(moved))
    (first, second, third, again), scene = distilled(
        *parts, whole, read("\n".join(moved[100:]), first=101, offset=101)
    )
    assert saved(whole[2], third) > 0.4
    assert "import added" in third
    assert put_together(third, [first, second]) == narrow(whole[2]).split("\n")
    assert whole[2] in scene.originals.values()
    # What the third showed is known to the fourth.
    assert len(again) < 700


def test_a_file_of_the_same_name_elsewhere_is_another_file() -> None:
    (_, second), scene = distilled(
        read(CODE, "/repo/a/__init__.py"), read(CODE + "\nx = 1", "/repo/b/__init__.py")
    )
    assert second == narrow(read(CODE + "\nx = 1")[2])
    assert not scene.originals


def test_code_that_is_read_stays_byte_for_byte() -> None:
    code = "\n".join(f"x_{n} = 1   " for n in range(80)) + "\n\n\n\n" + "# same line\n" * 20
    call = bash(code, "cat notes.py")
    assert distilled(call)[0] == [code]


# ---------------------------------------------------------------- the laws


EVERY = [
    bash(pytest_log(), "pytest -v"),
    read(CODE),
    bash("\n".join(server_log()), "docker logs api"),
    read(CODE.replace("part 7", "part seven")),
    *(bash(log) for log, _ in LOGS.values()),
    bash(pytest_log(), "pytest -v"),
    read("\n".join(CODE.split("\n")[20:90]), first=21, offset=21),
]


def test_earlier_results_come_out_the_same_when_turns_are_added() -> None:
    stage = DistillStage()
    before: list[str] = []
    for count in range(1, len(EVERY) + 1):
        scene = Scene(count=tokens.count, restorable=True)
        now = results(stage.apply(conversation(*EVERY[:count]), scene))
        assert now[: count - 1] == before
        before = now
    assert (
        results(DistillStage().apply(conversation(*EVERY), Scene(count=tokens.count, restorable=True)))
        == before
    )


def test_whatever_was_changed_is_kept_byte_for_byte() -> None:
    texts, scene = distilled(*EVERY)
    for call, text in zip(EVERY, texts, strict=True):
        if f'left out; read "{PATH}' in text:
            assert call[2] in scene.originals.values()
        assert len(text) <= len(call[2])


def test_where_nothing_can_be_had_back_nothing_is_left_out() -> None:
    _, scene = distilled(*EVERY, restorable=False)
    assert not scene.originals


def test_all_but_the_results_stays_as_it_is() -> None:
    marked = ToolResult(
        "c", (Text(pytest_log(), {"cache_control": {"type": "ephemeral"}}), Image(url="https://x/y.png")),
        is_error=True, extra={"cache_control": {"type": "ephemeral"}},
    )  # fmt: skip
    pasted = Text(pytest_log())
    turns = (
        Message("user", (pasted,)),
        Message("assistant", (Text("I run it."), ToolUse("c", "Bash", {"command": "pytest -v"}))),
        Message("user", (marked, pasted)),
    )
    request = Request("m", turns, system=(Text(pytest_log()),), tools=(Tool("Bash"),))
    new = DistillStage().apply(request, Scene(count=tokens.count, restorable=True))
    assert (new.system, new.tools, new.messages[:2]) == (request.system, request.tools, turns[:2])
    result, said = new.messages[2].content
    assert said == pasted
    assert isinstance(result, ToolResult)
    assert (result.is_error, result.extra, result.content[1]) == (True, marked.extra, marked.content[1])
    first = result.content[0]
    assert isinstance(first, Text)
    assert first.extra == marked.content[0].extra
    assert len(first.text) < 1000


def test_a_request_with_nothing_to_do_comes_back_itself() -> None:
    request = conversation(bash("fine"), read("x = 1"))
    assert DistillStage().apply(request, Scene(count=tokens.count, restorable=True)) is request


def test_what_was_had_back_is_not_shortened_again() -> None:
    call = (RESTORE, {"id": "r_1"}, pytest_log())
    assert distilled(call)[0] == [pytest_log()]


def test_the_stage_gives_up_when_its_time_is_over() -> None:
    scene = Scene(count=tokens.count, restorable=True, seconds=0)
    with pytest.raises(OutOfTime):
        DistillStage().apply(conversation(bash(pytest_log())), scene)


def test_blocks_are_looked_up_and_not_worked_out_again() -> None:
    stage = DistillStage()
    stage.apply(conversation(*EVERY), Scene(count=tokens.count, restorable=True))
    misses = stage.cache.misses
    stage.apply(conversation(*EVERY), Scene(count=tokens.count, restorable=True))
    assert stage.cache.misses == misses
    assert stage.cache.hits >= len(EVERY) - 4


HOSTILE = {
    "one long line": "ab" * 2_500_000,
    "blanks": " " * 5_000_000 + "x",
    "colons": "a:1:" * 1_200_000,
    "slashes": "/a" * 2_500_000,
    "many short lines": "\n".join(str(n % 7) for n in range(200_000)),
    "many like hits": "\n".join(f"a/b.py:{n}:x" for n in range(200_000)),
    "many passes": "\n".join(f"t/a.py::t{n} PASSED" for n in range(100_000)),
    "deep JSON": "[" * 100_000 + "]" * 100_000,
    "open JSON": '{"a":' * 200_000,
    "escapes": "\x1b[" * 1_000_000 + "\x1b]" * 500_000,
    "returns": "\r".join(f"{n}%" for n in range(500_000)),
    "digits": "\n".join("1" * 990 for _ in range(3_000)),
    "junk": bytes(random.Random(1).randbytes(2_000_000)).decode("latin-1"),
    "surrogates": "\ud800" * 200_000 + "\n" + '{"a":"\udfff"}\n' * 2_000,
    "frames": "    at a.b(c)\n" * 100_000,
    "encoded": ("A1b2" * 99 + " ") * 10_000,
    "indented files": '  File "' + '\n  File "x", line 1\n' * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", ["shell", "file", "search"])
def test_hostile_texts_take_no_long_time_and_lose_nothing(name: str, kind: str) -> None:
    text = HOSTILE[name]
    call: Call = {
        "shell": bash(text),
        "file": ("Read", {"file_path": "/x/data.json"}, text),
        "search": ("Grep", {"pattern": "a.*(b|c)+"}, text),
    }[kind]
    # Counting is not what is looked at here.
    scene = Scene(count=lambda text: len(text) // 4, restorable=True, seconds=60)
    began = time.thread_time()
    (new,) = results(DistillStage().apply(conversation(call), scene))
    assert time.thread_time() - began < 5
    assert len(new) <= len(text)
    if new != text and scene.originals:
        assert list(scene.originals.values()) == [text]


def test_real_code_of_this_project_goes_through() -> None:
    files = sorted(Path(__file__).parent.glob("test_wire_*.py"))[:12]
    calls = [read(path.read_text(encoding="utf-8"), str(path)) for path in files]
    texts, scene = distilled(*calls, *calls, *calls)
    first, second, third = (texts[start : start + len(calls)] for start in range(0, len(texts), len(calls)))
    for text, again, call in zip(first, second, calls, strict=True):
        whole = narrow(call[2]).split("\n")
        assert (unfolded(text, scene) if "left out" in text else text.split("\n")) == whole
        shown = {*text.split("\n"), *again.split("\n")}
        assert all(line in shown for line in whole)
    assert any("left out" in text for text in first)
    assert all("unchanged" in text or "same as" in text or "stand above" in text for text in third)
    assert sum(map(tokens.count, third)) < 0.1 * sum(map(tokens.count, (call[2] for call in calls)))
