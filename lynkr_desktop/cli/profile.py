"""`lynkr profile`: which profile is in force, and another one."""

from __future__ import annotations

import argparse
import sys

from lynkr_desktop.cli.ending import NOT_RUNNING, OK, STOPPED, fail, print_json
from lynkr_desktop.paths import resolve_paths


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "profile",
        parents=[common],
        help="show or switch the routing profile",
        description="Shows the routing profiles, or puts one into force, until another one is chosen. With "
        "`secure` nothing leaves this machine. The exit code is 3 when the proxy does not run.",
    )
    parser.add_argument("name", nargs="?", help="the profile to put into force")
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Shows or switches, and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure, connect
    from lynkr_desktop.cli.text import table
    from lynkr_desktop.protocol.control import EngineStatus, ProfilePatch
    from lynkr_desktop.running import find_engine

    paths = resolve_paths(args.home, args.config)
    runtime = find_engine(paths)
    if runtime is None:
        print(STOPPED, file=sys.stderr)
        return NOT_RUNNING
    try:
        client = connect(paths, runtime)
        if args.name:
            body = ProfilePatch(name=args.name)
            status = client.send("PATCH", "/v1/admin/profile", EngineStatus, body)
        else:
            status = client.get("/v1/admin/status", EngineStatus)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(status.profiles)
    rows = [
        (
            profile.name,
            "in force" if profile.active else "",
            "nothing leaves this machine" if profile.local_only else "",
        )
        for profile in status.profiles
    ]
    print(table(rows))
    return OK
