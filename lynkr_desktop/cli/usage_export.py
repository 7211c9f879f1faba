"""`lynkr usage export`: the records as a file, whole or not at all, or to the terminal's output."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Iterable
from pathlib import Path

from lynkr_desktop.cli.ending import OK, fail
from lynkr_desktop.paths import resolve_paths

FORMATS = ("csv", "json", "jsonl")


def run(args: argparse.Namespace) -> int:
    """Writes the file and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.usage_access import open_usage
    from lynkr_desktop.cli.usage_span import span_of

    output = None if args.output in (None, "-") else Path(args.output).expanduser()
    try:
        span = span_of(args, "all")
        if output is not None and not args.force and os.path.lexists(output):
            return fail(_there(output))
        pieces = open_usage(resolve_paths(args.home, args.config)).export(
            span, args.format, titles=not args.no_titles, prompts=args.prompts
        )
        if output is None:
            _print(pieces)
        else:
            _write(output, pieces, force=args.force)
            print(f"Written to {output}.", file=sys.stderr)
    except (ControlFailure, ValueError) as error:
        return fail(error)
    except FileExistsError:
        return fail(_there(args.output))
    except BrokenPipeError:
        raise
    except OSError as error:
        where = "The output" if output is None else f"{output}"
        return fail(f"{where} cannot be written: {error.strerror}.")
    return OK


def _there(output: Path | str) -> str:
    return f"{output} is there already, and was left as it is. Name another file, or add --force."


def _print(pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


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
