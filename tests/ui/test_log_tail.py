"""The tail of the log loses no line and garbles none, whatever happens to the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lynkr_desktop.ui.logs.tail import CHUNK, LEVELS, MAX_LINE, MAX_START, LogLine, LogTail


def record(text: str, level: str = "INFO") -> str:
    return f"2026-03-02 14:00:00,000 {level:<7} engine: {text}\n"


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(lines).encode())


def append(path: Path, *lines: str) -> None:
    with path.open("ab") as file:
        file.write("".join(lines).encode())


def read_all(tail: LogTail) -> list[LogLine]:
    """Everything there is to read now; a tail that never gets done fails."""
    found: list[LogLine] = []
    for _ in range(100):
        lines, more = tail.read()
        found += lines
        if not more:
            return found
    raise AssertionError("the tail never came to the end")


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text.partition("engine: ")[2] or line.text for line in lines]


def test_a_line_is_shown_once_it_is_complete(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    whole = record("ü, in two pieces").encode()
    for cut in range(1, len(whole)):
        log.write_bytes(whole[:cut])
        tail = LogTail(log)
        assert read_all(tail) == []
        with log.open("ab") as file:
            file.write(whole[cut:])
        assert texts(read_all(tail)) == ["ü, in two pieces"]


def test_rotation_loses_no_line(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    write(log, record("one"))
    tail = LogTail(log)
    assert texts(read_all(tail)) == ["one"]
    append(log, record("two, just before"))
    log.rename(tmp_path / "engine.log.1")
    write(log, record("three, in the new file"))
    assert texts(read_all(tail)) == ["two, just before", "three, in the new file"]
    append(log, record("four"))
    assert texts(read_all(tail)) == ["four"]


def test_a_file_that_is_gone_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    write(log, record("one"))
    tail = LogTail(log)
    read_all(tail)
    log.rename(tmp_path / "engine.log.1")
    assert tail.read() == ([], False)
    write(log, record("two"))
    assert texts(read_all(tail)) == ["two"]


def test_an_emptied_file_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    write(log, record("a long line that was there"), "half a li")
    tail = LogTail(log)
    read_all(tail)
    write(log, record("afresh"))
    assert [line.text for line in read_all(tail)] == ["half a li", record("afresh").rstrip("\n")]


def test_of_a_huge_file_the_end_is_read_in_bounded_parts(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    line = record("y" * 100)
    write(log, record("the first"), line * (2 * MAX_START // len(line)))
    tail = LogTail(log)
    first, more = tail.read()
    assert more
    assert sum(len(one.text) for one in first) <= CHUNK
    lines = first + read_all(tail)
    assert len(lines) == pytest.approx(MAX_START / len(line), abs=2)
    assert {one.text for one in lines} == {line.rstrip("\n")}  # none is cut, and the oldest are left out


def test_bytes_that_are_no_text_and_lines_without_end(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_bytes(b"\xff\xfe broken\r\n" + b"z" * (3 * CHUNK) + b"\n" + record("after").encode())
    lines = read_all(LogTail(log))
    assert lines[0].text == "\ufffd\ufffd broken"
    assert len(lines[1].text) <= MAX_LINE
    assert lines[-1].text.endswith("after")


def test_a_traceback_belongs_to_its_record(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    write(log, record("failed", "ERROR"), "Traceback\n", "  File\n", record("on"))
    error, info = LEVELS.index("ERROR"), LEVELS.index("INFO")
    assert [line.level for line in read_all(LogTail(log))] == [error, error, error, info]


def test_a_huge_file_that_is_emptied_while_it_is_entered_keeps_its_new_first_line(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    write(log, "z" * (2 * MAX_START))
    tail = LogTail(log)
    assert read_all(tail) == []
    write(log, record("afresh"))
    assert texts(read_all(tail)) == ["afresh"]
