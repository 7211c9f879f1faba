"""`lynkr explain`: which tier and model a prompt would get, and everything that it follows from."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lynkr_desktop.cli.ending import OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lynkr_desktop.cli.code_access import CodeAccess
    from lynkr_desktop.cli.progress import IndexProgress
    from lynkr_desktop.protocol.routing import CandidateRow, ExplainRequest, RouteExplanation, Threshold

_BAR = 50
_MOST = 20
"""Files and symbols that are listed."""

_MOST_READ = 4_000_004
"""Bytes of standard input; the engine takes less."""

_GROUPS = {"ask": "asked", "code": "code", "work": "work", "risk": "risk"}


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "explain",
        parents=[common],
        help="show which tier and model a prompt would get, and why",
        description="Scores a prompt as the proxy would, with the code that it names, and shows all reasons. "
        "Nothing is sent to a model and nothing recorded. Works with and without a running proxy.",
    )
    parser.add_argument("prompt", help="what you would ask an agent; - reads it from standard input")
    parser.add_argument(
        "--workspace", metavar="DIR", help="the folder of code that it is about (default: the current one)"
    )
    parser.add_argument(
        "--model", default="auto-route", metavar="M", help="what a client would name, such as tier:complex"
    )
    parser.add_argument("--tools", action="store_true", help="as an agent asks, which offers tools")
    parser.add_argument(
        "--wait", action="store_true", help="wait until the workspace is indexed, however long it takes"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the explanation and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.code_access import code_access
    from lynkr_desktop.cli.progress import IndexProgress
    from lynkr_desktop.protocol.routing import ExplainRequest

    # What is no text, in a pipe or an argument, must not end the command.
    given = sys.stdin.buffer.read(_MOST_READ) if args.prompt == "-" else os.fsencode(args.prompt)
    prompt = given.decode("utf-8", "replace")
    asked = ExplainRequest(
        prompt=prompt,
        workspace=str(Path(args.workspace or ".").expanduser().absolute()),
        model=args.model,
        tools=args.tools,
    )
    progress = IndexProgress(sys.stderr)
    try:
        access = code_access(resolve_paths(args.home, args.config))
        try:
            found = access.explain(asked, wait=args.wait, show=progress.show)
        except ControlFailure as error:
            if args.workspace:
                raise
            found = _without_folder(access, asked, args.wait, progress, error)
    except ControlFailure as error:
        return fail(error)
    finally:
        progress.end()
    if args.json:
        return print_json(found)
    print(describe(found))
    return OK


def _without_folder(
    access: CodeAccess, asked: ExplainRequest, wait: bool, progress: IndexProgress, error: Exception
) -> RouteExplanation:
    """The same without the current folder, which nobody named and which may not be one of code."""
    from msgspec.structs import replace

    found = access.explain(replace(asked, workspace=""), wait=wait, show=progress.show)
    progress.end()
    print(f"The current folder does not count: {error}", file=sys.stderr)
    return found


def describe(found: RouteExplanation) -> str:
    """The explanation as text."""
    from lynkr_desktop.cli.code_text import files_table
    from lynkr_desktop.cli.text import plural, printable, table

    row = found.decision
    parts = [printable(_head(found))]
    if row.score is not None:
        parts.append(bar(row.score, found.thresholds))
    facts = [
        ("Why", row.reason),
        ("Side request", found.side),
        ("Conversation", found.sticky),
        ("Experiment", f"{row.arm}, taken with probability {row.propensity:.0%}" if row.arm else ""),
        ("Profile", row.profile if row.profile != "default" else ""),
        ("Workspace", _workspace(found)),
    ]
    parts.append(table([fact for fact in facts if fact[1]], indent="  "))
    if row.contributions:
        cells: list[tuple[str, ...]] = [("POINTS", "GROUP", "WHAT", "VALUE", "REASON")]
        cells += [
            (
                f"{round(item.points, 3) + 0.0:+.3f}",
                _GROUPS[item.group],
                item.name,
                f"{item.value:g}",
                item.reason,
            )
            for item in sorted(row.contributions, key=lambda item: -abs(item.points))
        ]
        parts.append("What makes the score\n" + table(cells, right=(0, 3), indent="  "))
    if found.files:
        title = f"Code that it names: {plural(len(found.files), 'file')}"
        parts.append(f"{title}\n{files_table(found.files[:_MOST])}{_more(len(found.files))}")
    elif row.score is not None and found.index is not None and found.complete:
        parts.append("Code that it names: none that the workspace has")
    if found.symbols:
        cells = [("NAME", "COMPLEXITY", "WHERE")]
        cells += [(one.name, str(one.complexity), f"{one.path}:{one.line}") for one in found.symbols[:_MOST]]
        parts.append(
            "Symbols that it names\n" + table(cells, right=(1,), indent="  ") + _more(len(found.symbols))
        )
    parts.append("Models, in their order\n" + _models(row.candidates))
    if not found.complete:
        parts.append(
            "The workspace is not indexed to the end yet, so only a part of its code counted. --wait waits."
        )
    return "\n\n".join(parts)


def bar(score: float, thresholds: Sequence[Threshold]) -> str:
    """The score among the tiers: one cell of the bar is a fiftieth, `|` the end of a tier."""
    from lynkr_desktop.cli.text import table

    ends = {min(_BAR, round(one.max_complexity * _BAR)) for one in thresholds}
    filled = round(score * _BAR)
    cells = []
    for cell in range(_BAR):
        cells.append("#" if cell < filled else ".")
        if cell + 1 in ends and cell + 1 < _BAR:
            cells.append("|")
    lower, ranges = 0.0, []
    for one in thresholds:
        off = "" if one.enabled else " (switched off)"
        ranges.append(f"{one.tier.value} {lower:g} to {one.max_complexity:g}{off}")
        lower = one.max_complexity
    return table([(f"[{''.join(cells)}]",), (", ".join(ranges),)], indent="  ")


def _head(found: RouteExplanation) -> str:
    row = found.decision
    asked = next((one for one in row.candidates if not one.skipped), None)
    model = asked.name if asked is not None else "no model of any tier can be used now"
    if row.tier is None:
        return model
    score = "" if row.score is None else f", score {row.score:.2f}"
    lower = asked is not None and asked.tier is not None and asked.tier is not row.tier
    taken = f"{model} of tier {asked.tier}" if lower and asked is not None else model
    return f"Tier {row.tier.value}{score}: {taken}"


def _workspace(found: RouteExplanation) -> str:
    from lynkr_desktop.cli.code_text import index_line

    folder = found.decision.workspace
    if found.index is None:
        return f"{folder}: not indexed, so the words alone count" if folder else ""
    inside = "" if folder in ("", found.index.root) else f" (asked from {folder})"
    return f"{found.index.root}{inside}: {index_line(found.index)}"


def _models(candidates: Sequence[CandidateRow]) -> str:
    from lynkr_desktop.cli.text import table

    if not candidates:
        return "  none is configured"
    rows, place = [], 0
    for one in candidates:
        place += not one.skipped
        rows.append(
            (
                "-" if one.skipped else f"{place}.",
                one.name,
                one.tier.value if one.tier is not None else "",
                f"skipped: {one.skipped}" if one.skipped else "",
            )
        )
    return table(rows, indent="  ")


def _more(count: int) -> str:
    return f"\n  and {count - _MOST:,} more" if count > _MOST else ""
