"""What is on the disk: folders that must be writable, room on it, and databases that must be sound."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from lynkr_desktop.doctor.check import Found, note, ok, problem, skipped

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look

_LEAST_FREE = 100 * 1024**2
"""Bytes. SQLite, logs and stored replies run into the end of the disk soon."""

_FEW_FREE = 1024**3
_DATABASE_S = 12.0
"""Seconds for one database: a gigabyte that is in the disk's cache takes about two."""


# ---------------------------------------------------------------- folders


def home(look: Look) -> Found:
    """Whether Lynkr can write what it must keep."""
    why = _unwritable(look.paths.home)
    if why:
        return problem(why, "Make it writable for you, or choose another folder: --home DIR or LYNKR_HOME.")
    return ok(_writable(look.paths.home))


def logs(look: Look) -> Found:
    """Whether the log can be written."""
    why = _unwritable(look.paths.logs)
    if why:
        return note(f"{why} Lynkr runs without a log.", "Make it writable for you.")
    return ok(_writable(look.paths.logs))


def _writable(folder: Path) -> str:
    return f"{folder} is writable." if folder.exists() else f"{folder} can be made when it is needed."


def _unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, or why it cannot be made; empty where it can."""
    place = existing(folder)
    if not place.is_dir():
        return f"{place} is not a folder, and one is needed there."
    try:
        with tempfile.TemporaryFile(prefix=".lynkr-doctor-", dir=place) as file:
            file.write(b"x")
    except OSError as error:
        what = f"{folder} cannot be written" if place == folder else f"{folder} cannot be made in {place}"
        return f"{what} ({error.strerror or error})."
    return ""


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    places = (path, *path.absolute().parents)
    return next((one for one in places if os.path.lexists(one)), places[-1])


# ---------------------------------------------------------------- room


def disk(look: Look) -> Found:
    """How much room is left wherever Lynkr writes."""
    from lynkr_desktop.cli.progress import size
    from lynkr_desktop.engine.telemetry.database import database_path

    paths = look.paths
    records = database_path(look.config.telemetry.storage, paths.home)
    # The same disk is named once, after the first folder on it.
    disks: dict[int, Path] = {}
    for folder in (paths.home, records.parent, paths.models, paths.logs, paths.cache):
        place = existing(folder)
        # A link that leads nowhere is no place on a disk; the checks of folders tell of it.
        with contextlib.suppress(OSError):
            disks.setdefault(place.stat().st_dev, place)
    if not disks:
        return skipped("None of the folders can be looked at.")
    least, place = min((shutil.disk_usage(place).free, place) for place in disks.values())
    text = f"{size(least)} are free at {place}."
    if least < _LEAST_FREE:
        return problem(text, "Make room: records and logs can no longer be written when it is full.")
    if full := next(filter(_no_names_left, disks.values()), None):
        return problem(f"No file can be made at {full}: it has no inodes left.", "Delete files there.")
    if least < _FEW_FREE:
        return note(text, "Make room soon; a built-in model needs up to 3 GB to be downloaded.")
    return ok(text)


def _no_names_left(place: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    status = os.statvfs(place)
    return status.f_files > 0 and status.f_favail == 0


# ---------------------------------------------------------------- databases


def records(look: Look) -> Found:
    """Whether the records of requests can be opened and are sound."""
    from lynkr_desktop.engine.telemetry.database import SCHEMA_VERSION, database_path

    file = database_path(look.config.telemetry.storage, look.paths.home)
    aside = sorted(file.parent.glob(f"{file.name}.corrupt-*")) if file.parent.is_dir() else []
    kept = [one for one in aside if not one.name.endswith(("-wal", "-shm"))]
    found = _examined(file, "records", "At its next start Lynkr keeps it aside and begins new records.")
    if found.result != "ok" or not file.exists():
        return found
    try:
        with contextlib.closing(_opened(file)) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        return problem(f"{file} cannot be read ({error}).", "Check who owns it and its folder.")
    if version > SCHEMA_VERSION:
        return problem(
            f"{file} was written by a later version of Lynkr.",
            "Update Lynkr; else it keeps the file aside at its next start and begins new records.",
        )
    if kept:
        return note(
            f"{found.text} Beside it lies {kept[-1].name}, which was found damaged and is not used.",
            f"Try `sqlite3 {kept[-1]} .recover`, or delete it.",
        )
    return found


def memories(look: Look) -> Found:
    """The same for what is remembered, where it has a file of its own."""
    from lynkr_desktop.engine.telemetry.database import database_path

    options = look.config.memory
    file = database_path(options.storage, look.paths.home)
    if file == database_path(look.config.telemetry.storage, look.paths.home):
        return ok("They are in the file of the records.")
    if not options.enabled and not file.exists():
        return skipped("Memory is off.")
    return _examined(file, "memories", "Put an older copy in its place, or move it away to begin anew.")


def cache(look: Look) -> Found:
    """Whether what can be made anew can be kept, and is sound."""
    from lynkr_desktop.cli.progress import size
    from lynkr_desktop.engine.cache.store import store_file

    folder = look.paths.cache
    if why := _unwritable(folder):
        return note(
            f"{why} Code is indexed anew at each start, and replies are not stored.",
            "Make it writable for you.",
        )
    code = folder / "code"
    files = [store_file(folder), *(sorted(code.glob("*.sqlite")) if code.is_dir() else [])]
    ends = time.monotonic() + _DATABASE_S
    total = 0
    for file in filter(Path.is_file, files):
        total += file.stat().st_size
        try:
            why = _fault(file, ends - time.monotonic())
        except TimeoutError:
            continue
        if why:
            return note(f"{file} {why}.", "Nothing is lost: Lynkr makes it anew. It may be deleted.")
    return ok(f"{_writable(folder)} {size(total)} are kept in it." if total else _writable(folder))


def _examined(file: Path, what: str, remedy: str) -> Found:
    """A database that holds what cannot be made anew."""
    from lynkr_desktop.cli.progress import size

    if not os.path.lexists(file):
        return ok(f"There are no {what} yet ({file} does not exist).")
    if not file.is_file():
        return problem(f"{file} is no regular file, so no {what} can be kept there.", "Move it away.")
    if not os.access(file, os.W_OK):
        return problem(
            f"{file} cannot be written, so no {what} are kept.", "Check who owns it and its permissions."
        )
    try:
        why = _fault(file, _DATABASE_S)
    except TimeoutError:
        return note(
            f"{file} has {size(file.stat().st_size)}, too much to be checked in {_DATABASE_S:g} s.",
            f"Check it at leisure: sqlite3 {file} 'PRAGMA quick_check'",
        )
    if why:
        return problem(f"{file} {why}.", f"Keep a copy of it. {remedy}")
    return ok(f"{file} is sound ({size(file.stat().st_size)}).")


def _fault(file: Path, seconds: float) -> str:
    """What is wrong with a database, to be read after its name; empty where it is sound, or busy.

    Raises:
        TimeoutError: it is too large to be checked in that time.
    """
    from lynkr_desktop.engine.telemetry.database import is_damaged

    ends = time.monotonic() + seconds
    try:
        with contextlib.closing(_opened(file)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code == sqlite3.SQLITE_INTERRUPT:
            raise TimeoutError from error
        if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return ""
        return f"{'is damaged' if is_damaged(error) else 'cannot be read'} ({error})"
    return "" if said == "ok" else f"is damaged ({said})"


def _opened(file: Path) -> sqlite3.Connection:
    # Read-only alone would leave new journals beside a file that nobody has open.
    way = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"file:{quote(file.as_posix())}?{way}", uri=True, timeout=2.0)
