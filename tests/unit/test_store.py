"""Facts survive a restart, and nothing that happens to their file does harm."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lynkr_desktop.engine.analysis import grammar
from lynkr_desktop.engine.analysis import store as storing
from lynkr_desktop.engine.analysis.reading import Reading, digest_of, parse, unpack
from lynkr_desktop.engine.analysis.store import FactStore
from lynkr_desktop.engine.analysis.walk import Reason, Stamp

LIMIT = 10**9
ROOT = Path("/somewhere/project")


def reading(path: str, content: str = "def f(): pass\n", mtime_ns: int = 5) -> Reading:
    return parse(path, content.encode(), Stamp(mtime_ns, len(content)))


def reopened(cache: Path, root: Path = ROOT) -> FactStore:
    return FactStore.open(cache, root, LIMIT)


def test_a_file_with_the_same_status_needs_no_reading_after_a_restart(tmp_path: Path) -> None:
    kept = reading("a.py")
    with contextlib.closing(reopened(tmp_path)) as store:
        assert not store.filled
        store.add(kept)
    with contextlib.closing(reopened(tmp_path)) as store:
        assert store.filled
        assert store.get("a.py", Stamp(5, 14)) == kept
        assert unpack(kept.facts).functions[0].name == "f"
        assert store.get("a.py", Stamp(6, 14)) is None
        assert store.get("a.py", Stamp(5, 15)) is None
        assert store.get("b.py", Stamp(5, 14)) is None
    with contextlib.closing(reopened(tmp_path, Path("/somewhere/else"))) as store:
        assert not store.filled


def test_facts_by_other_grammars_are_not_used_and_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(reopened(tmp_path)) as store:
        store.add(reading("a.py"))
    here = grammar.edition()
    assert all(version.split()[1][0].isdigit() for version in here.split(", "))
    monkeypatch.setattr(grammar, "edition", lambda: "tree-sitter 99.0")
    with contextlib.closing(reopened(tmp_path)) as store:
        assert not store.filled
        assert store.facts(digest_of(b"def f(): pass\n", "a.py")) is None
    monkeypatch.setattr(grammar, "edition", lambda: here)
    with contextlib.closing(reopened(tmp_path)) as store:
        assert store.get("a.py", Stamp(5, 14)) is not None


def test_content_that_was_there_before_is_known_by_its_bytes_and_suffix(tmp_path: Path) -> None:
    with contextlib.closing(reopened(tmp_path)) as store:
        store.add(reading("a.py", "x = 1\n"))
        store.add(reading("a.py", "x = 2\n"))
        store.flush()
        store.forget(["a.py"])
        assert store.get("a.py", Stamp(5, 6)) is None
        assert store.facts(digest_of(b"x = 2\n", "other/b.py")) is not None
        assert store.facts(digest_of(b"x = 2\n", "b.pyi")) is None
        assert store.facts(digest_of(b"x = 3\n", "a.py")) is None


def test_reasons_are_kept_but_not_that_a_file_could_not_be_read(tmp_path: Path) -> None:
    with contextlib.closing(reopened(tmp_path)) as store:
        store.add(Reading("a.py", 1, 2, b"", Reason.PARSER.value))
        store.add(Reading("b.py", 1, 2, b"", Reason.UNREADABLE.value))
    with contextlib.closing(reopened(tmp_path)) as store:
        kept = store.get("a.py", Stamp(1, 2))
        assert kept is not None
        assert kept.reason == "the parser failed"
        assert store.get("b.py", Stamp(1, 2)) is None


@pytest.mark.parametrize("damage", ["garbage", "header", "version", "schema", "cut", "folder"])
def test_a_file_that_is_not_ours_is_thrown_away(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with contextlib.closing(reopened(tmp_path)) as store:
        for n in range(200):
            store.add(reading(f"a{n}.py", f"def f{n}(): pass\n"))
    (file,) = tmp_path.glob("*.code.sqlite")
    content = file.read_bytes()
    if damage == "garbage":
        file.write_bytes(os.urandom(5000))
    elif damage == "header":
        file.write_bytes(content[:4096] + os.urandom(4096) + content[8192:])
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        with contextlib.closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA user_version = 77" if damage == "version" else "DROP TABLE facts")
    with contextlib.closing(reopened(tmp_path)) as store:
        assert store.get("a1.py", Stamp(5, 17)) is None
        store.add(reading("a.py"))
        store.flush()
        assert store.get("a.py", Stamp(5, 14)) is not None or damage == "folder"
    assert caplog.records
    if damage != "folder":
        with contextlib.closing(reopened(tmp_path)) as store:
            assert store.get("a.py", Stamp(5, 14)) is not None


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with contextlib.closing(reopened(tmp_path / "file" / "cache")) as store:
        store.add(reading("a.py"))
        store.flush()
        store.forget(["a.py"])
        store.prune()
        assert store.get("a.py", Stamp(5, 14)) is None


def test_two_stores_of_one_workspace_work_side_by_side(tmp_path: Path) -> None:
    with contextlib.closing(reopened(tmp_path)) as one, contextlib.closing(reopened(tmp_path)) as other:
        for n in range(20):
            (one, other)[n % 2].add(reading(f"a{n}.py"))
            (one, other)[n % 2].flush()
    with contextlib.closing(reopened(tmp_path)) as store:
        assert all(store.get(f"a{n}.py", Stamp(5, 14)) for n in range(20))


def test_a_kill_in_the_middle_of_writing_loses_nothing_older(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from lynkr_desktop.engine.analysis.store import FactStore
        from lynkr_desktop.engine.analysis.reading import Reading
        store = FactStore.open(Path(sys.argv[1]), Path("/somewhere/project"), 10**9)
        store.add(Reading("first.py", 5, 14, b"1" * 16, "", b"\\x90" * 10))
        store.flush()
        print("written", flush=True)
        n = 0
        while True:
            n += 1
            store.add(Reading(f"a{n}.py", 5, 14, n.to_bytes(16, "big"), "", b"x" * 3000))
    """)
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        (file,) = tmp_path.glob("*.code.sqlite")
        while file.stat().st_size < 1_000_000:
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with contextlib.closing(reopened(tmp_path)) as store:
        assert store.get("first.py", Stamp(5, 14)) is not None
        assert store.get("a1.py", Stamp(5, 14)) is not None


