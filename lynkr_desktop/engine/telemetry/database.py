"""The SQLite file of the records: where it is, its schema, and what if it cannot be used."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lynkr_desktop.engine.database_file import make_private_file
from lynkr_desktop.engine.telemetry import rollup
from lynkr_desktop.protocol.control import RequestRow

log = logging.getLogger(__name__)

BUSY_TIMEOUT = 2.0
"""Seconds to wait for another process that is writing."""

_PAGE = 16_384
_LARGEST_INTEGER = 2**63 - 1

_SUMS_6 = """
        requests INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        saved_tokens INTEGER NOT NULL,
        cost REAL NOT NULL,
        unpriced INTEGER NOT NULL,
        warnings INTEGER NOT NULL,
        latency TEXT NOT NULL,
        first_token TEXT NOT NULL
""".strip()
"""What each table of sums holds beside what it tells apart, as the sixth migration made it."""

_MIGRATIONS = (
    """
    CREATE TABLE requests (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        at REAL NOT NULL,
        client TEXT NOT NULL,
        protocol TEXT NOT NULL,
        session TEXT NOT NULL,
        title TEXT NOT NULL,
        tier TEXT,
        score REAL,
        reason TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        requested_model TEXT NOT NULL,
        stream INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        cost REAL,
        latency_ms REAL NOT NULL,
        ttft_ms REAL,
        status INTEGER NOT NULL,
        error TEXT NOT NULL
    );
    CREATE INDEX requests_at ON requests (at);
    CREATE INDEX requests_id ON requests (id);
    """,
    """
    ALTER TABLE requests ADD COLUMN warning TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE decisions (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        at REAL NOT NULL,
        task TEXT NOT NULL,
        client TEXT NOT NULL,
        session TEXT NOT NULL,
        workspace TEXT NOT NULL,
        title TEXT NOT NULL,
        files TEXT NOT NULL,
        score REAL,
        contributions TEXT NOT NULL,
        scored_tier TEXT,
        tier TEXT,
        reason TEXT NOT NULL,
        propensity REAL NOT NULL,
        arm TEXT NOT NULL,
        profile TEXT NOT NULL,
        side INTEGER NOT NULL,
        candidates TEXT NOT NULL,
        outcome TEXT NOT NULL,
        verdict TEXT NOT NULL,
        mark TEXT NOT NULL
    );
    CREATE INDEX decisions_at ON decisions (at);
    CREATE INDEX decisions_id ON decisions (id);
    """,
    # Decisions go into the rows of their requests: half as much to write, and nothing to join.
    """
    ALTER TABLE requests ADD COLUMN task TEXT;
    ALTER TABLE requests ADD COLUMN scored_tier TEXT;
    ALTER TABLE requests ADD COLUMN chosen_tier TEXT;
    ALTER TABLE requests ADD COLUMN propensity REAL;
    ALTER TABLE requests ADD COLUMN arm TEXT;
    ALTER TABLE requests ADD COLUMN side INTEGER;
    ALTER TABLE requests ADD COLUMN detail TEXT;
    ALTER TABLE requests ADD COLUMN outcome TEXT;
    ALTER TABLE requests ADD COLUMN verdict TEXT;
    ALTER TABLE requests ADD COLUMN mark TEXT;
    UPDATE requests SET
        (task, scored_tier, chosen_tier, propensity, arm, side, detail, outcome, verdict, mark) = (
            SELECT task, scored_tier, tier, propensity, arm, side,
                json_array(
                    workspace, profile, reason,
                    CASE WHEN json_valid(files) THEN json(files) ELSE json('[]') END,
                    CASE WHEN json_valid(contributions) THEN json(contributions) ELSE json('[]') END,
                    CASE WHEN json_valid(candidates) THEN json(candidates) ELSE json('[]') END
                ),
                outcome, verdict, mark
            FROM decisions WHERE decisions.id = requests.id ORDER BY decisions.seq DESC LIMIT 1
        )
        WHERE id IN (SELECT id FROM decisions);
    DROP TABLE decisions;
    """,
    """
    ALTER TABLE requests ADD COLUMN saved_tokens INTEGER NOT NULL DEFAULT 0;
    """,
    # Sums by quarters of an hour, which rollup.py fills and explains.
    f"""
    DROP TABLE IF EXISTS latency_steps;
    DROP TABLE IF EXISTS usage_models;
    DROP TABLE IF EXISTS usage_clients;
    DROP TABLE IF EXISTS usage_sessions;
    CREATE TABLE latency_steps (low REAL PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE usage_models (
        slot INTEGER NOT NULL,
        tier TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        {_SUMS_6},
        PRIMARY KEY (slot, tier, provider, model)
    ) WITHOUT ROWID;
    CREATE TABLE usage_clients (
        slot INTEGER NOT NULL,
        client TEXT NOT NULL,
        {_SUMS_6},
        PRIMARY KEY (slot, client)
    ) WITHOUT ROWID;
    CREATE TABLE usage_sessions (
        slot INTEGER NOT NULL,
        session TEXT NOT NULL,
        {_SUMS_6},
        PRIMARY KEY (slot, session)
    ) WITHOUT ROWID;
    """,
    # Which access key a request came with. What is there came with the machine's own token.
    f"""
    ALTER TABLE requests ADD COLUMN key TEXT NOT NULL DEFAULT '';
    CREATE INDEX requests_key ON requests (key, at) WHERE key <> '';
    DROP TABLE IF EXISTS usage_keys;
    CREATE TABLE usage_keys (
        slot INTEGER NOT NULL,
        key TEXT NOT NULL,
        {_SUMS_6},
        PRIMARY KEY (slot, key)
    ) WITHOUT ROWID;
    INSERT INTO usage_keys
        SELECT slot, '', TOTAL(requests), TOTAL(errors), TOTAL(input_tokens), TOTAL(cached_tokens),
            TOTAL(output_tokens), TOTAL(saved_tokens), TOTAL(cost), TOTAL(unpriced), TOTAL(warnings),
            COALESCE(group_concat(latency, ''), ''), COALESCE(group_concat(first_token, ''), '')
        FROM usage_models GROUP BY slot;
    """,
)
"""Script n brings a file of version n to version n + 1. Append only."""

SCHEMA_VERSION = len(_MIGRATIONS)

COLUMNS: tuple[str, ...] = RequestRow.__struct_fields__

DECISION_COLUMNS = (
    "task",
    "scored_tier",
    "chosen_tier",
    "propensity",
    "arm",
    "side",
    "detail",
    "outcome",
    "verdict",
    "mark",
)
"""What a row holds beside the record where a tier was decided; all of them NULL where none was."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class RecordsError(Exception):
    """The records cannot be read. The message says why."""


class OutdatedRecordsError(RecordsError):
    """The file is of an older version, or has lost its content."""


class NewerSchemaError(sqlite3.DatabaseError):
    """The file was written by a later version of Lynkr."""


def database_path(storage: str, home: Path) -> Path:
    """The file that `telemetry.storage` means.

    Args:
        storage: `sqlite://FILE`; FILE is relative to `home` unless it starts with `/` or `~`.
        home: the home folder.
    """
    file = storage.removeprefix("sqlite://")
    if re.match(r"/[A-Za-z]:[/\\]", file):  # sqlite:///C:/folder/file
        file = file[1:]
    return Path(os.path.normpath(home / Path(file).expanduser()))


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Opens the file, creating and migrating it as needed. A file that cannot be used is moved aside.

    Raises:
        sqlite3.Error: it cannot be opened now (locked, disk full, no permission).
        OSError: its folder cannot be made, or it cannot be moved aside.
    """
    try:
        return _open(path)
    except NewerSchemaError as error:
        aside = move_aside(path, "newer")
        log.error("%s; it was kept as %s and new records begin", error, aside.name)
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        aside = move_aside(path, "corrupt")
        log.error("the records %s are damaged (%s); kept as %s, new ones begin", path, error, aside.name)
    return _open(path)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Opens the file read-only, also while an engine writes to it.

    Raises:
        RecordsError: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise RecordsError(f"There are no records yet ({path} does not exist).")
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(f"file:{quote(path.as_posix())}?mode=ro", uri=True)
        version = _version(connection)
        _check_version(path, version)
        if version < SCHEMA_VERSION:
            raise OutdatedRecordsError(
                f"The records {path} are of an older version. Start the engine once to update them."
            )
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise RecordsError(f"The records {path} cannot be read: {error}.") from error
    return connection


def touch(path: Path) -> None:
    """Writes to the file without changing what is in it. Raises `sqlite3.Error` where that fails."""
    with contextlib.closing(_connect(f"file:{quote(path.as_posix())}?mode=rw", uri=True)) as connection:
        version = _version(connection)
        connection.execute("BEGIN IMMEDIATE")
        # SQLite writes the first page anew, whether the number is another or not.
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, so that trying again is of no use."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _DAMAGED


def move_aside(path: Path, word: str) -> Path:
    """Renames the file and its journals to `name.word-TIME` and returns the new name."""
    aside = path.with_name(f"{path.name}.{word}-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.name.split('_')[0]}_{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def storable(value: Any, longest: int) -> Any:
    """What SQLite can hold: valid text of at most `longest` characters, 64-bit integers, finite numbers."""
    if isinstance(value, str):
        if value.isascii() and len(value) <= longest:
            return value
        return value[:longest].encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0
    if isinstance(value, int):
        return max(-_LARGEST_INTEGER, min(value, _LARGEST_INTEGER))
    return value


def _open(path: Path) -> sqlite3.Connection:
    make_private_file(path)
    connection = _connect(str(path))
    try:
        # Records grow at their end alone: in larger pages they take fewer calls. Older files keep theirs.
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        version = _version(connection)
        _check_version(path, version)
        for number in range(version, SCHEMA_VERSION):
            connection.executescript(
                f"BEGIN; {_MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            )
        columns = ", ".join((*COLUMNS, *DECISION_COLUMNS))
        connection.execute(f"SELECT {columns} FROM requests LIMIT 1").fetchall()
        rollup.complete(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(name: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(name, uri=uri, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_version(path: Path, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(f"the records {path} were written by a later version of Lynkr")
