"""The records of all requests, with what was decided for them: taken in at once, written by one thread in
batches, read by others."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import astuple

from lynkr_desktop.engine.database_file import identity
from lynkr_desktop.engine.telemetry import decisions, queries, rollup, usage
from lynkr_desktop.engine.telemetry.check import SinceStart
from lynkr_desktop.engine.telemetry.database import (
    COLUMNS,
    DECISION_COLUMNS,
    OutdatedRecordsError,
    RecordsError,
    is_damaged,
    move_aside,
    open_for_reading,
    open_for_writing,
    storable,
    touch,
)
from lynkr_desktop.engine.telemetry.decisions import Amendment, Replay
from lynkr_desktop.engine.telemetry.spans import Span, UsageRange, named
from lynkr_desktop.engine.telemetry.today import Today, TodayCounter
from lynkr_desktop.engine.telemetry.usage import UsageGroup
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.routing import DecisionRow, Verdict
from lynkr_desktop.protocol.usage import UsageReport

log = logging.getLogger(__name__)

BATCH_ROWS = 2000
BATCH_SECONDS = 0.5
"""A crash of this process loses at most what came in so lately."""

MAX_WAITING = 20_000
"""Rows kept in memory while the file cannot be written; more are lost, and counted."""

_RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
_RETENTION_EVERY = 3600.0
_DELETE_AT_ONCE = 2000
_LONGEST_TEXT = 4096
_ROW_AT_FAULT = (
    *(sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError),
    *(OverflowError, UnicodeEncodeError),  # an integer of more than 64 bits, a lone surrogate
)
_COLUMNS = (*COLUMNS, *DECISION_COLUMNS)
_PLACES = f"({', '.join('?' * len(_COLUMNS))})"
_INSERT = f"INSERT INTO requests ({', '.join(_COLUMNS)}) VALUES {_PLACES}"
_BREATH_S = 0.003
_MANY = 50
_INSERT_MANY = _INSERT + f", {_PLACES}" * (_MANY - 1)
"""Many rows in one statement: SQLite then works without the interpreter's lock, which requests need."""

_TIER = COLUMNS.index("tier")
_FLAGS = (COLUMNS.index("stream"), COLUMNS.index("estimated"))
_DETAIL = _COLUMNS.index("detail")
_UNDECIDED: tuple[None, ...] = (None,) * len(DECISION_COLUMNS)

T = TypeVar("T")


class Entry(NamedTuple):
    """A request, and what was decided for it; None where the flow ended before that."""

    row: RequestRow
    decision: DecisionRow | None

    @property
    def id(self) -> str:
        """That of the request."""
        return self.row.id


