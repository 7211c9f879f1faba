"""`lynkr route`: what was decided and why, what became of it, and thresholds that would serve better."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from lynkr_desktop.cli.asking import confirmed, limit, valid_text
from lynkr_desktop.cli.ending import FAILED, OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.route_access import Preview, Routes
    from lynkr_desktop.protocol.routing import CalibrationReport, DecisionRow, Estimate

MARKS = ("good", "under", "over", "none")
_WORDS = {"good": "right", "under": "too weak", "over": "too strong", "": ""}


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "route",
        help="list, explain, mark and calibrate routing decisions",
        description="The log of routing decisions. Works with and without a running proxy.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    listing = actions.add_parser("list", parents=[common], help="the latest decisions")
    listing.add_argument(
        "--misrouted", action="store_true", help="only those that took too weak or too strong a tier"
    )
    listing.add_argument("--limit", type=limit, default=20, metavar="N", help="how many (default: 20)")
    listing.add_argument("--json", action="store_true", help="as JSON, for scripts")
    listing.set_defaults(run=run_list)

    show = actions.add_parser("show", parents=[common], help="one decision with all its reasons")
    show.add_argument("id", type=valid_text, help="from `lynkr route list`, or the x-request-id of an answer")
    show.add_argument("--json", action="store_true", help="as JSON, for scripts")
    show.set_defaults(run=run_show)

    mark = actions.add_parser(
        "mark",
        parents=[common],
        help="say how a decision was",
        description="Says of a decision that its tier was right (good), too weak (under) or too strong "
        "(over); none takes that back. Marks count before what the log concludes by itself.",
    )
    mark.add_argument("id", type=valid_text, help="from `lynkr route list`, or the x-request-id of an answer")
    mark.add_argument("mark", choices=MARKS, help="how its tier was")
    mark.set_defaults(run=run_mark)

    calibrate = actions.add_parser(
        "calibrate",
        parents=[common],
        help="propose thresholds by what became of past requests",
        description="Replays the log under other thresholds and proposes better ones where they are better "
        "beyond doubt. Nothing is changed without --apply.",
    )
    calibrate.add_argument(
        "--since", type=_since, default="30d", metavar="TIME", help="how far back (default: 30d)"
    )
    calibrate.add_argument(
        "--weight",
        type=_weight,
        default=3.0,
        metavar="W",
        help="how many times worse too weak a tier is than too strong a one (default: 3)",
    )
    calibrate.add_argument("--json", action="store_true", help="as JSON, for scripts")
    calibrate.add_argument(
        "--apply", action="store_true", help="show the change of the configuration file, ask, and write it"
    )
    calibrate.add_argument("--yes", action="store_true", help="with --apply: do not ask")
    calibrate.set_defaults(run=run_calibrate)


def run_list(args: argparse.Namespace) -> int:
    """Prints the latest decisions."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        rows = _routes(args).list(args.limit, misrouted=args.misrouted)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(rows)
    print(describe_list(rows, misrouted=args.misrouted))
    return OK


def run_show(args: argparse.Namespace) -> int:
    """Prints one decision."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        row = _routes(args).show(args.id)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(row)
    print(describe(row))
    return OK


def run_mark(args: argparse.Namespace) -> int:
    """Marks one decision."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        row = _routes(args).mark(args.id, args.mark)
    except ControlFailure as error:
        return fail(error)
    tier = row.tier.value if row.tier is not None else "its model"
    print(f"{row.id}: {tier} was {_WORDS[row.mark]}." if row.mark else f"The mark of {row.id} is taken back.")
    return OK


def run_calibrate(args: argparse.Namespace) -> int:
    """Prints a proposal, and writes it into the file when told to."""
    from lynkr_desktop.cli.client import ControlFailure

    if args.apply and args.json and not args.yes:
        print("lynkr: --json asks nothing, so --apply needs --yes beside it.", file=sys.stderr)
        return FAILED
    try:
        routes = _routes(args)
        report = routes.calibrate(args.since, args.weight)
        if args.json:
            print_json(report)
        else:
            print(describe_calibration(report))
        if not report.patch:
            return OK
        if not args.apply:
            if not args.json:
                print("\nNothing was changed. To take this over: lynkr route calibrate --apply")
            return OK
        preview = routes.preview(report.patch)
        if not args.json:
            print(f"\n{describe_change(preview)}")
        question = f"Write this into {preview.path}?"
        unasked = "Nothing was changed. Add --yes to write it without being asked."
        if not args.yes and not confirmed(question, unasked, declined="Nothing was changed."):
            return FAILED
        routes.apply(preview)
    except ControlFailure as error:
        return fail(error)
    if not args.json:
        print(f"Written into {preview.path}.")
    return OK


# ---------------------------------------------------------------- what people read


def describe_list(rows: tuple[DecisionRow, ...], *, misrouted: bool) -> str:
    """The decisions as a table."""
    from lynkr_desktop.cli.text import table

    if not rows:
        return "No misrouted requests are known." if misrouted else "There are no decisions yet."
    cells: list[tuple[str, ...]] = [("ID", "TIME", "SCORE", "TIER", "WAS", "MODEL", "ASK")]
    cells += [
        (
            row.id,
            time.strftime("%m-%d %H:%M", time.localtime(row.at)),
            "" if row.score is None else f"{row.score:.2f}",
            row.tier.value if row.tier is not None else "(named)",
            _judged(row),
            f"{row.provider}/{row.model}" if row.provider else "",
            row.title[:60],
        )
        for row in rows
    ]
    return table(cells, right=(2,))


