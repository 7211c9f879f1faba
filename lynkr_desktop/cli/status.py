"""`lynkr status`: whether the engine runs, what it can use, and what happened today."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from lynkr_desktop.cli.ending import NOT_RUNNING, OK, STOPPED, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.paths import Paths
    from lynkr_desktop.protocol.budgets import BudgetStatus
    from lynkr_desktop.protocol.code import IndexStatus
    from lynkr_desktop.protocol.control import ConfigStatus, EngineStatus, TierStatus
    from lynkr_desktop.protocol.lanes import LaneStatus


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "status",
        parents=[common],
        help="show whether the proxy runs and what it can use",
        description="Shows the running proxy, its models and today's figures. "
        "The exit code is 0 when it runs, 3 when it does not, 1 when it does not answer.",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="as JSON, for scripts")
    output.add_argument("--token", action="store_true", help="only the token that clients must send")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the status and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure, connect
    from lynkr_desktop.protocol.control import EngineStatus
    from lynkr_desktop.running import find_engine

    paths = resolve_paths(args.home, args.config)
    if args.token:
        return _show_token(paths)
    runtime = find_engine(paths)
    if runtime is None:
        if args.json:
            print('{\n  "state": "stopped"\n}')
        else:
            print(STOPPED)
        return NOT_RUNNING
    try:
        status = connect(paths, runtime).get("/v1/admin/status", EngineStatus)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(status)
    print(describe(status, time.time()))
    return OK


def _show_token(paths: Paths) -> int:
    """The token stands in its file from the first start on, whether the proxy runs or not."""
    try:
        print(paths.token.read_text(encoding="utf-8").strip())
    except OSError:
        print("There is no token yet. Lynkr makes one when it starts first: `lynkr serve`.", file=sys.stderr)
        return NOT_RUNNING
    return OK


def describe(status: EngineStatus, now: float) -> str:
    """The whole status as text, at the time `now` in Unix seconds."""
    from lynkr_desktop.cli.text import cost, count, plural, span, table

    parts = [
        f"Lynkr {status.version} is {_state(status, now)} (up {span(now - status.started)}, pid {status.pid})"
    ]
    facts = [
        ("OpenAI", status.openai_url),
        ("Anthropic", status.anthropic_url),
        ("Configuration", _configuration(status.config)),
    ]
    if status.profile.name != "default":
        closed = ": nothing leaves this machine" if status.profile.local_only else ""
        facts.append(("Profile", f"{status.profile.name}{closed}"))
    if status.headroom:
        facts.append(("Headroom", status.headroom))
    if status.pressure:
        facts.append(("Overloaded", f"requests are refused: {status.pressure}"))
    if status.active:
        facts.append(("In flight", plural(status.active, "request")))
    parts.append(table(facts, indent="  "))
    if status.config.error:
        problem = "\n".join(f"    {line}" for line in status.config.error.splitlines())
        parts.append(f"  The file was changed but cannot be used; the options above are older:\n{problem}")
    parts += [_tier(tier) for tier in status.tiers]
    if status.providers:
        rows = [
            (
                provider.name,
                provider.kind if provider.kind != provider.name else "",
                "available" if provider.available else f"unavailable: {provider.reason or 'no reason given'}",
            )
            for provider in status.providers
        ]
        parts.append("Providers\n" + table(rows, indent="  "))
    if status.lanes:
        parts.append("Held up\n" + table([_lane(one, now) for one in status.lanes], indent="  "))
    if status.breakers:
        from lynkr_desktop.cli.breakers import state

        shut = [(one.name, f"{state(one, now)}: {one.reason}") for one in status.breakers]
        parts.append("Not asked\n" + table(shut, indent="  "))
    if status.budgets:
        parts.append("Budgets\n" + table([_budget(one) for one in status.budgets], indent="  "))
    if status.sessions_paused:
        stopped = [(one.id, f"{one.client or 'an agent'}: {one.detail}") for one in status.sessions_paused]
        hint = "  `lynkr sessions` says what to do about them."
        parts.append(f"Sessions that do not run\n{table(stopped, indent='  ')}\n{hint}")
    if status.workspaces:
        parts.append("Code\n" + table([_workspace(one) for one in status.workspaces], indent="  "))
    totals = status.totals
    if totals.requests:
        failed = f", {totals.errors:,} failed" if totals.errors else ""
        cached = f" ({count(totals.cached_tokens)} cached)" if totals.cached_tokens else ""
        unknown = f" ({plural(totals.unpriced, 'request')} of unknown price)" if totals.unpriced else ""
        today = [
            ("Requests", f"{totals.requests:,}{failed}"),
            ("Tokens", f"{count(totals.input_tokens)} in{cached}, {count(totals.output_tokens)} out"),
            ("Cost", f"{cost(totals)}{unknown}"),
        ]
        if totals.saved_tokens:
            today.append(("Saved", f"{count(totals.saved_tokens)} tokens that were taken off prompts"))
        parts.append("Today\n" + table(today, indent="  "))
    else:
        parts.append("Today\n  No requests yet.")
    return "\n\n".join(parts)


def _state(status: EngineStatus, now: float) -> str:
    from lynkr_desktop.cli.text import span

    if status.state == "paused" and status.paused_until is not None:
        return f"paused for another {span(status.paused_until - now)}"
    words = {"starting": "starting", "running": "running", "paused": "paused", "draining": "stopping"}
    return words[status.state]


def _configuration(config: ConfigStatus) -> str:
    if not config.exists:
        return f"defaults ({config.path} does not exist)"
    inactive = f"; {len(config.inactive)} options in it are not active yet" if config.inactive else ""
    return f"{config.path}{inactive}"


def _lane(lane: LaneStatus, now: float) -> tuple[str, str]:
    from lynkr_desktop.cli.text import plural, span

    said = []
    if lane.limited_until is not None:
        models = f" of {', '.join(lane.limited_models)}" if lane.limited_models else ""
        said.append(f"takes no requests{models} for another {span(lane.limited_until - now)}: {lane.why}")
    if lane.waiting:
        said.append(f"{plural(lane.waiting, 'request')} waiting, {lane.in_flight} in flight")
    return lane.name, "; ".join(said)


def _budget(budget: BudgetStatus) -> tuple[str, str]:
    from lynkr_desktop.cli.text import count, dollars

    said = []
    if budget.dollars_limit is not None:
        said.append(f"{dollars(budget.dollars)} of {dollars(budget.dollars_limit)}")
    if budget.tokens_limit is not None:
        said.append(f"{count(budget.tokens)} of {count(budget.tokens_limit)} tokens")
    spent = "; used up, `lynkr budgets` says how to go on" if budget.share >= 1 else ""
    return f"{budget.scope} {budget.name}".strip(), ", ".join(said) + spent


def _workspace(index: IndexStatus) -> tuple[str, str]:
    from lynkr_desktop.cli.code_text import index_line

    polled = "; changes are looked for, since the system does not tell of them" if index.polling else ""
    return index.root, f"{index_line(index)}{polled}"


def _tier(tier: TierStatus) -> str:
    from lynkr_desktop.cli.text import plural, table

    head = f"{tier.tier.value.capitalize()}  scores up to {tier.max_complexity:g}"
    head += "" if tier.enabled else "  switched off"
    if tier.requests_today:
        head += f"  {plural(tier.requests_today, 'request')} today ({tier.share_today:.0%})"
    rows = [
        (candidate.name, candidate.state + (f": {candidate.reason}" if candidate.reason else ""))
        for candidate in tier.candidates
    ]
    return f"{head}\n{table(rows, indent='  ') or '  no models'}"
