"""Prompts on the disk, for those who ask for it: compressed, without secrets, bounded in age and size.

They are in a file of their own beside the records, which nothing else reads: whoever copies or loses the
records has not the prompts with them, and to store none any more is to delete a file.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.database_file import make_private_file
from lynkr_desktop.engine.prompt_text import changes_of, turns_of
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.optimization import PromptChange, PromptTurn, PromptView, Receipt

log = logging.getLogger(__name__)

T = TypeVar("T")

_SUFFIXES = ("", "-wal", "-shm", "-journal")
_VERSION = 1
_MOST_WAITING = 128
_MOST_WAITING_BYTES = 64 * 1024**2
"""Bodies of requests that wait to be written; more are let go."""

_SWEEP_EVERY = 300.0
_AT_ONCE = 20
_DELETE_OLDEST = "DELETE FROM prompts WHERE seq IN (SELECT seq FROM prompts ORDER BY at, seq LIMIT ?)"
_SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS prompts (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL, at REAL NOT NULL, data BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS prompts_id ON prompts (id);
    CREATE INDEX IF NOT EXISTS prompts_at ON prompts (at);
    PRAGMA user_version = {_VERSION};
"""


def prompts_path(records: Path) -> Path:
    """The file beside that of the records."""
    return records.with_name(f"{records.stem}-prompts.db")


class StoredPrompt(Struct, frozen=True, kw_only=True):
    """One prompt: its turns as the client sent them, and what went to the model otherwise."""

    turns: tuple[PromptTurn, ...]
    changes: tuple[PromptChange, ...] = ()
    asked: tuple[str, ...] = ()

    def view(self, id_: str, receipts: tuple[Receipt, ...]) -> PromptView:
        """As it is shown."""
        return PromptView(
            id=id_,
            receipts=receipts,
            changes=self.changes,
            kept=True,
            asked=self.asked,
            turns=self.turns,
        )


_DECODER = msgspec.msgpack.Decoder(StoredPrompt)


