"""`lynkr restart`: a new engine on the same port, without a request lost."""

from __future__ import annotations

import argparse
import sys

from lynkr_desktop.cli.ending import NOT_RUNNING, OK, STOPPED, fail, print_json
from lynkr_desktop.paths import resolve_paths

_TIMEOUT_S = 90.0


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "restart",
        parents=[common],
        help="start the proxy anew, without a request lost",
        description="Starts a new proxy that takes over the port of the one that runs, as after an update. "
        "The one that runs finishes its requests and ends. Where the new one cannot start, the other goes "
        "on. The exit code is 3 when the proxy does not run.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Restarts, and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure, connect
    from lynkr_desktop.cli.text import plural
    from lynkr_desktop.protocol.life import RestartReply
    from lynkr_desktop.running import find_engine

    paths = resolve_paths(args.home, args.config)
    runtime = find_engine(paths)
    if runtime is None:
        print(STOPPED, file=sys.stderr)
        return NOT_RUNNING
    try:
        told = connect(paths, runtime, timeout=_TIMEOUT_S).send("POST", "/v1/admin/restart", RestartReply)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(told)
    if told.pid:
        print(f"Lynkr was restarted: process {told.pid} serves port {told.port}.")
    else:
        print("Lynkr starts anew as soon as it has ended.")
    if told.active:
        print(f"The one before finishes {plural(told.active, 'request')} and ends.")
    return OK
