"""Which range of time a command of `lynkr usage` is about."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from lynkr_desktop.engine.telemetry.spans import Span, UsageRange

RANGES = ("today", "24h", "7d", "30d", "all")


def add_range(parser: argparse.ArgumentParser, default: UsageRange, *, unset: str | None = None) -> None:
    """Adds the options that name a range; `unset` is what they are where they are not given."""
    parser.add_argument("--range", choices=RANGES, default=unset, help=f"how far back (default: {default})")
    when = "a day or time (2026-11-23, 2026-11-23T14:30), or how long ago (12h, 90d)"
    parser.add_argument("--since", metavar="TIME", default=unset, help=f"only from then on: {when}")
    parser.add_argument(
        "--until", metavar="TIME", default=unset, help="only before then; of a day alone, until its end"
    )


def span_of(args: argparse.Namespace, default: UsageRange) -> Span:
    """The range that the options name.

    Raises:
        ValueError: they do not fit together, or a time cannot be read.
    """
    from lynkr_desktop.engine.telemetry.spans import between, named

    if args.since is None and args.until is None:
        return named(cast("UsageRange", args.range or default))
    if args.range is not None:
        raise ValueError("--range goes without --since and --until; one of both says what is meant.")
    try:
        return between(args.since or "", args.until or "")
    except ValueError as error:
        raise ValueError(
            f"--{error}." if str(error).startswith(("since:", "until:")) else f"{error}."
        ) from None
