"""`lynkr audit`: who did what to this Lynkr, and whether the log of it is as it was written.

It reads the files itself, whether an engine runs or not.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lynkr_desktop.cli.asking import limit
from lynkr_desktop.cli.ending import FAILED, OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.engine.security.audit import AuditLog
    from lynkr_desktop.protocol.audit import AuditCheck, AuditEntry

_LISTED = 50


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "audit",
        help="who changed what, and whether that log was tampered with",
        description="The log of all that was changed: keys, tiers, options, what was cleared, paused or "
        "stopped, and by whom. Each entry holds the hash of the one before it.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("list", parents=[common], help="the entries, the newest first")
    _add_since(show)
    show.add_argument(
        "--limit", type=limit, default=_LISTED, metavar="N", help=f"how many (default: {_LISTED})"
    )
    show.add_argument("--json", action="store_true", help="as JSON, for scripts")
    show.set_defaults(run=run_list)

    verify = actions.add_parser(
        "verify",
        parents=[common],
        help="look for entries that were changed, removed, added or cut",
        description="Reads the whole log and says which entries are not as they were written. The exit code "
        "is 0 where all are, else 1. Keep the hash that it prints in another place: with --head it shows "
        "later that nothing up to there was written anew.",
    )
    verify.add_argument("--head", type=_hash, metavar="HASH", help="a hash that was printed before")
    verify.add_argument("--json", action="store_true", help="as JSON, for scripts")
    verify.set_defaults(run=run_verify)

    export = actions.add_parser(
        "export",
        parents=[common],
        help="the entries as lines of JSON, the oldest first",
        description="Writes the entries with their hashes, one to a line, the oldest first.",
    )
    _add_since(export)
    export.add_argument("--output", metavar="FILE", help="the file; standard output if left out")
    export.add_argument("--force", action="store_true", help="write over a file that is there")
    export.set_defaults(run=run_export)


def _add_since(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=_moment,
        metavar="TIME",
        default=0.0,
        help="only from then on: a day or time (2026-11-23, 2026-11-23T14:30), or how long ago (12h, 90d)",
    )


def run_list(args: argparse.Namespace) -> int:
    """Prints entries."""
    from lynkr_desktop.engine.security.audit import AuditFailure

    try:
        entries = _log(args).entries(args.since, args.limit)
    except AuditFailure as error:
        return fail(error)
    if args.json:
        return print_json(entries)
    if not entries:
        print("The audit log has no entries from then on." if args.since else "The audit log is empty.")
        return OK
    from lynkr_desktop.cli.text import table

    print(table([("NUMBER", "TIME", "WHO", "WHAT", "DETAIL"), *map(_row, entries)], right=(0,)))
    return OK


def run_verify(args: argparse.Namespace) -> int:
    """Says whether the log is whole."""
    from lynkr_desktop.engine.security.audit import AuditFailure

    try:
        check = _log(args).check(args.head or "")
    except AuditFailure as error:
        return fail(error)
    if args.json:
        print_json(check)
    else:
        print(describe(check))
    return OK if check.intact else FAILED


def run_export(args: argparse.Namespace) -> int:
    """Writes entries to a file."""
    from lynkr_desktop.cli.output import write_out
    from lynkr_desktop.engine.security.audit import AuditFailure

    try:
        return write_out(_pieces(_log(args), args.since), args.output, force=args.force)
    except AuditFailure as error:
        return fail(error)


def describe(check: AuditCheck) -> str:
    """What was found, for people."""
    from lynkr_desktop.cli.text import printable

    lines = []
    if check.intact:
        held = "it is empty"
        if check.entries:
            held = f"entries {check.first:,} to {check.last:,}"
        lines.append(f"The audit log is as it was written: {held}.")
    else:
        lines.append("The audit log is not as it was written.")
        for fault in check.faults:
            place = f" ({fault.file}, line {fault.line})" if fault.file else ""
            lines.append(f"  {printable(fault.message)}{place}")
        if check.found is False:
            lines.append("  No entry has the hash that was asked for: the log was written anew since.")
    if check.unfinished:
        lines.append(
            "An entry was being written when Lynkr was killed. It had not been acknowledged, and is no fault."
        )
    if check.head:
        lines.append(f"Head: {check.head}")
    return "\n".join(lines)


def _pieces(log: AuditLog, since: float) -> Iterator[bytes]:
    from lynkr_desktop.engine.security.chain import line_of

    yield from map(line_of, reversed(log.entries(since)))


def _row(entry: AuditEntry) -> tuple[str, ...]:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    return str(entry.number), at, entry.who, entry.what, entry.detail


def _log(args: argparse.Namespace) -> AuditLog:
    from lynkr_desktop.engine.security.audit import AuditLog

    return AuditLog(resolve_paths(args.home, args.config).home)


def _moment(text: str) -> float:
    from lynkr_desktop.engine.telemetry.spans import moment

    try:
        return moment(text, time.time())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _hash(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        raise argparse.ArgumentTypeError("64 hexadecimal digits are needed")
    return text.strip().lower()
