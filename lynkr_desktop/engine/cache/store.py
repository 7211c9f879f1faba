"""Replies on the disk: one SQLite file, bounded in bytes, that survives whatever ends the process.

Nothing here is needed: what goes wrong with the file is logged, and the models are asked instead.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lynkr_desktop.engine.cache.stored import FACTS, FILES, UNREADABLE, Listed, Stored, packed, unpacked
from lynkr_desktop.engine.database_file import make_private_file

log = logging.getLogger(__name__)

_VERSION = 1
"""Of the table and of what is in it. A file of another version is thrown away."""

_SCHEMA = """
CREATE TABLE replies (
    key BLOB PRIMARY KEY,
    created REAL NOT NULL,
    used REAL NOT NULL,
    hits INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root TEXT NOT NULL,
    head TEXT NOT NULL,
    files BLOB NOT NULL,
    facts BLOB NOT NULL,
    events BLOB NOT NULL
);
CREATE INDEX replies_used ON replies (used, size);
CREATE INDEX replies_root ON replies (root);
"""

_BUSY_TIMEOUT = 2.0
_ROW = 512
"""What a row takes beside the reply: its other columns, and its part in the indices."""

_PAGE = 4096
"""SQLite gives a long row whole pages; counted so, the file is no larger than the limit says."""

_LARGEST_SHARE = 4
"""A reply may take this part of the whole at most: 1/4."""

_WAL_PAGES = 200
_PAUSE = 60.0
"""Seconds without writing after the disk was full or the file could not be written."""

_FULL = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
)
_PASSING = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))


class StoreError(Exception):
    """Stored replies could not be deleted. The message says what to do, for people."""


def store_file(cache: Path) -> Path:
    """Where the replies are stored, given the folder of what can be made anew."""
    return cache / "replies" / "replies.sqlite"


class ReplyStore:
    """The stored replies. Its methods may be called from any thread, but not from the event loop.

    A reply that was put is there after a kill of the process at any later moment: it is committed to the
    write-ahead log before `put` returns. Only a power cut may take the last ones, never older ones with them.

    Args:
        file: the database; made with its folder when something is put first.
        clock: Unix seconds.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self.problem = ""
        """Why nothing is stored now, for people; empty while all is well."""

        self.count = 0
        self.size = 0
        """Replies, and their bytes, as of the last change."""

        self._clock = clock
        # Reading goes by a connection of its own, which never waits for a write to end.
        self._lock, self._reading = threading.Lock(), threading.Lock()
        self._connecting = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._silent_until = 0.0
        self._uses: dict[bytes, tuple[float, int]] = {}

    # ------------------------------------------------------------ replies

    def get(self, key: bytes, ttl: float) -> Stored | None:
        """The reply to a request, if there is one that is not older than `ttl` seconds."""
        row = self._row(key)
        if row is None:
            return None
        created, root, head, files, facts, events = row
        if self._clock() - created <= ttl:
            try:
                found = Stored(
                    key=key,
                    created=created,
                    root=root,
                    head=head,
                    files=FILES.decode(files),
                    facts=FACTS.decode(facts),
                    events=unpacked(events),
                )
            except UNREADABLE as error:
                log.warning("a stored reply was damaged and is dropped: %s", error)
            else:
                self.note_use(key)
                return found
        with self._opened(create=False) as connection:
            if connection is not None:
                with connection:
                    connection.execute("DELETE FROM replies WHERE key = ?", (key,))
                self._measure(connection)
        return None

    def note_use(self, key: bytes) -> None:
        """Notes that a reply was given. Many are written at once: only the order of deletion hangs on it."""
        self._uses[key] = (self._clock(), self._uses.get(key, (0.0, 0))[1] + 1)

    def put(self, stored: Stored, *, limit: int, ttl: float) -> bool:
        """Stores a reply, in the place of those that were not used for longest; whether it is stored.

        Args:
            stored: the reply.
            limit: bytes of all replies together.
            ttl: seconds after which one is too old.
        """
        events = packed(stored.events)
        facts, files = msgspec.msgpack.encode(stored.facts), msgspec.msgpack.encode(stored.files)
        size = -(-(len(events) + len(facts) + len(files) + len(stored.root) + _ROW) // _PAGE) * _PAGE
        if size > limit // _LARGEST_SHARE or time.monotonic() < self._silent_until:
            return False
        with self._opened(create=True) as connection:
            if connection is None:
                return False
            now = self._clock()
            used, hits = self._uses.pop(stored.key, (now, 0))
            self._flush(connection)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "DELETE FROM replies WHERE created < ? OR key = ?", (now - ttl, stored.key)
                )
                self._make_room(connection, limit - size)
                connection.execute(
                    "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(stored.key, stored.created, used, hits, size),
                        *(stored.root, stored.head, files, facts, events),
                    ),
                )
            _shrink(connection)
            self._measure(connection)
            self.problem = ""
            return True
        return False

    def trim(self, *, limit: int, ttl: float) -> None:
        """Deletes what is too old or too much, as after a change of the options."""
        with self._opened(create=False) as connection:
            if connection is not None:
                self._flush(connection)
                with connection:
                    connection.execute("DELETE FROM replies WHERE created < ?", (self._clock() - ttl,))
                    self._make_room(connection, limit)
                _shrink(connection)
                self._measure(connection)

    def forget(self, root: str, paths: Collection[str], head: str | None) -> int:
        """Deletes the replies of a workspace that hang on what changed; how many.

        Args:
            root: of the workspace.
            paths: of files, relative to the root, that changed or depend on one that did.
            head: the commit that is checked out now; None where that did not change.
        """
        with self._opened(create=False) as connection:
            if connection is None:
                return 0
            changed = frozenset(paths)
            query = "SELECT key, head, files FROM replies WHERE root = ?"
            stale = [
                (key,)
                for key, at, files in connection.execute(query, (root,))
                if (head is not None and at != head) or not changed.isdisjoint(_paths(files))
            ]
            if stale:
                with connection:
                    connection.executemany("DELETE FROM replies WHERE key = ?", stale)
                _shrink(connection)
                self._measure(connection)
            return len(stale)
        return 0

    def listing(self, limit: int) -> list[Listed]:
        """The stored replies, the latest used first."""
        found: list[Listed] = []
        with self._opened(create=False) as connection:
            if connection is not None:
                self._flush(connection)
                query = (
                    "SELECT key, created, used, hits, size, root, head, facts FROM replies "
                    "ORDER BY used DESC LIMIT ?"
                )
                for *row, facts in connection.execute(query, (limit,)):
                    with contextlib.suppress(msgspec.ValidationError, msgspec.DecodeError):
                        found.append(msgspec.convert([*row, FACTS.decode(facts)], Listed))
        return found

    def remove(self, key: bytes) -> bool:
        """Deletes one reply; whether there was one."""
        with self._opened(create=False) as connection:
            if connection is None:
                return False
            with connection:
                gone = connection.execute("DELETE FROM replies WHERE key = ?", (key,)).rowcount > 0
            self._scrub(connection)
            self._measure(connection)
            return gone
        return False

    def clear(self) -> tuple[int, int]:
        """Deletes every reply, so that none of their bytes is left in the file; how many, and their bytes.

        Raises:
            StoreError: some may be left.
        """
        with self._opened(create=False) as connection:
            if connection is not None:
                self._uses.clear()
                self._measure(connection)
                gone = self.count, self.size
                with connection:
                    connection.execute("DELETE FROM replies")
                self._scrub(connection)
                self._measure(connection)
                return gone
        self.close()
        if not remove(self.file):
            raise StoreError(f"{self.file} can be neither emptied nor deleted. Stop Lynkr and delete it.")
        self.count = self.size = 0
        return 0, 0

    def open(self) -> None:
        """Opens the file if there is one, so that the figures are known."""
        with self._opened(create=False):
            pass

    def close(self) -> None:
        """Writes what is only noted, and closes the file."""
        with self._lock:
            self._end_reading()
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._flush(connection)
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    # ------------------------------------------------------------ the file

    @contextlib.contextmanager
    def _opened(self, *, create: bool) -> Iterator[sqlite3.Connection | None]:
        """The connection, for one thread at a time; None where there is no file or it cannot be used."""
        with self._lock:
            if self._connection is None and time.monotonic() >= self._silent_until:
                try:
                    if create or self.file.exists():
                        self._connection = self._connect()
                        self._measure(self._connection)
                except (sqlite3.Error, OSError) as error:
                    self._failed(error)
            try:
                yield self._connection
            except (sqlite3.Error, OSError) as error:
                self._failed(error)

    def _row(self, key: bytes) -> tuple[Any, ...] | None:
        """The row of a reply, None where there is none or the file cannot be read."""
        query = "SELECT created, root, head, files, facts, events FROM replies WHERE key = ?"
        try:
            with self._reading:
                if self._reader is None:
                    if time.monotonic() < self._silent_until or not self.file.exists():
                        return None
                    self._reader = self._connect()
                found: tuple[Any, ...] | None = self._reader.execute(query, (key,)).fetchone()
                return found
        except (sqlite3.Error, OSError) as error:
            failure = error
        with self._lock:
            self._failed(failure)
        return None

    def _end_reading(self) -> None:
        with self._reading:
            reader, self._reader = self._reader, None
            if reader is not None:
                with contextlib.suppress(sqlite3.Error):
                    reader.close()

    def _connect(self) -> sqlite3.Connection:
        make_private_file(self.file)
        with contextlib.suppress(OSError):
            self.file.chmod(0o600)
        with (
            self._connecting
        ):  # the change to WAL fails at once where another connection is in the midst of it
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        """A connection to a file of this version, which may have been empty."""
        connection = sqlite3.connect(
            self.file, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            connection.execute("PRAGMA journal_size_limit = 4194304")
            connection.execute("PRAGMA secure_delete = ON")
            if _version(connection) == 0:
                # A command may find the empty file at the same time: one of them waits here.
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    empty = not connection.execute("SELECT 1 FROM sqlite_master").fetchall()
                    if _version(connection) == 0 and empty:
                        for statement in _SCHEMA.split(";"):
                            connection.execute(statement)
                        connection.execute(f"PRAGMA user_version = {_VERSION}")
            if (version := _version(connection)) != _VERSION:
                raise sqlite3.DatabaseError(f"it is of version {version}, not {_VERSION}")
            connection.execute("SELECT key, events FROM replies LIMIT 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def _failed(self, error: sqlite3.Error | OSError) -> None:
        """Goes on without the file for a while, or with a new one where it is damaged."""
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in _PASSING:
            log.info("the cache of replies is busy: %s", error)
            return
        self._end_reading()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        self._silent_until = time.monotonic() + _PAUSE
        if isinstance(error, sqlite3.DatabaseError) and code not in _FULL:
            log.warning("the cache of replies is damaged and is made anew: %s", error)
            self._uses.clear()
            self.count = self.size = 0
            if remove(self.file):
                self._silent_until = 0.0
                return
        self.problem = f"Replies are not stored for a minute: {_told(error)}. Make room or check the folder."
        log.warning("%s is not written for a while: %s", self.file, error)

    def _flush(self, connection: sqlite3.Connection) -> None:
        uses, self._uses = self._uses, {}
        if uses:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "UPDATE replies SET used = ?, hits = hits + ? WHERE key = ?",
                    [(used, hits, key) for key, (used, hits) in uses.items()],
                )

    @staticmethod
    def _make_room(connection: sqlite3.Connection, limit: int) -> None:
        (held,) = connection.execute("SELECT coalesce(sum(size), 0) FROM replies").fetchone()
        if held <= limit:
            return
        gone = []
        for key, size in connection.execute("SELECT key, size FROM replies ORDER BY used"):
            if held <= limit:
                break
            gone.append((key,))
            held -= size
        connection.executemany("DELETE FROM replies WHERE key = ?", gone)

    @staticmethod
    def _scrub(connection: sqlite3.Connection) -> None:
        """Leaves nothing of what was deleted: neither in the file nor in the log beside it."""
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _measure(self, connection: sqlite3.Connection) -> None:
        self.count, self.size = connection.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM replies"
        ).fetchone()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _shrink(connection: sqlite3.Connection) -> None:
    """Gives pages that are free back to the disk. As a script, for `execute` would free one page alone."""
    connection.executescript("PRAGMA incremental_vacuum")


def remove(file: Path) -> bool:
    """Deletes a database with its side files. On Windows that fails while another process uses it."""
    try:
        for each in (file, file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm")):
            each.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _paths(files: bytes) -> tuple[str, ...]:
    try:
        return FILES.decode(files)
    except msgspec.DecodeError:
        return ()


def _told(error: sqlite3.Error | OSError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
