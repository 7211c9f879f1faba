"""`lynkr restart`: a new engine on the same port, without a request lost."""

from __future__ import annotations

import argparse

from lynkr_desktop.cli.ending import OK, print_json

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
    from lynkr_desktop.cli.client import ControlClient, with_engine
    from lynkr_desktop.cli.text import plural
    from lynkr_desktop.protocol.life import RestartReply

    def restart(client: ControlClient) -> int:
        told = client.send("POST", "/v1/admin/restart", RestartReply)
        if args.json:
            return print_json(told)
        if told.pid:
            print(f"Lynkr was restarted: process {told.pid} serves port {told.port}.")
        else:
            print("Lynkr starts anew as soon as it has ended.")
        if told.active:
            print(f"The one before finishes {plural(told.active, 'request')} and ends.")
        return OK

    return with_engine(args, restart, timeout=_TIMEOUT_S)