class Records:
    """The records in one SQLite file.

    Args:
        path: the file; see `database.database_path`.
        retention: seconds after which records are deleted.
        clock: the time in Unix seconds.
    """

    def __init__(self, path: Path, retention: float, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._retention = retention
        self._clock = clock
        self._today = TodayCounter(clock)
        self._waiting: deque[Entry | Amendment] = deque()
        self._flushes: deque[Future[None]] = deque()
        self._lost = 0
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None
        self._loaded = False
        self._failures = 0
        self._trouble = ""
        self._suspected = False
        self._recount = False
        self._retry_at = 0.0
        self._swept_at = 0.0
        self._last_id = ""
        self.since_start = SinceStart()

    @property
    def waiting(self) -> int:
        """Rows that are not in the file yet."""
        return len(self._waiting)

    @property
    def trouble(self) -> str:
        """Why they cannot be written now, for people; empty where they can."""
        return self._trouble

    async def probe(self) -> None:
        """Writes something to the disk that changes nothing, and reads it again.

        Raises:
            RecordsError: that cannot be done.
        """
        await self.flush()

        def probe() -> None:
            try:
                with closing(open_for_reading(self._path)):
                    pass
                touch(self._path)
            except sqlite3.Error as error:
                raise RecordsError(f"The records {self._path} cannot be written: {error}.") from error

        await asyncio.to_thread(probe)

    @property
    def lost(self) -> int:
        """Rows that could not be kept since the start."""
        return self._lost

    async def start(self) -> None:
        """Opens the file, loads today's figures and starts to write. Whatever fails stops nothing."""
        await asyncio.to_thread(self._open)
        self._thread = threading.Thread(target=self._write_on, name="lynkr-records", daemon=True)
        self._thread.start()

    def record(self, row: RequestRow, decision: DecisionRow | None = None) -> None:
        """Takes a request with what was decided for it. Never waits, and may be called from any thread.

        Args:
            row: the record.
            decision: its decision; what stands in `row` too is taken from there.
        """
        self._today.add(row)
        self._take(Entry(row, decision))
        self._last_id = row.id

    def amend(self, amendment: Amendment) -> None:
        """Takes what became of an earlier decision. Never waits, and may be called from any thread."""
        self._take(amendment)

    def _take(self, entry: Entry | Amendment) -> None:
        waiting = self._waiting
        if len(waiting) >= MAX_WAITING:
            self._lost += 1
            return
        waiting.append(entry)
        if not self._wake.is_set():
            self._wake.set()
        if len(waiting) == BATCH_ROWS:
            self._hurry.set()

    def recount(self) -> None:
        """Counts today's figures anew from the file: another engine that wrote there has ended."""
        self._recount = True
        self._hurry.set()
        self._wake.set()

    def today(self) -> Today:
        """Today's figures, from memory."""
        return self._today.today()

    async def recent(self, limit: int, before: str | None = None, key: str | None = None) -> list[RequestRow]:
        """The newest requests first; see `queries.recent`."""
        return await self.read(lambda connection: queries.recent(connection, limit, before, key))

    async def get(self, request_id: str) -> RequestRow | None:
        """The request with that id."""
        return await self.read(lambda connection: queries.get(connection, request_id))

    async def usage(self, span: Span | UsageRange, by: UsageGroup, key: str | None = None) -> UsageReport:
        """Sums and percentiles over a range, whole and by group; of one access key, where `key` names one."""
        now = self._clock()
        found = named(span, now) if isinstance(span, str) else span
        return await self.read(lambda connection: usage.report(connection, found, by, now, key))

    async def decisions(
        self, limit: int, before: str | None = None, *, misrouted: bool = False
    ) -> list[DecisionRow]:
        """The newest decisions first; see `decisions.recent`."""
        return await self.read(
            lambda connection: decisions.recent(connection, limit, before, misrouted=misrouted)
        )

    async def decision(self, request_id: str) -> DecisionRow | None:
        """The decision of the request with that id."""
        return await self.read(lambda connection: decisions.get(connection, request_id))

    async def mark(self, request_id: str, mark: Verdict) -> DecisionRow | None:
        """Notes what a person says of a decision; empty takes it back. None where there is no such decision.

        Raises:
            RecordsError: it cannot be read, or written now.
        """
        self.amend(Amendment(id=request_id, mark=mark))
        found = await self.decision(request_id)
        if found is not None and found.mark != mark:
            raise RecordsError(f"The records {self._path} cannot be written now. The log says why.")
        return found

    async def replay(self, since: float) -> Replay:
        """The tasks since a time, for calibration."""
        return await self.read(lambda connection: decisions.replay(connection, since))

    @property
    def last_id(self) -> str:
        """The id of the request that was recorded last, empty before the first."""
        return self._last_id

    async def flush(self) -> None:
        """Returns when all rows taken so far are in the file, or when writing them has failed for now."""
        if self._thread is None or not self._thread.is_alive():
            return
        done: Future[None] = Future()
        self._flushes.append(done)
        self._hurry.set()
        self._wake.set()
        await asyncio.wrap_future(done)

    def close(self) -> None:
        """Writes what is left and ends the thread; waits a few seconds at most."""
        self._closing = True
        self._hurry.set()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(10.0)
        if self._waiting:
            log.error("%d records could not be written to %s", len(self._waiting), self._path)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What a query finds in the records, all that were taken so far, in a thread of its own.

        Raises:
            RecordsError: they cannot be read.
        """
        await self.flush()

        def read() -> T:
            try:
                opened = open_for_reading(self._path)
            except OutdatedRecordsError:
                self._suspect()
                raise
            with closing(opened) as connection:
                try:
                    return query(connection)
                except sqlite3.Error as error:
                    if is_damaged(error):
                        self._suspect()
                    raise RecordsError(f"The records {self._path} cannot be read: {error}.") from error

        return await asyncio.to_thread(read)

    # ------------------------------------------------------------ the writer's thread

    def _open(self) -> None:
        try:
            self._connected()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and identity(self._path) != self._file:
            log.error("the records %s were moved or deleted; new ones begin", self._path)
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connection = open_for_writing(self._path)
            self._file = identity(self._path)
            self.since_start.opened(rollup.newest(self._connection))
        if not self._loaded:
            now = self._clock()
            self._today.load(*usage.day(self._connection, date.fromtimestamp(now), now))
            self._loaded = True
        return self._connection

    def _write_on(self) -> None:
        while not self._closing:
            self._wake.wait(_RETENTION_EVERY)
            self._hurry.wait(BATCH_SECONDS)
            self._wake.clear()
            self._hurry.clear()
            flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
            if self._suspected:
                self._examine()
            self._write_all(force=bool(flushes))
            _finish(flushes)
            if self._recount:
                self._count_today()
            self._delete_old()
            if self._waiting and not self._closing:
                self._wait_for_retry()
        self._write_all(force=True)
        _finish(self._flushes)
        if self._connection is not None:
            self._connection.close()

    def _wait_for_retry(self) -> None:
        """Rows wait because writing failed; new ones do not make it come sooner, a flush or the end does."""
        self._hurry.wait(max(0.0, self._retry_at - time.monotonic()))
        self._wake.set()

    def _write_all(self, *, force: bool) -> None:
        if not force and time.monotonic() < self._retry_at:
            return
        while self._waiting:
            batch = [self._waiting[index] for index in range(min(BATCH_ROWS, len(self._waiting)))]
            try:
                self._write(self._connected(), batch)
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
                return
            for _ in batch:
                self._waiting.popleft()
            if self._failures:
                log.info("the records %s can be written again", self._path)
            self._failures, self._retry_at, self._trouble = 0, 0.0, ""

    def _write(self, connection: sqlite3.Connection, batch: list[Entry | Amendment]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            before = rollup.newest(connection)
            self.since_start.others(connection, before)
            try:
                write_entries(connection, batch, pause=self._breathe)
            except _ROW_AT_FAULT:
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                before = rollup.newest(connection)
                self._write_singly(connection, batch)
            rollup.roll_up(connection, before)
            connection.execute("COMMIT")
            self.since_start.written(rollup.newest(connection))
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _breathe(self) -> None:
        """Rows are made under the interpreter's lock, and requests need it in between."""
        self._hurry.wait(_BREATH_S)

    def _write_singly(self, connection: sqlite3.Connection, batch: list[Entry | Amendment]) -> None:
        """One row that cannot be stored as it is must not hold up the others for ever."""
        for entry in batch:
            try:
                write_entries(connection, (entry,), mend=True)
            except _ROW_AT_FAULT as error:
                self._lost += 1
                log.error("the record of request %r cannot be stored: %s", entry.id, error)

    def _failed(self, error: Exception) -> None:
        delay = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        self._trouble = f"The records {self._path} cannot be written: {error}."
        self._retry_at = time.monotonic() + delay
        if isinstance(error, sqlite3.Error) and is_damaged(error):
            self._replace(str(error))
            return
        self._let_go()
        if self._failures == 1:
            log.error(
                "the records %s cannot be written (%s); up to %d are kept in memory until they can",
                self._path,
                error,
                MAX_WAITING,
            )

    def _replace(self, why: str) -> None:
        """Keeps a damaged file aside; a new one is begun where it is needed next."""
        self._let_go()
        try:
            aside = move_aside(self._path, "corrupt")
        except OSError as problem:
            log.error("the damaged records %s cannot be moved aside: %s", self._path, problem.strerror)
            return
        log.error("the records %s are damaged (%s); kept as %s", self._path, why, aside.name)
        self._retry_at = 0.0

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _count_today(self) -> None:
        self._recount = False
        now = self._clock()
        try:
            hours, tiers = usage.day(self._connected(), date.fromtimestamp(now), now)
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return
        waiting = [entry.row for entry in list(self._waiting) if isinstance(entry, Entry)]
        self._today.reload(hours, tiers, waiting)

    def _suspect(self) -> None:
        """Has the writer look at the file, which somebody who read it found damaged."""
        self._suspected = True
        self._hurry.set()
        self._wake.set()

    def _examine(self) -> None:
        """Begins a new file where this one is damaged; the connection that writes may not notice."""
        self._suspected = False
        try:
            self._connected()
            with closing(open_for_reading(self._path)) as connection:
                (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except OutdatedRecordsError:
            verdict = "it has lost its content"
        except RecordsError:
            return  # it cannot be told now; the next who reads will ask again
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return
        if verdict != "ok":
            self._replace(verdict)
            self._open()

    def _delete_old(self) -> None:
        now = time.monotonic()
        if self._connection is None or (self._swept_at and now - self._swept_at < _RETENTION_EVERY):
            return
        oldest = rollup.slot_of(self._clock() - self._retention)
        try:
            rollup.forget(self._connection, oldest)
            while self.since_start.delete(self._connection, oldest, _DELETE_AT_ONCE):
                if self._waiting:
                    return  # goes on after these
        except sqlite3.Error as error:
            self._failed(error)
            return
        self._swept_at = now


def _finish(flushes: Iterable[Future[None]]) -> None:
    for done in flushes:
        if done.set_running_or_notify_cancel():
            done.set_result(None)


def write_entries(
    connection: sqlite3.Connection,
    entries: Iterable[Entry | Amendment],
    *,
    mend: bool = False,
    pause: Callable[[], object] = lambda: None,
) -> None:
    """Writes within the transaction that is open: requests, then what amends earlier ones, in its order.

    Args:
        connection: to the records.
        entries: to be written.
        mend: whether values that SQLite cannot hold are made such that it can. Hardly any need it, and to
            look at each value costs more than to write it.
        pause: is called between some rows and the next.

    Raises:
        sqlite3.Error, OverflowError, UnicodeEncodeError: an entry cannot be stored.
        sqlite3.Error: the file cannot be written.
    """
    requests: list[Entry] = []
    by_id: dict[str, list[Amendment]] = {}
    amendments: list[Amendment] = []
    for entry in entries:
        if isinstance(entry, Entry):
            requests.append(entry)
            by_id[entry.id] = []
        else:
            # Most tell of a request that was answered a moment ago and waits in the same batch.
            by_id.get(entry.id, amendments).append(entry)
    for start in range(0, len(requests), _MANY):
        if start:
            pause()
        rows = [_stored(entry, by_id[entry.id], mend=mend) for entry in requests[start : start + _MANY]]
        if len(rows) == _MANY:
            connection.execute(_INSERT_MANY, [*chain.from_iterable(rows)])
        else:
            connection.executemany(_INSERT, rows)
    decisions.amend(connection, amendments)


def _stored(entry: Entry, amendments: Sequence[Amendment], *, mend: bool) -> list[Any]:
    decided: Sequence[Any] = _UNDECIDED if entry.decision is None else decisions.columns(entry.decision)
    for amendment in amendments:
        decided = decisions.amended(decided, amendment)
    row = [*_columns(entry.row), *decided]
    if mend:
        detail = row[_DETAIL]  # is bounded as a whole, or it would be no JSON
        row = [storable(value, _LONGEST_TEXT) for value in row]
        row[_DETAIL] = detail
    return row


def _columns(row: RequestRow) -> list[Any]:
    values = [*astuple(row)]
    # sqlite3 looks for an adapter for each value of another type than its own.
    for place in _FLAGS:
        values[place] = int(values[place])
    if row.tier is not None:
        values[_TIER] = str(row.tier)
    return values