def describe(row: DecisionRow) -> str:
    """A decision with all its reasons, and what became of it."""
    from lynkr_desktop.cli.text import dollars, table

    facts = [
        ("Ask", row.title),
        ("From", " · ".join(filter(None, (row.client, row.session)))),
        ("Time", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.at))),
        ("Workspace", row.workspace),
        ("Files", ", ".join(row.files)),
        ("Tier", row.tier.value if row.tier is not None else "none: the client named a model"),
        ("Why", row.reason),
        ("By the score", row.scored_tier.value if row.scored_tier and row.scored_tier != row.tier else ""),
        ("Experiment", f"{row.arm}, taken with probability {row.propensity:.0%}" if row.arm else ""),
        ("Profile", row.profile),
        ("Answered by", f"{row.provider}/{row.model}" if row.provider else ""),
        ("Cost", dollars(row.cost) if row.cost is not None else ""),
        ("Was", _judged(row)),
        ("Then", _happened(row)),
    ]
    parts = [row.id, table([fact for fact in facts if fact[1]], indent="  ")]
    if row.contributions and row.score is not None:
        rows = [
            (f"{item.points:+.2f}", item.group, item.reason)
            for item in sorted(row.contributions, key=lambda item: -abs(item.points))
        ]
        parts.append(f"Score {row.score:.2f}\n" + table(rows, right=(0,), indent="  "))
    if row.candidates:
        candidates = [
            (item.name, item.tier.value if item.tier else "", item.skipped or "taken")
            for item in row.candidates
        ]
        parts.append("Models\n" + table(candidates, indent="  "))
    return "\n\n".join(parts)


def describe_calibration(report: CalibrationReport) -> str:
    """The proposal with what it rests on."""
    from lynkr_desktop.cli.text import dollars, plural, table

    begin = time.strftime("%Y-%m-%d", time.localtime(max(0.0, report.since)))
    head = f"{plural(report.tasks, 'task')} since {begin}; the outcome of {report.known:,} is known."
    if report.skipped:
        head += f" {plural(report.skipped, 'row')} of the log could not be read."
    cells: list[tuple[str, ...]] = [("BETWEEN", "NOW", "BETTER", "AS GOOD", "KNOWN", "FINDING")]
    cells += [
        (
            f"{cut.tier} and {cut.above}",
            f"{cut.current:g}",
            "" if cut.proposed == cut.current else f"{cut.proposed:g}",
            _range(cut.low, cut.high),
            f"{cut.outcomes:,}",
            cut.why,
        )
        for cut in report.cuts
    ]
    parts = [head, table(cells, right=(1, 2, 4))]
    if report.moves:
        changes = [(plural(move.tasks, "task"), f"{move.source} → {move.target}") for move in report.moves]
        if report.under is not None:
            changes.append(("Too weak", _shift(report.under)))
        if report.over is not None:
            changes.append(("Too strong", _shift(report.over)))
        if report.cost is not None:
            sign = "-" if report.cost < 0 else "+"
            changes.append(("Cost", f"{sign}{dollars(abs(report.cost))} of {dollars(report.spent)}"))
        parts.append("With the better ones these tasks would have gone\n" + table(changes, indent="  "))
    return "\n\n".join(parts)


def describe_change(preview: Preview) -> str:
    """The lines of the configuration file that change."""
    from difflib import unified_diff

    from lynkr_desktop.cli.text import printable
    from lynkr_desktop.engine.security.redaction import redact

    # Without context, since the lines around may hold what nobody should read over a shoulder.
    lines = list(unified_diff(preview.before.splitlines(), preview.after.splitlines(), lineterm="", n=0))
    changed = [line for line in lines[2:] if not line.startswith("@@")]
    return f"{preview.path}\n" + "\n".join(f"  {printable(redact(line))}" for line in changed)


def _judged(row: DecisionRow) -> str:
    return f"{_WORDS[row.mark]} (marked)" if row.mark else _WORDS[row.verdict]


def _happened(row: DecisionRow) -> str:
    """What later requests told."""
    from lynkr_desktop.cli.text import plural

    outcome = row.outcome
    tests = f"{outcome.tests_passed:,} tests passed, {outcome.tests_failed:,} failed"
    told = [
        f"{plural(outcome.results, 'tool result')}, {outcome.errors:,} failed" if outcome.results else "",
        tests if outcome.tests else "",
        f"{plural(outcome.denied, 'call')} refused" if outcome.denied else "",
        "asked again" if outcome.retried else "",
        "a stronger model was asked for" if outcome.escalated else "",
        "another ask followed" if outcome.followed else "",
    ]
    return "; ".join(filter(None, told))


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    if low is None:
        return f"up to {high:g}"
    if high is None:
        return f"from {low:g}"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _shift(estimate: Estimate) -> str:
    """A change of a share of all tasks, with its interval."""
    return (
        f"{100 * estimate.value:+.1f} of 100 tasks "
        f"(95 %: {100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"
    )


# ---------------------------------------------------------------- terminal


def _routes(args: argparse.Namespace) -> Routes:
    from lynkr_desktop.cli.route_access import open_routes

    return open_routes(resolve_paths(args.home, args.config))


def _since(text: str) -> str:
    from lynkr_desktop.engine.config.units import parse_duration

    try:
        parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _weight(text: str) -> float:
    from lynkr_desktop.engine.routing.calibration import parse_weight

    try:
        return parse_weight(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
