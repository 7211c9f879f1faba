"""`lynkr breakers`: models that are not asked for a while, and how to ask them again at once."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from lynkr_desktop.cli.ending import OK, print_json

if TYPE_CHECKING:
    from lynkr_desktop.protocol.breakers import BreakerStatus


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "breakers",
        parents=[common],
        help="show models that are not asked because they failed, and ask them again",
        description="A model that keeps failing, or keeps being slow, is not asked for a while "
        "(telemetry.circuit_breaker). Shows what was asked lately and how it did. The exit code is 3 when "
        "the proxy does not run.",
    )
    parser.add_argument(
        "action", nargs="?", choices=("reset",), help="close open breakers: the next request goes out again"
    )
    parser.add_argument("name", nargs="?", help="of one, such as openai/gpt-4o; all if left out")
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Shows or closes breakers, and returns the exit code."""
    return run_reset(args) if args.action else run_list(args)


def run_list(args: argparse.Namespace) -> int:
    """Prints the breakers."""
    from lynkr_desktop.cli.client import ControlClient, with_engine
    from lynkr_desktop.protocol.breakers import BreakerList

    def listed(client: ControlClient) -> int:
        found = client.get("/v1/admin/breakers", BreakerList)
        if args.json:
            return print_json(found.breakers)
        print(describe(found.breakers, time.time()))
        return OK

    return with_engine(args, listed)


def run_reset(args: argparse.Namespace) -> int:
    """Closes breakers."""
    from lynkr_desktop.cli.client import ControlClient, with_engine
    from lynkr_desktop.cli.text import printable
    from lynkr_desktop.protocol.breakers import BreakerList

    def reset(client: ControlClient) -> int:
        one = f"/{quote(args.name, safe='')}" if args.name else ""
        closed = client.send("POST", f"/v1/admin/breakers{one}/reset", BreakerList)
        if args.json:
            return print_json(closed.breakers)
        for breaker in closed.breakers:
            print(f"{printable(breaker.name)} is asked again.")
        if not closed.breakers:
            print(f"{printable(args.name)} was not held back." if args.name else "No model was held back.")
        return OK

    return with_engine(args, reset)


def describe(breakers: tuple[BreakerStatus, ...], now: float) -> str:
    """All breakers as a table, with what happened below it, at the time `now` in Unix seconds."""
    from lynkr_desktop.cli.text import printable, table

    if not breakers:
        return "No model was asked yet."
    head = ("MODEL", "STATE", "REQUESTS", "FAILED", "SLOW", "P95", "OPENED", "RETRIES")
    rows = [
        (
            breaker.name,
            state(breaker, now),
            f"{breaker.calls:,}",
            f"{breaker.bad:,}",
            f"{breaker.slow:,}",
            "-" if breaker.p95_s is None else f"{breaker.p95_s:.2f} s",
            f"{breaker.opened:,}",
            f"{breaker.retries:,}",
        )
        for breaker in breakers
    ]
    reasons = [
        f"{printable(breaker.name)}: {printable(breaker.reason)}" for breaker in breakers if breaker.reason
    ]
    if reasons:
        reasons.append("`lynkr breakers reset [MODEL]` asks them again at once.")
    return "\n".join([table([head, *rows], right=(2, 3, 4, 5, 6, 7)), *([""] if reasons else []), *reasons])


def state(breaker: BreakerStatus, now: float) -> str:
    """What a breaker does now, in words."""
    from lynkr_desktop.cli.text import span

    if breaker.state == "closed":
        return "asked as usual"
    if breaker.state == "half_open":
        return "being tried"
    left = (breaker.next_probe or 0.0) - now
    return f"not asked for {span(left)}" if left >= 1 else "tried with the next request"