def test_the_workspace_that_was_opened_longest_ago_makes_room(tmp_path: Path) -> None:
    for n in range(4):
        with contextlib.closing(reopened(tmp_path, Path(f"/project{n}"))) as store:
            store.add(Reading("a.py", 5, 14, bytes(16), "", os.urandom(200_000)))
        (file,) = set(tmp_path.glob("*.code.sqlite")) - {
            path for path in tmp_path.iterdir() if path.stat().st_mtime < 1000
        }
        os.utime(file, (n, n))
    FactStore.open(tmp_path, Path("/project0"), 700_000).close()
    left = {n for n in range(4) if _has(tmp_path, n)}
    assert left == {0, 2, 3}


def test_facts_of_other_branches_are_kept_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "_SPARE", 3)
    with contextlib.closing(reopened(tmp_path)) as store:
        for n in range(6):
            store.add(reading("a.py", f"x = {n}\n"))
            store.flush()
        store.prune()
        assert [store.facts(digest_of(f"x = {n}\n".encode(), "a.py")) is not None for n in range(6)] == [
            False, False, False, True, True, True,
        ]  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")
def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    with contextlib.closing(reopened(tmp_path / "cache")) as store:
        store.add(reading("a.py"))
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "cache").glob("*.sqlite"))


def _has(cache: Path, n: int) -> bool:
    with contextlib.closing(FactStore.open(cache, Path(f"/project{n}"), LIMIT)) as store:
        return store.filled
