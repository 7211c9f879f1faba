"""`lynkr budgets`: what is spent of each budget, and how to go on where one is used up."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lynkr_desktop.cli.asking import valid_text
from lynkr_desktop.cli.ending import OK, fail, print_json

if TYPE_CHECKING:
    from lynkr_desktop.protocol.budgets import BudgetList, BudgetStatus

_BUDGETS = "/v1/admin/budgets"
_SCOPES = ("session", "project", "day", "key")


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "budgets",
        parents=[common],
        help="show budgets, and reset or raise one",
        description="Shows what is spent of each budget (budgets in the configuration) that was used since "
        "the start. `reset` lets what was spent count no more; `raise` adds to the limits until the budget "
        "renews. The exit code is 3 when the proxy does not run.",
    )
    parser.add_argument(
        "action", nargs="?", choices=("list", "reset", "raise"), help="what to do; list if left out"
    )
    parser.add_argument("scope", nargs="?", choices=_SCOPES, help="of which kind it is")
    parser.add_argument("name", nargs="?", type=valid_text, default="", help="session, folder or access key")
    parser.add_argument("--tokens", type=int, default=0, metavar="N", help="raise: so many tokens more")
    parser.add_argument("--dollars", type=float, default=0.0, metavar="X", help="raise: so many dollars more")
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Shows or changes budgets, and returns the exit code."""
    from lynkr_desktop.cli.client import ControlClient, with_engine
    from lynkr_desktop.protocol.budgets import BudgetList, BudgetRaise, BudgetReset, BudgetStatus

    if args.action in (None, "list"):
        return with_engine(args, lambda client: _show(args, client.get(_BUDGETS, BudgetList)))
    if args.scope is None:
        return fail(f"Say which budget: `lynkr budgets {args.action} {'|'.join(_SCOPES)} [NAME]`.")
    name = args.name
    if args.scope == "project" and name:
        name = str(Path(name).expanduser().absolute())

    def change(client: ControlClient) -> int:
        if args.action == "reset":
            reset = BudgetReset(scope=args.scope, name=name)
            done = client.send("POST", f"{_BUDGETS}/reset", BudgetStatus, reset)
        else:
            more = BudgetRaise(scope=args.scope, name=name, tokens=args.tokens, dollars=args.dollars)
            done = client.send("PATCH", _BUDGETS, BudgetStatus, more)
        if args.json:
            return print_json(done)
        print(describe((done,)))
        return OK

    return with_engine(args, change)


def _show(args: argparse.Namespace, found: BudgetList) -> int:
    if args.json:
        return print_json(found)
    if not found.limits:
        print("No budget is set. Set one under budgets in the configuration, such as budgets.day.dollars.")
    elif not found.budgets:
        print("No budget was used since the start.")
    else:
        print(describe(found.budgets))
    return OK


def describe(budgets: tuple[BudgetStatus, ...]) -> str:
    """Budgets as a table."""
    from lynkr_desktop.cli.text import count, dollars, table

    rows = [("BUDGET", "NAME", "SPENT", "DOLLARS", "TOKENS", "IN FLIGHT", "RENEWS")]
    for each in budgets:
        renews = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.renews)) if each.renews else "by a reset"
        money = dollars(each.dollars)
        if each.dollars_limit is not None:
            money += f" of {dollars(each.dollars_limit)}"
        tokens = count(each.tokens)
        if each.tokens_limit is not None:
            tokens += f" of {count(each.tokens_limit)}"
        name = each.name or ("own token" if each.scope == "key" else "-")
        rows.append((each.scope, name, f"{each.share:.0%}", money, tokens, f"{each.in_flight}", renews))
    return table(rows, right=(2, 3, 4, 5))
