"""`lynkr usage check`: whether the records hold every request that the metrics counted since the start."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lynkr_desktop.cli.ending import FAILED, NOT_RUNNING, OK, STOPPED, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.protocol.usage import CheckedSum, UsageCheck

_TIMEOUT = 60.0
"""Seconds; all records since the start are added up."""


def run(args: argparse.Namespace) -> int:
    """Prints the comparison; the exit code is 0 where they agree, 1 where not, 3 where no engine runs."""
    from lynkr_desktop.cli.client import ControlFailure, connect
    from lynkr_desktop.protocol.usage import UsageCheck
    from lynkr_desktop.running import find_engine

    paths = resolve_paths(args.home, args.config)
    runtime = find_engine(paths)
    if runtime is None:
        print(f"{STOPPED} Its metrics began and ended with it.")
        return NOT_RUNNING
    try:
        check = connect(paths, runtime, timeout=_TIMEOUT).get("/v1/admin/usage/check", UsageCheck)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        print_json(check)
    else:
        print(describe(check))
    return OK if check.agree else FAILED


def describe(check: UsageCheck) -> str:
    """The comparison as a table, and what the reason is where they do not agree."""
    import time

    from lynkr_desktop.cli.text import plural, table

    begin = time.strftime("%Y-%m-%d %H:%M", time.localtime(check.since))
    verdict = "agree" if check.agree else "do not agree"
    rows = [("FIGURE", "RECORDS", "METRICS"), *map(_row, check.sums)]
    parts = [f"Records and metrics {verdict} (since the start, {begin})", table(rows, right=(1, 2))]
    if check.differences:
        rows = [("SERIES", "RECORDS", "METRICS"), *map(_row, check.differences)]
        parts.append(table(rows, right=(1, 2)))
    if check.waiting:
        parts.append(f"{plural(check.waiting, 'record')} cannot be written now; the log says why.")
    if check.lost:
        parts.append(f"{plural(check.lost, 'record')} could not be kept; the log says why.")
    if check.replaced:
        parts.append(
            "The file of the records was replaced since the start; what the old one held is missing."
        )
    elif not (check.agree or check.waiting or check.lost):
        parts.append(
            "Nothing explains this. Another program may write to the same file; else it is an error."
        )
    return "\n\n".join(parts)


def _row(one: CheckedSum) -> tuple[str, str, str]:
    labels = ", ".join(f"{name}={value}" for name, value in one.labels.items())
    return f"{one.name} {labels}".strip(), _figure(one.records), _figure(one.metrics)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6f}"
