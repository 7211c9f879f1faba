"""`lynkr usage`: requests, tokens, cost and times, from the running engine or straight from its records."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from lynkr_desktop.cli import usage_check, usage_export
from lynkr_desktop.cli.ending import OK, fail, print_json
from lynkr_desktop.cli.usage_span import add_range, span_of
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.protocol.control import UsageTotals
    from lynkr_desktop.protocol.usage import Percentiles, UsageReport

GROUPS = ("tier", "provider", "model", "client", "session", "key", "day", "hour")
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
        help="show requests, tokens, cost and times; export the records",
        description="Sums up the recorded requests. Works with and without a running proxy. "
        "Costs are US dollars; local models cost nothing, and a price that is not known is shown as unknown.",
    )
    add_range(parser, "7d")
    parser.add_argument("--by", choices=GROUPS, default="tier", help="what to group by (default: tier)")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="as JSON, for scripts")
    output.add_argument("--csv", action="store_true", help="as CSV, for spreadsheets")
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(metavar="[ACTION]")
    inherited = [_inherited()]

    export = actions.add_parser(
        "export",
        parents=inherited,
        help="the records themselves as a file",
        description="Writes a line for each request, with what was decided for it and what became of that, "
        "the oldest first. Of prompts it holds the beginning of what a person asked, as the log shows it.",
    )
    export.add_argument(
        "--format", choices=usage_export.FORMATS, default="csv", help="of the file (default: csv)"
    )
    add_range(export, "all", unset=argparse.SUPPRESS)
    export.add_argument("--output", metavar="FILE", help="the file; standard output if left out")
    export.add_argument("--force", action="store_true", help="write over a file that is there")
    export.add_argument(
        "--no-titles", action="store_true", help="without the beginnings of what people asked"
    )
    export.add_argument(
        "--prompts", action="store_true", help="with the prompts, as far as telemetry.prompts stores them"
    )
    export.set_defaults(run=usage_export.run)

    check = actions.add_parser(
        "check",
        parents=inherited,
        help="compare the records with the metrics",
        description="Compares the records since the start of the proxy with its metrics. The exit code is 0 "
        "where they agree to the last request, 1 where not, 3 where no proxy runs.",
    )
    check.add_argument("--json", action="store_true", help="as JSON, for scripts")
    check.set_defaults(run=usage_check.run)


def _inherited() -> argparse.ArgumentParser:
    """The options of all commands for an action: not given there, they stay as they were given before it."""
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("--home", metavar="DIR", help="keep everything below this folder (or set LYNKR_HOME)")
    parser.add_argument("--config", metavar="FILE", help="configuration file (or set LYNKR_CONFIG)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Prints the report and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.usage_access import open_usage

    try:
        span = span_of(args, "7d")
        report = open_usage(resolve_paths(args.home, args.config)).report(span, args.by)
    except (ControlFailure, ValueError) as error:
        return fail(error)
    if args.json:
        return print_json(report)
    if args.csv:
        _print_csv(report)
    else:
        print(describe(report))
    return OK


def describe(report: UsageReport) -> str:
    """The report as tables: what was used, and how long it took."""
    from lynkr_desktop.cli.text import plural, table

    when = _RANGE_WORDS.get(report.range) or _ends(report)
    if not report.totals.requests:
        return f"No requests {when}. `lynkr usage --range all` shows all that are recorded."

    head = ("REQUESTS", "FAILED", "TOKENS IN", "CACHED", "TOKENS OUT", "SAVED", "COST")
    used: list[tuple[str, ...]] = [(report.by.upper(), *head)]
    nameless = "(machine)" if report.by == "key" else "(none)"
    used += [(row.key or nameless, *_figures(row.totals)) for row in report.rows]
    used.append(("total", *_figures(report.totals)))
    parts = [f"Usage {when}", table(used, right=range(1, len(used[0])))]
    if report.left_out:
        what = "earlier" if report.by in ("day", "hour") else "cheaper"
        parts.append(f"{plural(report.left_out, f'{what} {report.by}')} left out; the total counts them.")
    if report.tiers:
        answered = sum(report.tiers.values())
        shares = (f"{tier} {count / answered:.1%}" for tier, count in report.tiers.items())
        parts.append(f"Tiers: {', '.join(shares)}")

    taken: list[tuple[str, ...]] = [
        (report.by.upper(), "P50", "P95", "P99", "FIRST TOKEN P50", "P95", "P99"),
        *((row.key or nameless, *_times(row.latency), *_times(row.first_token)) for row in report.rows),
        ("total", *_times(report.latency), *_times(report.first_token)),
    ]
    exact = "" if report.exact else " (within 3 %)"
    parts.append(f"Time to the end of the reply, and to its first token{exact}")
    parts.append(table(taken, right=range(1, len(taken[0]))))
    if warned := report.totals.warnings:
        what = "1 answer came" if warned == 1 else f"{warned:,} answers came"
        parts.append(f"{what} with a warning, such as a prompt that Ollama cut. The log tells which.")
    return "\n\n".join(parts)


def _ends(report: UsageReport) -> str:
    """A range in words that was given by its ends."""
    since, until = (
        time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) for at in (report.since, report.until)
    )
    return f"until {until}" if not report.since else f"from {since} to {until}"


def _figures(totals: UsageTotals) -> tuple[str, ...]:
    from lynkr_desktop.cli.text import cost, count

    return (
        f"{totals.requests:,}",
        f"{totals.errors:,}",
        count(totals.input_tokens),
        count(totals.cached_tokens),
        count(totals.output_tokens),
        count(totals.saved_tokens),
        cost(totals),
    )


def _times(found: Percentiles | None) -> tuple[str, str, str]:
    if found is None:
        return "-", "-", "-"
    return _time(found.p50), _time(found.p95), _time(found.p99)


def _time(ms: float) -> str:
    """`12 ms`, `3.4 s`, `2m 5s`."""
    from lynkr_desktop.cli.text import span

    if ms < 999.5:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 99_950 else span(ms / 1000)


def _print_csv(report: UsageReport) -> None:
    """Plain figures; a cost is empty where no request has a known price, a time where none came."""
    import csv

    from lynkr_desktop.engine.telemetry.export import safe_cell

    writer = csv.writer(sys.stdout, lineterminator="\n")
    percentiles = ("p50", "p95", "p99")
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
            "saved_tokens",
            *(f"latency_{name}_ms" for name in percentiles),
            *(f"first_token_{name}_ms" for name in percentiles),
        ]
    )
    for row in report.rows:
        totals = row.totals
        known = totals.unpriced < totals.requests
        times = [
            "" if found is None else f"{getattr(found, name):.1f}"
            for found in (row.latency, row.first_token)
            for name in percentiles
        ]
        writer.writerow(
            [
                safe_cell(row.key),
                totals.requests,
                totals.errors,
                totals.input_tokens,
                totals.cached_tokens,
                totals.output_tokens,
                f"{totals.cost:.6f}" if known else "",
                totals.unpriced,
                totals.warnings,
                totals.saved_tokens,
                *times,
            ]
        )
