"""SQLite, one connection per thread."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_local = threading.local()


def connect(path: str) -> sqlite3.Connection:
    found = getattr(_local, "connection", None)
    if found is None:
        found = sqlite3.connect(path, isolation_level=None)
        found.row_factory = sqlite3.Row
        found.execute("PRAGMA foreign_keys = ON")
        _local.connection = found
    return found


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def migrate(connection: sqlite3.Connection, steps: list[str]) -> int:
    """Applies the steps that are missing; returns the new version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, step in enumerate(steps[version:], start=version + 1):
        with transaction(connection):
            connection.execute(step)
            connection.execute(f"PRAGMA user_version = {number}")
    return len(steps)
