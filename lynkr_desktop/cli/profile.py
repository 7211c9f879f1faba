"""`lynkr profile`: which profile is in force, and another one."""

from __future__ import annotations

import argparse

from lynkr_desktop.cli.ending import OK, print_json


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
    from lynkr_desktop.cli.client import ControlClient, with_engine
    from lynkr_desktop.cli.text import table
    from lynkr_desktop.protocol.control import EngineStatus, ProfilePatch

    def profile(client: ControlClient) -> int:
        if args.name:
            body = ProfilePatch(name=args.name)
            status = client.send("PATCH", "/v1/admin/profile", EngineStatus, body)
        else:
            status = client.get("/v1/admin/status", EngineStatus)
        if args.json:
            return print_json(status.profiles)
        rows = [
            (
                each.name,
                "in force" if each.active else "",
                "nothing leaves this machine" if each.local_only else "",
            )
            for each in status.profiles
        ]
        print(table(rows))
        return OK

    return with_engine(args, profile)
