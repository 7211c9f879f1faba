"""`lynkr cache`: the replies that are stored to be given again. Works with and without a running engine."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from lynkr_desktop.cli.asking import limit
from lynkr_desktop.cli.ending import OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.cache_access import Cache
    from lynkr_desktop.protocol.cache import CachedReply

_LISTED = 50


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "cache",
        help="show and clear the stored replies",
        description="Replies that are given again to the same request, while the commit and the files that "
        "it is about are the same. They are stored where the pipeline of the profile has sha256_lru_cache.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    status = actions.add_parser("status", parents=[common], help="what is stored, and how it was used")
    status.add_argument("--json", action="store_true", help="as JSON, for scripts")
    status.set_defaults(run=run_status)

    listing = actions.add_parser("list", parents=[common], help="the stored replies, the latest used first")
    listing.add_argument(
        "--limit", type=limit, default=_LISTED, metavar="N", help=f"how many, {_LISTED} by default"
    )
    listing.add_argument("--json", action="store_true", help="as JSON, for scripts")
    listing.set_defaults(run=run_list)

    clear = actions.add_parser(
        "clear",
        parents=[common],
        help="delete stored replies",
        description="Deletes every stored reply, or one of them, so that nothing of it is left in the file.",
    )
    clear.add_argument("key", nargs="?", help="a key from `lynkr cache list`; all replies if left out")
    clear.add_argument("--json", action="store_true", help="as JSON, for scripts")
    clear.set_defaults(run=run_clear)


def run_status(args: argparse.Namespace) -> int:
    """Prints what is stored."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        status = _cache(args).status()
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(status)
    from lynkr_desktop.cli.text import dollars, printable, span, table

    rows = [
        ("In use", "yes" if status.active else "no; optimization.pipeline does not list sha256_lru_cache"),
        (
            "Stored",
            f"{status.replies:,} {'reply' if status.replies == 1 else 'replies'}, {_size(status.size)}",
        ),
        ("At most", f"{_size(status.max_size)}, each for {span(status.ttl_s)}"),
        ("Hits", f"{status.hits:,} of {status.hits + status.misses:,} since the start"),
        ("Saved", dollars(status.saved)),
        ("File", status.path),
    ]
    print(table(rows))
    if status.problem:
        print(printable(status.problem))
    return OK


def run_list(args: argparse.Namespace) -> int:
    """Prints the stored replies."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        replies = _cache(args).listing(args.limit)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(replies)
    from lynkr_desktop.cli.text import table

    if not replies:
        print("No reply is stored.")
        return OK
    head = ("KEY", "AGE", "HITS", "SIZE", "MODEL", "WORKSPACE", "ASKED")
    print(table([head, *map(_row, replies)], right=(2, 3)))
    return OK


def run_clear(args: argparse.Namespace) -> int:
    """Deletes replies."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        cache = _cache(args)
        gone = cache.remove(args.key) if args.key else cache.clear()
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(gone)
    word = "reply is" if gone.replies == 1 else "replies are"
    print(f"{gone.replies:,} stored {word} deleted, {_size(gone.size)}.")
    return OK


def _row(reply: CachedReply) -> tuple[str, ...]:
    from lynkr_desktop.cli.text import span

    return (
        reply.key,
        span(time.time() - reply.created),
        f"{reply.hits:,}",
        _size(reply.size),
        f"{reply.provider}/{reply.model}",
        reply.root or "-",
        reply.title,
    )


def _size(size: int) -> str:
    """Bytes as people read them: `12 kB`, `3.4 MB`."""
    return f"{size / 1024**2:.1f} MB" if size >= 1024**2 else f"{-(-size // 1024)} kB"


def _cache(args: argparse.Namespace) -> Cache:
    from lynkr_desktop.cli.cache_access import open_cache

    return open_cache(resolve_paths(args.home, args.config))
