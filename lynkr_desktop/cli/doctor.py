"""`lynkr doctor`: looks at everything that Lynkr depends on, and says what to do. Changes nothing."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from lynkr_desktop.cli.ending import FAILED, OK, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lynkr_desktop.protocol.doctor import DoctorReport, Finding

_LONGEST_RESULT = "problem"
_NARROWEST = 40
"""Columns for what was found, however narrow the terminal is."""


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="look for what is wrong, and say what to do",
        description="Looks at the engine, its files, keys, models, and the system around it, and says what "
        "to do. Works with and without a running proxy, and changes nothing. The exit code is 0 where there "
        "is no problem and 1 where there is one; notes do not count.",
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="also ask other machines: whether providers take their keys, and what time it is there",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Looks, prints what was found, and returns the exit code."""
    import lynkr_desktop
    from lynkr_desktop.doctor.check import run_checks
    from lynkr_desktop.doctor.checks import checks_for
    from lynkr_desktop.doctor.look import look_around
    from lynkr_desktop.protocol.doctor import DoctorReport

    look = look_around(resolve_paths(args.home, args.config), os.environ, online=args.online)
    findings, hangs = run_checks(look, checks_for(look))
    report = DoctorReport(
        version=lynkr_desktop.__version__,
        home=str(look.paths.home),
        running=look.runtime is not None,
        online=args.online,
        problems=sum(finding.result == "problem" for finding in findings),
        findings=findings,
    )
    if args.json:
        print_json(report)
    else:
        print(describe(report, shutil.get_terminal_size().columns if sys.stdout.isatty() else 0))
    code = FAILED if report.problems else OK
    if hangs:
        # What hangs may be in threads that Python would wait for, such as those that look up names.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def describe(report: DoctorReport, columns: int = 0) -> str:
    """The report as text, in lines of that many columns; 0 for lines of any length."""
    parts = [f"Lynkr {report.version}, {report.home}"]
    width = max((len(finding.title) for finding in report.findings), default=0)
    for area, findings in groupby(report.findings, key=lambda finding: finding.area):
        parts.append("\n".join((area, *_lines(list(findings), width, columns))))
    parts.append(_summary(report.findings))
    return "\n\n".join(parts)


def _lines(findings: Sequence[Finding], width: int, columns: int) -> list[str]:
    from lynkr_desktop.cli.text import table

    room = max(_NARROWEST, columns - width - len("  " * 3 + _LONGEST_RESULT)) if columns else 0
    rows: list[tuple[str, str, str]] = []
    for finding in findings:
        told = _wrapped(finding.found, room)
        if finding.todo:
            told += _wrapped(f"-> {finding.todo}", room, indent="   ")
        first = (finding.title.ljust(width), finding.result.ljust(len(_LONGEST_RESULT)), told[0])
        rows += [first, *((" " * width, "", line) for line in told[1:])]
    return table(rows, indent="  ").splitlines()


def _wrapped(text: str, room: int, indent: str = "") -> list[str]:
    if not room:
        return [text]
    wrapped = textwrap.wrap(
        text, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrapped or [""]


def _summary(findings: Sequence[Finding]) -> str:
    from lynkr_desktop.cli.text import plural

    problems = [finding.title for finding in findings if finding.result == "problem"]
    notes = sum(finding.result == "note" for finding in findings)
    noted = f"; {plural(notes, 'note')}" if notes else ""
    if not problems:
        return f"No problem was found{noted}."
    return f"{plural(len(problems), 'problem')} ({', '.join(problems)}){noted}."
