"""Files of the home that only their owner may read, written whole or not at all."""

from __future__ import annotations

import logging
import os
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_ABANDONED_S = 60.0
"""Nobody takes so long to write a small file."""


def read_private(path: Path, longest: int) -> bytes:
    """The content of a regular file; other users are shut out of it from now on.

    Raises:
        OSError: it cannot be read, is no regular file, or has more than `longest` bytes.
    """
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is no regular file")
    if os.name == "posix" and mode & 0o077:
        log.warning("%s was open to other users; it is closed to them now", path)
        path.chmod(0o600)
    with path.open("rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise OSError(0, "it is too large")
    return content


def write_private(
    path: Path, content: bytes, *, sync: bool = True, put: Callable[[Path, Path], None] = os.replace
) -> None:
    """Puts a file in place whole or not at all, and never where others could read it, not even for a moment.

    Args:
        path: of the file.
        content: all of it.
        sync: whether it is on the disk when this returns, rather than soon after.
        put: brings the written file, its first argument, to its place, its second.

    Raises:
        OSError: it cannot be written; then what was there still is.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        put(temporary, path)
        if sync:
            sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(path: Path) -> None:
    """Deletes what processes left beside a file that were killed while they wrote it."""
    with suppress(OSError):
        for left in path.parent.glob(f".{path.name}.{'[0-9a-f]' * 16}"):
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, where the system knows that (POSIX)."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
