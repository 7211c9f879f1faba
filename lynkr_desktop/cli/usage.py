"""`lynkr usage`: requests, tokens and cost, from the running engine or straight from its records."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lynkr_desktop.cli.ending import OK, fail, print_json
from lynkr_desktop.paths import Paths, resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.protocol.control import UsageReport, UsageTotals

RANGES = ("today", "24h", "7d", "30d", "all")
GROUPS = ("tier", "provider", "model", "client", "session", "day")
_RANGE_WORDS = {
    "today": "today",
    "24h": "in the last 24 hours",
    "7d": "in the last 7 days",
    "30d": "in the last 30 days",
    "all": "since the first record",
}


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "usage",
        parents=[common],
        help="show requests, tokens and cost",
        description="Sums up the recorded requests. Works with and without a running proxy. "
        "Costs are US dollars; local models cost nothing, and a price that is not known is shown as unknown.",
    )
    parser.add_argument("--range", choices=RANGES, default="7d", help="how far back (default: 7d)")
    parser.add_argument("--by", choices=GROUPS, default="tier", help="what to group by (default: tier)")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="as JSON, for scripts")
    output.add_argument("--csv", action="store_true", help="as CSV, for spreadsheets")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the report and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        report = _report(resolve_paths(args.home, args.config), args.range, args.by)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(report)
    if args.csv:
        _print_csv(report)
    else:
        print(describe(report))
    return OK


def _report(paths: Paths, range_: str, by: str) -> UsageReport:
    from lynkr_desktop.cli.client import connect
    from lynkr_desktop.protocol.control import UsageReport
    from lynkr_desktop.running import find_engine

    runtime = find_engine(paths)
    if runtime is not None:
        return connect(paths, runtime).get("/v1/admin/usage", UsageReport, range=range_, by=by)
    return _offline(paths, range_, by)


def _offline(paths: Paths, range_: str, by: str) -> UsageReport:
    """Reads the records directly, which changes nothing in them."""
    import sqlite3
    from contextlib import closing
    from typing import cast

    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.engine.config.loader import ConfigError, load_config
    from lynkr_desktop.engine.telemetry.database import RecordsError, database_path, open_for_reading
    from lynkr_desktop.engine.telemetry.queries import UsageGroup, UsageRange, usage

    try:
        storage = load_config(paths.config).config.telemetry.storage
        with closing(open_for_reading(database_path(storage, paths.home))) as connection:
            return usage(connection, cast(UsageRange, range_), cast(UsageGroup, by))
    except (ConfigError, RecordsError) as error:
        raise ControlFailure(str(error)) from error
    except sqlite3.Error as error:
        raise ControlFailure(f"The records cannot be read: {error}.") from error


def describe(report: UsageReport) -> str:
    """The report as a table with a line of sums."""
    from lynkr_desktop.cli.text import cost, count, table

    when = _RANGE_WORDS.get(report.range, report.range)
    if not report.totals.requests:
        return f"No requests {when}."

    def cells(name: str, totals: UsageTotals) -> tuple[str, ...]:
        return (
            name,
            f"{totals.requests:,}",
            f"{totals.errors:,}",
            count(totals.input_tokens),
            count(totals.cached_tokens),
            count(totals.output_tokens),
            cost(totals),
        )

    rows: list[tuple[str, ...]] = [
        (report.by.upper(), "REQUESTS", "FAILED", "TOKENS IN", "CACHED", "TOKENS OUT", "COST")
    ]
    rows += [cells(row.key or "(none)", row.totals) for row in report.rows]
    rows.append(cells("total", report.totals))
    shown = f"Usage {when}\n\n{table(rows, right=range(1, 7))}"
    if warned := report.totals.warnings:
        what = "1 answer came" if warned == 1 else f"{warned:,} answers came"
        shown += f"\n\n{what} with a warning, such as a prompt that Ollama cut. The log tells which."
    return shown


def _print_csv(report: UsageReport) -> None:
    """Plain figures; the cost is empty where no request of a group has a known price."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        [
            report.by,
            "requests",
            "failed",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "cost_usd",
            "unpriced_requests",
            "warnings",
        ]
    )
    for row in report.rows:
        totals = row.totals
        known = totals.unpriced < totals.requests
        writer.writerow(
            [
                # A leading = + - @ would make a formula of a name that a client chose.
                f"'{row.key}" if row.key[:1] in ("=", "+", "-", "@") else row.key,
                totals.requests,
                totals.errors,
                totals.input_tokens,
                totals.cached_tokens,
                totals.output_tokens,
                f"{totals.cost:.6f}" if known else "",
                totals.unpriced,
                totals.warnings,
            ]
        )
