"""What can go wrong with local models, in words for people."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from lynkr_desktop.engine.wire.errors import WireError, kind_of


class ModelError(WireError):
    """A local model cannot be fetched, removed or run.

    `status` is what the control API and a waiting request answer with: 404 unknown, 409 in use or cancelled,
    502 the index sent something else than was pinned, 503 no network, 507 no space.
    """

    def __init__(self, message: str, *, status: int = 503, retry_after: float | None = None) -> None:
        super().__init__(message, status=status, kind=kind_of(status), retry_after=retry_after)


class FetchBroken(ModelError):
    """A transfer broke off in the middle: worth another try."""


def disk_error(error: OSError, folder: Path) -> ModelError:
    """The error for a file operation below `folder` that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(folder).free
        return ModelError(
            f"The disk is full: {size_text(free)} are free in {folder}. Free some space and pull again; "
            "finished parts are kept.",
            status=507,
        )
    why = os.strerror(error.errno) if error.errno else type(error).__name__
    return ModelError(f"Cannot write to {folder}: {why}. Check the folder's permissions.", status=503)


def size_text(size: float) -> str:
    """Bytes for people, in powers of 1000 as download sizes are: `1.1 GB`."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            return f"{size / limit:.1f} {unit}"
    return f"{size:.0f} bytes"