class PromptStore:
    """The file, and the one thread that writes it. Whatever fails there stops nothing.

    Args:
        path: of the file; it is made with the first prompt.
        clock: the time in Unix seconds.

    Attributes:
        path: of the file.
        lost: prompts that could not be stored since the start.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.lost = 0
        self.path = path
        self._clock = clock
        self._keep: float | None = None
        self._max_size = 0
        self._waiting = self._waiting_bytes = 0
        self._thread = ThreadPoolExecutor(1, "lynkr-prompts")
        self._connection: sqlite3.Connection | None = None
        self._size = 0
        self._swept = 0.0
        self._failing = False

    @property
    def is_on(self) -> bool:
        """Whether prompts are stored."""
        return self._keep is not None

    def take(self, keep: float | None, max_size: int) -> None:
        """Goes by these options from now on.

        Args:
            keep: seconds for which prompts are kept. None stores none, and deletes what is there.
            max_size: bytes of all of them; the oldest go first.
        """
        self._keep, self._max_size = keep, max_size
        self._thread.submit(self._delete if keep is None else self._sweep)

    def put(
        self, id_: str, at: float, came: Request, sent: Request, size: int, asked: tuple[str, ...]
    ) -> None:
        """Takes the prompt of a request, where prompts are stored. Never waits.

        Args:
            id_: of the request.
            at: when it came.
            came: as the client sent it.
            sent: as it went to the model.
            size: bytes of its body.
            asked: the engine's own tools that the model called.
        """
        if self._keep is None:
            return
        if self._waiting >= _MOST_WAITING or self._waiting_bytes + size > _MOST_WAITING_BYTES:
            self.lost += 1
            return
        self._waiting += 1
        self._waiting_bytes += size
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._thread, self._write, id_, at, came, sent, asked)
        writing.add_done_callback(lambda _done: self._written(size))

    def _written(self, size: int) -> None:
        self._waiting -= 1
        self._waiting_bytes -= size

    async def get(self, id_: str) -> StoredPrompt | None:
        """The prompt of a request, None where it is not stored (any more)."""
        return (await self.read([id_])).get(id_)

    async def read(self, ids: Iterable[str]) -> dict[str, StoredPrompt]:
        """The prompts of some requests, after all that were taken before."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, read_prompts, self.path, list(ids)
        )

    def clear(self) -> None:
        """Deletes all: somebody wants something forgotten that may stand in them."""
        self._thread.submit(self._delete)

    async def close(self) -> None:
        """Writes what waits and closes the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._shut)
        self._keep = None
        self._thread.shutdown()

    # ------------------------------------------------------------ the writer's thread

    def _write(self, id_: str, at: float, came: Request, sent: Request, asked: tuple[str, ...]) -> None:
        if self._keep is None:
            return  # Switched off meanwhile: what is deleted must not come back.
        try:
            changes = () if came is sent else changes_of(came, sent)
            made = StoredPrompt(turns=turns_of(came), changes=changes, asked=asked)
            data = zlib.compress(msgspec.msgpack.encode(made), 6)
            connection = self._connected()
            connection.execute("INSERT INTO prompts (id, at, data) VALUES (?, ?, ?)", (id_, at, data))
            self._size += len(data)
            if self._size > self._max_size or self._clock() - self._swept > _SWEEP_EVERY:
                self._sweep()
        except (sqlite3.Error, OSError) as error:
            self.lost += 1
            self._failed(error)
        except (ValueError, RecursionError) as error:
            self.lost += 1
            log.warning("the prompt of %s cannot be stored: %s", id_, type(error).__name__)
        else:
            self._failing = False

    def _sweep(self) -> None:
        """Deletes what is too old, then the oldest until the rest is small enough."""
        if self._keep is None or (self._connection is None and not self.path.exists()):
            return
        try:
            connection = self._connected()
            connection.execute("DELETE FROM prompts WHERE at < ?", (self._clock() - self._keep,))
            self._size = _size(connection)
            while self._size > self._max_size:
                oldest = "SELECT seq FROM prompts ORDER BY at, seq LIMIT ?"
                gone = connection.execute(
                    f"DELETE FROM prompts WHERE seq IN ({oldest})", (_AT_ONCE,)
                ).rowcount
                self._size = _size(connection)
                if not gone:
                    break
            self._swept = self._clock()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private_file(self.path)
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            try:
                # What is deleted is overwritten, and its space given back.
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA auto_vacuum = FULL")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
                self._size = _size(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _failed(self, error: Exception) -> None:
        self._shut()
        if not self._failing:
            log.error("prompts cannot be stored in %s: %s", self.path, error)
        self._failing = True
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            # It is damaged. What can be shown of prompts is worth less than a file that works.
            self._delete()

    def _delete(self) -> None:
        self._shut()
        self._size = 0
        for suffix in _SUFFIXES:
            try:
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            except OSError as error:
                log.error("stored prompts cannot be deleted: %s", error)

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def read_prompts(path: Path, ids: Iterable[str]) -> dict[str, StoredPrompt]:
    """The prompts of those requests whose prompts are stored in a file, which need not be there."""
    if not path.is_file():
        return {}
    found: dict[str, StoredPrompt] = {}
    try:
        name = f"file:{quote(path.as_posix())}?mode=ro"
        with closing(sqlite3.connect(name, uri=True, timeout=2.0)) as connection:
            for id_ in ids:
                row = connection.execute("SELECT data FROM prompts WHERE id = ?", (id_,)).fetchone()
                if row is not None:
                    found[id_] = _DECODER.decode(zlib.decompress(row[0]))
    except (sqlite3.Error, zlib.error, msgspec.MsgspecError) as error:
        log.warning("stored prompts cannot be read: %s", error)
    return found


def _size(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT COALESCE(SUM(LENGTH(data)), 0) FROM prompts").fetchone()[0])
