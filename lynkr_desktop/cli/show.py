"""`lynkr show`: one request, what the stages did to its prompt, and what went to the model instead."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lynkr_desktop.cli.ending import OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.protocol.control import RequestRow
    from lynkr_desktop.protocol.optimization import PromptChange, PromptTurn, PromptView

_CONTEXT = 1
_MOST_LINES = 40
"""Lines of the difference at one place, or of a turn, without --full."""

_MOST_TURNS = 4


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "show",
        parents=[common],
        help="show what was done to the prompt of a request",
        description="Shows a request, the receipts of what was put into its prompt and of the stages that "
        "shortened it, and the difference between the prompt as the client sent it and as it went to the "
        "model. The texts of the latest requests are kept in the memory of the running proxy alone; "
        "receipts stay with the records. With telemetry.prompts, whole prompts are stored, and shown too.",
    )
    parser.add_argument("request", help="the id of a request, as in x-request-id, or `last`")
    parser.add_argument("--full", action="store_true", help="every line of the differences, and every turn")
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the request and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.prompt_access import find_prompt

    try:
        row, view = find_prompt(resolve_paths(args.home, args.config), args.request)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json({"request": row, "prompt": view})
    print(describe(row, view, full=args.full, colour=sys.stdout.isatty()))
    return OK


def describe(row: RequestRow, view: PromptView, *, full: bool = False, colour: bool = False) -> str:
    """The request and its prompt as text."""
    from lynkr_desktop.cli.text import count, printable, table
    from lynkr_desktop.protocol.optimization import saved_tokens

    model = f"{row.provider}/{row.model}" if row.provider else "no model"
    title = printable(row.title or "(no title)")
    head = f"{title}\n{row.id}  {row.client}  {model}  {row.tier or 'named by the client'}"
    parts = [f"{head}  {count(row.input_tokens)} tokens in, {count(row.output_tokens)} out"]
    if view.receipts:
        rows = [
            (
                receipt.stage,
                count(receipt.before),
                count(receipt.after),
                _share(receipt.before, receipt.after),
                f"{receipt.ms:.1f} ms",
                ("skipped: " if receipt.skipped else "") + printable("; ".join(receipt.did)),
            )
            for receipt in view.receipts
        ]
        heading = ("stage", "before", "after", "saved", "took", "what it did")
        parts.append(table([heading, *rows], right=(1, 2, 3, 4)))
    else:
        parts.append("No stage was asked to shorten its prompt (optimization.pipeline).")
    if view.asked:
        parts.append(f"The model called {', '.join(view.asked)}, which the proxy answered.")
    if view.changes:
        parts += [_difference(change, full=full, colour=colour) for change in view.changes]
    elif view.receipts:
        said = "The prompt went to the model as it came." if not saved_tokens(view.receipts) else _GONE
        parts.append(said)
    if view.turns:
        parts += _turns(view.turns, full=full)
    return "\n\n".join(parts)


_GONE = (
    "The texts are gone: only those of the latest requests are kept, while the proxy runs. The option "
    "telemetry.prompts stores them."
)


def _turns(turns: tuple[PromptTurn, ...], *, full: bool) -> list[str]:
    """The prompt turn by turn; without `full` its newest turns, shortened."""
    from lynkr_desktop.cli.text import plural, printable

    shown = turns if full else turns[-_MOST_TURNS:]
    parts = []
    if len(shown) < len(turns):
        parts.append(f"… {plural(len(turns) - len(shown), 'earlier turn')}; --full shows all")
    for turn in shown:
        lines = [printable(line) for line in turn.text.splitlines()]
        left = 0 if full else max(0, len(lines) - _MOST_LINES)
        lines = lines[: len(lines) - left]
        if left:
            lines.append(f"… {plural(left, 'more line')}; --full shows all")
        parts.append("\n".join([f"── prompt, {turn.role}" if turn.role else "── prompt", *lines]))
    return parts


def _share(before: int, after: int) -> str:
    return f"{(before - after) / before:.0%}" if before else ""


def _difference(change: PromptChange, *, full: bool, colour: bool) -> str:
    from difflib import unified_diff

    from lynkr_desktop.cli.text import plural, printable

    before, after = change.before.splitlines(), change.after.splitlines()
    lines = [printable(line) for line in unified_diff(before, after, lineterm="", n=_CONTEXT)][2:]
    left = 0
    if not full and len(lines) > _MOST_LINES:
        left = len(lines) - _MOST_LINES
        lines = lines[:_MOST_LINES]
    if colour:
        lines = [_coloured(line) for line in lines]
    if left:
        lines.append(f"… {plural(left, 'more line')}; --full shows all")
    return "\n".join([f"── {printable(change.place)}", *lines])


def _coloured(line: str) -> str:
    code = {"+": "32", "-": "31", "@": "36"}.get(line[:1])
    return f"\x1b[{code}m{line}\x1b[0m" if code else line
