"""Where commands write what they export: a file, whole or not at all, or the terminal's output."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

from lynkr_desktop.cli.ending import OK, fail


def write_out(pieces: Iterable[bytes], output: str | None, *, force: bool) -> int:
    """Writes the pieces and returns the exit code.

    Args:
        pieces: of the file; nothing is asked of it where the file may not be written.
        output: its name; None or `-` for standard output.
        force: whether a file that is there is written over.
    """
    if output in (None, "-"):
        return _to_output(pieces)
    file = Path(str(output)).expanduser()
    if not force and os.path.lexists(file):
        return fail(_there(file))
    try:
        _write(file, pieces, force=force)
    except FileExistsError:
        return fail(_there(file))
    except OSError as error:
        return fail(f"{file} cannot be written: {error.strerror}.")
    print(f"Written to {file}.", file=sys.stderr)
    return OK


def _to_output(pieces: Iterable[bytes]) -> int:
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(f"The output cannot be written: {error.strerror}.")
    return OK


def _there(output: Path) -> str:
    return f"{output} is there already, and was left as it is. Name another file, or add --force."


def _write(output: Path, pieces: Iterable[bytes], *, force: bool) -> None:
    """Writes a file that only its owner may read: whole, and over no other one unless `force`.

    Raises:
        FileExistsError: it is there by now.
        OSError: it cannot be written.
    """
    if output.is_dir():
        raise IsADirectoryError(0, "it is a folder")
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if not force:
            # Whoever makes the name keeps it: a link would do the same, but not on every file system.
            os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
