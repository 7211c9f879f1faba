"""Facts of one workspace on the disk, by the hash of the bytes that they were read from."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lynkr_desktop.engine.analysis import facts, grammar
from lynkr_desktop.engine.analysis.reading import Reading
from lynkr_desktop.engine.analysis.walk import Reason, Stamp

log = logging.getLogger(__name__)

_VERSION = 1000 * facts.VERSION + 1
"""Of the facts and of the tables below. A file of another version is thrown away."""

_SCHEMA = """
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE facts (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, facts BLOB NOT NULL);
"""

_BUSY_TIMEOUT = 2.0
_BATCH = 500
_SPARE = 20_000
"""Facts that no file has now and that are kept: those of other branches."""

_SUFFIX = ".code.sqlite"


class FactStore:
    """The stored facts of one workspace. For one thread; other processes may have the same file open.

    Nothing here is needed: whatever goes wrong with the file is logged, and the facts are read from the
    sources instead.
    """

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection
        self._known: dict[str, tuple[Stamp, bytes, str]] = {}
        self._pending: dict[str, Reading] = {}
        with self._guarded():
            for path, mtime_ns, size, digest, reason in self._rows("SELECT * FROM files"):
                self._known[path] = (Stamp(mtime_ns, size), digest, reason)

    @classmethod
    def open(cls, cache: Path, root: Path, limit: int) -> FactStore:
        """Opens the file of a workspace, and makes room. Facts by other grammars are in other files.

        Args:
            cache: folder of these files; it is made when it is not there.
            root: the workspace.
            limit: bytes of all files together; those that were opened longest ago are deleted.
        """
        key = os.fsencode(root) + b"\0" + grammar.edition().encode()
        file = cache / (hashlib.blake2b(key, digest_size=16).hexdigest() + _SUFFIX)
        try:
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_room(cache, file, limit)
        except OSError as error:
            log.warning("facts of code are not stored: %s", error.strerror)
            return cls(None)
        for attempt in range(2):
            try:
                return cls(_connect(file))
            except (sqlite3.Error, OSError) as error:
                log.info("%s cannot be used: %s", file.name, error)
                if attempt or _busy(error) or not _remove(file):
                    break
        log.warning("facts of code are not stored: %s cannot be used", file)
        return cls(None)

    @property
    def filled(self) -> bool:
        """Whether it holds anything."""
        return bool(self._known)

    def get(self, path: str, stamp: Stamp) -> Reading | None:
        """What was stored of a file that has the same status now."""
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            return None
        _, digest, reason = known
        if reason:
            return Reading(path, *stamp, digest, reason)
        packed = self.facts(digest)
        return None if packed is None else Reading(path, *stamp, digest, "", packed)

    def facts(self, digest: bytes) -> bytes | None:
        """The packed facts of some bytes."""
        with self._guarded():
            for (packed,) in self._rows("SELECT facts FROM facts WHERE digest = ?", (digest,)):
                return bytes(packed)
        return None

    def add(self, reading: Reading) -> None:
        """Keeps a reading; it is on the disk after `flush`, at the latest."""
        if reading.reason == Reason.UNREADABLE:
            return
        self._known[reading.path] = (Stamp(reading.mtime_ns, reading.size), reading.digest, reading.reason)
        self._pending[reading.path] = reading
        if len(self._pending) >= _BATCH:
            self.flush()

    def forget(self, paths: Iterable[str]) -> None:
        """Drops files that are gone. Their facts stay for a while: branches come back."""
        gone = [path for path in paths if self._known.pop(path, None) is not None]
        for path in gone:
            self._pending.pop(path, None)
        self._write(("DELETE FROM files WHERE path = ?", [(path,) for path in gone]))

    def flush(self) -> None:
        """Writes what was added, in one transaction."""
        pending, self._pending = list(self._pending.values()), {}
        self._write(
            (
                "INSERT OR IGNORE INTO facts (digest, facts) VALUES (?, ?)",
                [(one.digest, one.facts) for one in pending if one.facts],
            ),
            (
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
                [(one.path, one.mtime_ns, one.size, one.digest, one.reason) for one in pending],
            ),
        )

    def prune(self) -> None:
        """Deletes the oldest facts that no file has any more."""
        self._write(
            (
                "DELETE FROM facts WHERE id <= (SELECT max(id) FROM facts) - ? "
                "AND digest NOT IN (SELECT digest FROM files)",
                [(_SPARE,)],
            )
        )

    def close(self) -> None:
        """Writes the rest and closes the file."""
        self.flush()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor | tuple[()]:
        return () if self._connection is None else self._connection.execute(query, values)

    def _write(self, *statements: tuple[str, Sequence[tuple[object, ...]]]) -> None:
        """Runs statements, each for many rows, in one transaction."""
        if self._connection is None or not any(rows for _, rows in statements):
            return
        with self._guarded(), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                connection.executemany(statement, rows)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if _busy(error):
                log.info("some facts of code are not stored, since another process writes")
                return
            log.warning("facts of code are not stored any more: %s", error)
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_BUSY_TIMEOUT, isolation_level=None)
    try:
        with contextlib.suppress(OSError):
            file.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise sqlite3.DatabaseError(f"it is of version {version}, not {_VERSION}")
        connection.execute("SELECT path, mtime_ns, size, digest, reason FROM files LIMIT 0")
        connection.execute("SELECT id, digest, facts FROM facts LIMIT 0")
        (damage,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)
    except BaseException:
        connection.close()
        raise
    return connection


def _busy(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _make_room(cache: Path, own: Path, limit: int) -> None:
    """Marks a workspace as used now, and deletes others until all fit."""
    if own.exists():
        os.utime(own)
    files = []
    for file in cache.glob("*" + _SUFFIX):
        with contextlib.suppress(OSError):
            status = file.stat()
            files.append((status.st_mtime, status.st_size, file))
    held = sum(size for _, size, _ in files)
    for _, size, file in sorted(files):
        if held <= limit:
            return
        if file != own and _remove(file):
            held -= size


def _remove(file: Path) -> bool:
    """Deletes a database with its side files. On Windows that fails while another process uses it."""
    try:
        for each in (file, file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm")):
            each.unlink(missing_ok=True)
    except OSError:
        return False
    return True
