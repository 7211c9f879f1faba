"""The tables of memory in their SQLite file, which may be the one of the records."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lynkr_desktop.engine.database_file import make_private_file
from lynkr_desktop.engine.telemetry.database import BUSY_TIMEOUT

VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS memory_meta (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS memory_scopes (
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    held INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS memories (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    scope INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    terms TEXT NOT NULL,
    topic TEXT NOT NULL,
    value TEXT NOT NULL,
    source TEXT NOT NULL,
    session TEXT NOT NULL,
    request TEXT NOT NULL,
    at REAL NOT NULL,
    surprise REAL NOT NULL,
    seen INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    local_only INTEGER NOT NULL,
    superseded_by TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS memories_at ON memories (at);
CREATE INDEX IF NOT EXISTS memories_scope ON memories (scope, at);
CREATE INDEX IF NOT EXISTS memories_pinned ON memories (scope, at) WHERE superseded_by = '' AND pinned;
CREATE INDEX IF NOT EXISTS memories_preferences ON memories (scope, at)
    WHERE superseded_by = '' AND kind = 'preference';
CREATE INDEX IF NOT EXISTS memories_topic ON memories (scope, topic) WHERE topic <> '' AND superseded_by = '';
CREATE INDEX IF NOT EXISTS memories_value ON memories (scope, value) WHERE value <> '' AND superseded_by = '';
CREATE TABLE IF NOT EXISTS memory_terms (term TEXT PRIMARY KEY, held INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS memory_index USING fts5(
    terms, content = 'memories', content_rowid = 'seq', tokenize = "ascii tokenchars '_.-/:@+#'"
);
CREATE TRIGGER IF NOT EXISTS memories_added AFTER INSERT ON memories BEGIN
    INSERT INTO memory_index (rowid, terms) VALUES (new.seq, new.terms);
END;
CREATE TRIGGER IF NOT EXISTS memories_gone AFTER DELETE ON memories BEGIN
    INSERT INTO memory_index (memory_index, rowid, terms) VALUES ('delete', old.seq, old.terms);
END;
CREATE TRIGGER IF NOT EXISTS memories_changed AFTER UPDATE OF terms ON memories BEGIN
    INSERT INTO memory_index (memory_index, rowid, terms) VALUES ('delete', old.seq, old.terms);
    INSERT INTO memory_index (rowid, terms) VALUES (new.seq, new.terms);
END;
"""
"""Every term stands in the index behind the number of its scope, so that a query for one project cannot
meet what belongs to another, and terms are counted for each project by itself. What was superseded has no
terms."""


class NewerMemories(sqlite3.DatabaseError):
    """The file was written by a later version of Lynkr."""


def open_memories(path: Path) -> sqlite3.Connection:
    """Opens the file, creating it and its tables as needed.

    Raises:
        sqlite3.Error: it cannot be used (locked, damaged, disk full, of a later version).
        OSError: its folder cannot be made, or it cannot be written.
    """
    make_private_file(path)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        # What is deleted is overwritten, on every page that it stood on.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        version = _version(connection)
        if version is not None and version > VERSION:
            raise NewerMemories(f"the memories in {path} were written by a later version of Lynkr")
        if version is None:
            connection.execute("BEGIN IMMEDIATE")
            create(connection)
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def create(connection: sqlite3.Connection) -> None:
    """Makes the tables that are missing, within the transaction that is open."""
    statement = ""
    for line in _TABLES.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(
        f"INSERT INTO memory_meta SELECT {VERSION} WHERE NOT EXISTS (SELECT 1 FROM memory_meta)"
    )


def drop(connection: sqlite3.Connection) -> None:
    """Removes the tables with all that they hold, within the transaction that is open."""
    for table in ("memory_index", "memories", "memory_terms", "memory_scopes", "memory_meta"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")


def _version(connection: sqlite3.Connection) -> int | None:
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'memory_meta'").fetchone()
    found = connection.execute("SELECT max(version) FROM memory_meta").fetchone() if there else None
    return int(found[0]) if found is not None and found[0] is not None else None
