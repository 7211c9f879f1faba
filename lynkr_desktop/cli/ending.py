"""How commands end: their exit codes, JSON for scripts, and what went wrong."""

from __future__ import annotations

import sys

OK, FAILED, NOT_RUNNING = 0, 1, 3
STOPPED = "Lynkr is not running. Start it with `lynkr serve`, or from the tray."


def print_json(value: object) -> int:
    """Prints a value for scripts, and returns the exit code of success."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    return OK


def fail(error: object) -> int:
    """Says what went wrong, line by line, and returns the exit code of failure."""
    from lynkr_desktop.cli.text import printable

    text = "\n".join(map(printable, str(error).splitlines()))
    print(f"lynkr: {text}", file=sys.stderr)
    return FAILED
