"""The file of a database, made so that nobody else can read it at any time."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def make_private_file(path: Path) -> None:
    """Makes an empty file of mode 0600 unless there is one; SQLite gives its journals the same mode.

    A file that is there is not even opened. POSIX gives locks to processes: closing any descriptor of the
    file drops those of every SQLite connection to it in this process, and another process then takes itself
    for the last one and deletes the journal under them (sqlite.org/howtocorrupt.html, 2.2). For the same
    reason the new file gets its name only once it is closed.

    Raises:
        OSError: it cannot be made.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    os.close(os.open(temporary, flags, 0o600))
    try:
        with contextlib.suppress(FileExistsError):
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise
            except OSError:
                # Some file systems know no links.
                os.close(os.open(path, flags, 0o600))
    finally:
        temporary.unlink(missing_ok=True)


def identity(path: Path) -> tuple[int, int] | None:
    """Which file has that name; None where there is none. A file that is open may have lost its name."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
