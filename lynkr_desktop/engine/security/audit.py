"""The audit log: who did what to this Lynkr, append-only, each entry on the disk before it is acknowledged.

`AuditLog` is the files, for the engine and for commands that run without one; `Audit` is what the engine's
loop notes things with, and never waits for. Who can write to the home can also write the whole chain anew: a
hash of its head that was kept elsewhere shows that too (`lynkr audit verify --head`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.config.access import AuditOptions
from lynkr_desktop.engine.security import chain
from lynkr_desktop.engine.security.chain import Head
from lynkr_desktop.engine.security.private_file import (
    clear_leftovers,
    read_private,
    sync_folder,
    write_private,
)
from lynkr_desktop.engine.security.redaction import clean
from lynkr_desktop.engine.wire.fields import NOT_JSON
from lynkr_desktop.protocol.audit import AuditCheck, AuditEntry

log = logging.getLogger(__name__)

REFUSED_EVERY_S = 60.0
"""How long refusals are summed up before they become one entry, so that an attacker cannot fill the disk."""

MOST_WAITING = 1000
"""Entries kept in memory while the disk takes none."""

_LOCK_WAIT_S = 5.0
_LARGEST_HEAD = 16 * 1024
_FILES = 8
"""Of so many files the log consists when it has its largest size."""

_SHORT, _LONG = 64, 500


class AuditFailure(Exception):
    """The log cannot be read or written. The message says why."""


class Note(Struct, frozen=True):
    """What is to become an entry."""

    at: float
    who: str
    what: str
    detail: str = ""


class AuditLog:
    """The files of an audit log: the chain in a folder, its head beside it.

    Args:
        home: holds both.
        options: how much is kept for how long.
        clock: the time in Unix seconds.
    """

    def __init__(
        self,
        home: Path,
        options: AuditOptions | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options or AuditOptions()
        self._folder = home / "audit"
        self._head_file = home / "audit-head.json"
        self._lock_file = home / "audit.lock"
        self._clock = clock
        self._head = Head()
        self._file: Path | None = None
        self._size = 0
        """Of the last file as this object left it."""
        self._writing = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where the entries are."""
        return self._folder

    def append(self, *notes: Note) -> None:
        """Writes entries. Once this returns they are on the disk.

        Raises:
            AuditFailure: they cannot be written. None of them was.
        """
        with self._writing, self._alone():
            self._look()
            self._write(notes)
            try:
                self._delete_old()
            except (OSError, AuditFailure) as error:
                log.warning("old entries of the audit log cannot be deleted: %s", error)

    def entries(self, since: float = 0.0, limit: int | None = None) -> list[AuditEntry]:
        """The newest entries first, without those that are damaged. Raises `AuditFailure`."""
        found: list[AuditEntry] = []
        try:
            for file in reversed(chain.kept_files(self._folder, self._read_head())):
                for line in reversed(file.read_bytes().split(b"\n")):
                    entry = chain.entry_of(line) if line else None
                    if entry is not None and entry.at >= since:
                        found.append(entry)
                        if len(found) == limit:
                            return found
        except OSError as error:
            raise AuditFailure(
                f"The audit log in {self._folder} cannot be read: {error.strerror}."
            ) from error
        return found

    def check(self, wanted: str = "") -> AuditCheck:
        """Whether the chain is whole; see `chain.check`. Raises `AuditFailure`."""
        try:
            with self._writing, self._alone(unless_read_only=True):
                return chain.check(self._folder, self._read_head(), wanted)
        except OSError as error:
            raise AuditFailure(
                f"The audit log in {self._folder} cannot be read: {error.strerror}."
            ) from error

    # ------------------------------------------------------------ writing

    @contextmanager
    def _alone(self, *, unless_read_only: bool = False) -> Iterator[None]:
        """No other process writes meanwhile."""
        if unless_read_only and not self._folder.exists():
            yield
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = filelock.FileLock(self._lock_file, mode=0o600, thread_local=False)
            lock.acquire(timeout=_LOCK_WAIT_S)
        except filelock.Timeout as error:
            raise AuditFailure(f"Another program is writing to {self._folder}.") from error
        except OSError as error:
            if unless_read_only:
                yield
                return
            raise AuditFailure(
                f"The audit log in {self._folder} cannot be written: {error.strerror}."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _look(self) -> None:
        """Finds the end of the chain, unless it is where this object left it."""
        if self._file is not None and self._read_head() == self._head:
            with suppress(OSError):
                if self._file.stat().st_size == self._size:
                    return
        try:
            self._find_end()
        except OSError as error:
            raise AuditFailure(
                f"The audit log in {self._folder} cannot be read: {error.strerror}."
            ) from error

    def _find_end(self) -> None:
        clear_leftovers(self._head_file)
        known, files = self._read_head(), chain.files_of(self._folder)
        if not files:
            self._head, self._file, self._size = known or Head(), None, 0
            return
        file = files[-1]
        last, good = chain.last_entry(file)
        if last is None and len(files) > 1:
            last, _ = chain.last_entry(files[-2])
        if known is None:
            first = chain.first_entry(files[0])
            number = last.number if last is not None else chain.first_of(file)
            known = Head(
                first=first.number if first is not None else chain.first_of(files[0]),
                before=first.previous if first is not None else "",
                rebuilt=(number + 1,),
                last=number,
                hash=last.hash if last is not None else "",
            )
            log.error("the head of the audit log was missing; entry %d begins a new one", number + 1)
        size = file.stat().st_size
        whole = last is not None and last.number >= known.last
        if last is not None and last.number > known.last:
            # Its writer was killed before it could tell of them; else somebody added them: that will show.
            ours = last.number <= known.coming
            known = replace(known, last=last.number, hash=last.hash if ours else known.hash)
        if size > good:
            size = _end_line(file, good if whole and chain.is_torn(file, good) else None)
        self._head, self._file, self._size = known, file, size

    def _write(self, notes: tuple[Note, ...]) -> None:
        head, lines = self._head, []
        for note in notes:
            entry = chain.sealed(
                AuditEntry(
                    number=head.last + 1,
                    at=note.at,
                    who=_text(note.who, _SHORT),
                    what=_text(note.what, _SHORT),
                    detail=_text(note.detail, _LONG),
                    previous=head.hash,
                )
            )
            lines.append(chain.line_of(entry))
            head = replace(head, last=entry.number, hash=entry.hash, coming=0, coming_hash="")
        content = b"".join(lines)
        file, size = self._file, self._size
        if file is None or size + len(content) > self.options.size // _FILES:
            file, size = self._folder / chain.file_name(self._head.last + 1), 0
        coming = replace(self._head, coming=head.last, coming_hash=head.hash)
        try:
            write_private(self._head_file, msgspec.json.encode(coming))
            _append(file, content, size)
        except OSError as error:
            self._file = None  # so that it is looked at anew
            raise AuditFailure(
                f"The audit log in {self._folder} cannot be written: {error.strerror or error}."
            ) from error
        try:
            # Only now: what the head tells of must be there, whenever the process is killed.
            write_private(self._head_file, msgspec.json.encode(head))
        except OSError as error:
            # They are on the disk all the same, as far as the head said that they would be.
            self._file = None
            log.warning("the head of the audit log cannot be written: %s", error.strerror or error)
            return
        self._file, self._size, self._head = file, size + len(content), head

    def _delete_old(self) -> None:
        """Deletes files of entries that are too old or too many; an entry says which."""
        files = chain.files_of(self._folder)
        for file in files:
            if file not in (kept := chain.kept_files(self._folder, self._head)):
                with suppress(OSError):
                    file.unlink()
        if len(kept := chain.kept_files(self._folder, self._head)) < 2:
            return
        sizes = [file.stat().st_size for file in kept]
        gone = 0
        while gone < len(kept) - 1:
            after = chain.first_entry(kept[gone + 1])
            old = after is not None and after.at < self._clock() - self.options.retention
            if not old and sum(sizes[gone:]) <= self.options.size:
                break
            gone += 1
        if not gone:
            return
        after = chain.first_entry(kept[gone])
        if after is None:
            return
        detail = f"entries {self._head.first} to {after.number - 1}, by access.audit"
        self._head = replace(self._head, first=after.number, before=after.previous)
        note = Note(self._clock(), "engine", "audit entries deleted", detail)
        self._write((note,))
        for file in kept[:gone]:
            with suppress(OSError):
                file.unlink()

    def _read_head(self) -> Head | None:
        try:
            return msgspec.json.decode(read_private(self._head_file, _LARGEST_HEAD), type=Head)
        except (OSError, *NOT_JSON):
            return None


def _text(text: str, longest: int) -> str:
    """What may stand in an entry: no secrets, no control characters, valid Unicode, bounded."""
    return clean(text)[:longest].encode("utf-8", "replace").decode()


def _append(file: Path, content: bytes, size: int) -> None:
    """Appends to a file that has `size` bytes; where that fails, it has as many again."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(file, flags, 0o600), "ab", buffering=0) as out:
        try:
            written = 0
            while written < len(content):
                written += out.write(content[written:]) or 0
            os.fsync(out.fileno())
        except OSError:
            with suppress(OSError):
                out.truncate(size)
            raise
    if not size:
        sync_folder(file.parent)


def _end_line(file: Path, cut: int | None) -> int:
    """Makes room for the next line: takes away what was being written, or ends what is no entry as it is."""
    with file.open("rb+") as lines:
        if cut is not None:
            lines.truncate(cut)
        elif lines.seek(-1, os.SEEK_END) >= 0 and lines.read(1) != b"\n":
            lines.write(b"\n")
        lines.flush()
        os.fsync(lines.fileno())
        return lines.seek(0, os.SEEK_END)


class Audit:
    """What the engine notes things with. Made with its loop running; `close` at the end.

    Args:
        files: where entries go.
        clock: the time in Unix seconds.
    """

    def __init__(self, files: AuditLog, *, clock: Callable[[], float] = time.time) -> None:
        self.files = files
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "lynkr-audit")
        self._waiting: deque[Note] = deque()
        self._lock = threading.Lock()
        self._failed = False
        self._refusals: Counter[str] = Counter()
        self._refused_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Entries that are not on the disk yet."""
        return len(self._waiting)

    def note(self, who: str, what: str, detail: str = "") -> Future[bool]:
        """Notes what somebody did. Never waits, never raises, and may be called from any thread.

        Args:
            who: the name of the access key, or `Caller.known_as`; `engine` for what happens by itself.
            what: a few words, the same for the same kind of thing.
            detail: to what; no secret, at most 500 characters.

        Returns:
            Whether it is on the disk, once that is known. One that is not waits in memory for the next.
        """
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                log.error("the audit log is full of what waits; lost: %s %s", what, detail)
                lost: Future[bool] = Future()
                lost.set_result(False)
                return lost
            self._waiting.append(Note(self._clock(), who, what, detail))
        return self._submit()

    async def noted(self, who: str, what: str, detail: str = "") -> bool:
        """As `note`, and returns when the entry is on the disk, or was found not to go there."""
        return await asyncio.wrap_future(self.note(who, what, detail))

    async def flush(self) -> bool:
        """Returns when all that was noted is on the disk, or was found not to go there; which of both."""
        return await asyncio.wrap_future(self._submit())

    def refused(self, why: str) -> None:
        """Counts a request that was refused; after a minute the sum becomes an entry. Of the loop's thread.

        Args:
            why: one of few words.
        """
        if not self._refusals:
            self._refused_since = self._clock()
            with suppress(RuntimeError):  # without a loop, `close` writes it
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(REFUSED_EVERY_S, self.tell_refused)
        self._refusals[why] += 1

    def tell_refused(self) -> None:
        """Makes an entry of what was refused so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._refusals:
            counts = ", ".join(f"{why} {count}" for why, count in self._refusals.most_common(20))
            total = self._refusals.total()
            since = time.strftime("%H:%M:%S", time.localtime(self._refused_since))
            self._refusals.clear()
            self.note("nobody", "requests refused", f"{total} since {since}: {counts}")

    async def close(self) -> None:
        """Writes what is left."""
        self.tell_refused()
        if self._waiting:
            await self.flush()
        await asyncio.to_thread(self._thread.shutdown)

    def _submit(self) -> Future[bool]:
        try:
            return self._thread.submit(self._write)
        except RuntimeError:  # it is closed
            late: Future[bool] = Future()
            late.set_result(self._write())
            return late

    def _write(self) -> bool:
        """Writes all that waits, at once."""
        with self._lock:
            batch = tuple(self._waiting)
        if not batch:
            return True
        try:
            self.files.append(*batch)
        except AuditFailure as error:
            if not self._failed:
                log.error("%s Entries wait in memory until it can.", error)
            self._failed = True
            return False
        self._failed = False
        with self._lock:
            for _ in batch:
                self._waiting.popleft()
        return True
