"""`lynkr`: argv to a command. Each command lives in its own module and imports what it needs when it runs."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

import lynkr_desktop
from lynkr_desktop.cli import (
    access,
    audit,
    breakers,
    budgets,
    cache,
    config,
    doctor,
    explain,
    graph,
    keys,
    memory,
    models,
    profile,
    restart,
    route,
    serve,
    sessions,
    show,
    status,
    usage,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", metavar="DIR", help="keep everything below this folder (or set LYNKR_HOME)")
    common.add_argument("--config", metavar="FILE", help="configuration file (or set LYNKR_CONFIG)")

    parser = argparse.ArgumentParser(
        prog="lynkr", description="A local proxy that picks the model for each request of your coding agents."
    )
    parser.add_argument("--version", action="version", version=f"lynkr {lynkr_desktop.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (
        serve,
        restart,
        status,
        usage,
        models,
        keys,
        access,
        audit,
        profile,
        route,
        explain,
        show,
        graph,
        sessions,
        cache,
        breakers,
        budgets,
        memory,
        config,
        doctor,
    ):
        command.add_parser(commands, common)
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets another one; paths and prompts may hold any.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code: int = args.run(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has enough.
        sys.stderr.close()
        return 0
    return code
