"""`lynkr usage export`: the records as a file."""

from __future__ import annotations

import argparse

from lynkr_desktop.cli.ending import fail
from lynkr_desktop.cli.output import write_out
from lynkr_desktop.paths import resolve_paths

FORMATS = ("csv", "json", "jsonl")


def run(args: argparse.Namespace) -> int:
    """Writes the file and returns the exit code."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.usage_access import open_usage
    from lynkr_desktop.cli.usage_span import span_of

    try:
        span = span_of(args, "all")
        pieces = open_usage(resolve_paths(args.home, args.config)).export(
            span, args.format, titles=not args.no_titles, prompts=args.prompts
        )
        return write_out(pieces, args.output, force=args.force)
    except (ControlFailure, ValueError) as error:
        return fail(error)
