"""Databases that several connections and processes have open: none loses its locks by the way of another."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lynkr_desktop.engine.database_file import make_private_file
from lynkr_desktop.engine.memory.schema import open_memories
from lynkr_desktop.engine.telemetry.database import open_for_writing

_LOOK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT * FROM t").fetchall()
connection.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="elsewhere, modes mean nothing")
def test_a_new_file_is_its_owners_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.db"
    make_private_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["a.db"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"here")
    make_private_file(path)
    assert path.read_bytes() == b"here"


@pytest.mark.parametrize("opened_again", [open_for_writing, open_memories])
def test_a_second_connection_of_ours_keeps_another_process_from_taking_the_journal_away(
    tmp_path: Path, opened_again: Callable[[Path], sqlite3.Connection]
) -> None:
    """The journal is deleted by whoever takes himself for the last one; the locks tell that he is not."""
    path = tmp_path / "a.db"
    with closing(open_for_writing(path)) as ours:
        ours.execute("CREATE TABLE t (x)")
        with closing(opened_again(path)):
            subprocess.run([sys.executable, "-c", _LOOK, str(path)], check=True)
            assert path.with_name("a.db-wal").exists()
            ours.execute("INSERT INTO t VALUES (1)")
        subprocess.run([sys.executable, "-c", _LOOK, str(path)], check=True)
        assert ours.execute("SELECT COUNT(*) FROM t").fetchone() == (1,)
    with closing(sqlite3.connect(path)) as after:
        assert after.execute("SELECT x FROM t").fetchall() == [(1,)]
