"""`lynkr access`: keys for others who use this Lynkr. Works with and without a running engine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lynkr_desktop.cli.asking import confirmed
from lynkr_desktop.cli.ending import FAILED, OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.access_keys import Access
    from lynkr_desktop.protocol.access import AccessKeyInfo, NewAccessKey
    from lynkr_desktop.protocol.tiers import Tier

_ROLES = ("admin", "user", "viewer")
_NONE = object()
"""What takes a limit away."""


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "access",
        help="list, add, change, rotate and remove access keys",
        description="Access keys beside the machine's own token, which may do everything: an admin may too, "
        "a user may use models and read what is its own, a viewer may read what others did but not what they "
        "asked. Only a hash of each key is kept.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser("list", parents=[common], help="who has a key, and what it is for")
    show.add_argument("--json", action="store_true", help="as JSON, for scripts")
    show.set_defaults(run=run_list)

    add = actions.add_parser(
        "add",
        parents=[common],
        help="make a key",
        description="Makes a key and prints it, this once: it cannot be shown again, only rotated.",
    )
    add.add_argument("name", help="whose it is: a-z, 0-9, `.`, `_` and `-`")
    add.add_argument("--role", choices=_ROLES, default="user", help="what it may do (default: user)")
    add.add_argument(
        "--tiers", type=_tiers, default=(), metavar="A,B", help="tiers that may answer it; all if left out"
    )
    add.add_argument("--tokens-per-day", type=_tokens, metavar="N", help="tokens that it may use in a day")
    add.add_argument("--dollars-per-day", type=_dollars, metavar="X", help="US dollars that it may spend")
    _add_expiry(add, "it counts for so long: 12h, 30d; for good if left out")
    add.add_argument("--json", action="store_true", help="as JSON, for scripts")
    add.set_defaults(run=run_add)

    rotate = actions.add_parser(
        "rotate",
        parents=[common],
        help="make a new key in the place of one",
        description="Makes a new key of the same name, role and limits. The old one counts no more.",
    )
    rotate.add_argument("name", help="a name from `lynkr access list`")
    _add_expiry(rotate, "it counts for so long: 12h, 30d; as long as the old one if left out")
    rotate.add_argument("--json", action="store_true", help="as JSON, for scripts")
    rotate.set_defaults(run=run_rotate)

    change = actions.add_parser(
        "set",
        parents=[common],
        help="change what a key may do",
        description="Changes a key from the next request on. What is not named stays as it is.",
    )
    change.add_argument("name", help="a name from `lynkr access list`")
    change.add_argument("--role", choices=_ROLES, help="what it may do")
    change.add_argument("--tiers", type=_tiers, metavar="A,B", help="tiers that may answer it; `all` for all")
    change.add_argument(
        "--tokens-per-day", type=_or_none(_tokens), metavar="N", help="tokens in a day; `none` for no limit"
    )
    change.add_argument(
        "--dollars-per-day", type=_or_none(_dollars), metavar="X", help="US dollars; `none` for no limit"
    )
    change.add_argument(
        "--expires", type=_or_none(_duration), metavar="TIME", help="it counts for so long; `none` for good"
    )
    change.add_argument("--json", action="store_true", help="as JSON, for scripts")
    change.set_defaults(run=run_set)

    remove = actions.add_parser("remove", parents=[common], help="remove a key, which counts no more")
    remove.add_argument("name", help="a name from `lynkr access list`")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.add_argument("--json", action="store_true", help="as JSON, for scripts")
    remove.set_defaults(run=run_remove)


def _add_expiry(parser: argparse.ArgumentParser, meaning: str) -> None:
    parser.add_argument("--expires", type=_duration, metavar="TIME", help=meaning)


def run_list(args: argparse.Namespace) -> int:
    """Prints the keys."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        found = _access(args).listing()
    except ControlFailure as error:
        return fail(error)
    if args.json:
        print_json(found)
        return FAILED if found.problem else OK
    if found.problem:
        return fail(found.problem)
    if not found.keys:
        print("There is no access key beside the machine's own token. Make one: lynkr access add NAME")
        return OK
    _print_keys(found.keys)
    return OK


def run_add(args: argparse.Namespace) -> int:
    """Makes a key."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.protocol.access import AccessAdd

    wanted = AccessAdd(
        name=args.name,
        role=args.role,
        tiers=args.tiers,
        tokens_per_day=args.tokens_per_day,
        dollars_per_day=args.dollars_per_day,
        expires_in=args.expires,
    )
    try:
        made = _access(args).add(wanted)
    except ControlFailure as error:
        return fail(error)
    return _print_key(made, as_json=args.json)


def run_rotate(args: argparse.Namespace) -> int:
    """Makes a new key in the place of one."""
    from lynkr_desktop.cli.client import ControlFailure

    try:
        made = _access(args).rotate(args.name, args.expires)
    except ControlFailure as error:
        return fail(error)
    return _print_key(made, as_json=args.json)


def run_set(args: argparse.Namespace) -> int:
    """Changes a key."""
    from msgspec import UNSET

    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.protocol.access import AccessPatch

    def given(value: Any) -> Any:
        return UNSET if value is None else None if value is _NONE else value

    patch = AccessPatch(
        role=given(args.role),
        tiers=given(args.tiers),
        tokens_per_day=given(args.tokens_per_day),
        dollars_per_day=given(args.dollars_per_day),
        expires_in=given(args.expires),
    )
    if patch == AccessPatch():
        return fail("Nothing was named that is to be changed. `lynkr access set --help` shows what can be.")
    try:
        changed = _access(args).change(args.name, patch)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(changed)
    _print_keys([changed])
    return OK


def run_remove(args: argparse.Namespace) -> int:
    """Removes a key."""
    from lynkr_desktop.cli.client import ControlFailure

    question = f"Remove the access key {args.name}?"
    unasked = f"Add --yes to remove the access key {args.name} without being asked."
    if not args.yes and not confirmed(question, unasked):
        return FAILED
    try:
        gone = _access(args).remove(args.name)
    except ControlFailure as error:
        return fail(error)
    if args.json:
        return print_json(gone)
    print(f"The access key {gone.name} is removed and counts no more.")
    return OK


def _print_key(made: NewAccessKey, *, as_json: bool) -> int:
    """The key alone goes to standard output, so that scripts can take it from there."""
    if as_json:
        return print_json(made)
    info = made.info
    print(f"The access key of {info.name}, a {info.role}. It is shown this once:", file=sys.stderr)
    print(made.key)
    return OK


def _print_keys(keys: Iterable[AccessKeyInfo]) -> None:
    from lynkr_desktop.cli.text import table

    head = ("NAME", "ROLE", "TIERS", "TOKENS TODAY", "DOLLARS TODAY", "EXPIRES", "LAST USED")
    print(table([head, *map(_row, keys)], right=(3, 4)))


def _row(key: AccessKeyInfo) -> tuple[str, ...]:
    from lynkr_desktop.cli.text import count, dollars, span

    now = time.time()
    expires = "never" if key.expires is None else f"in {span(key.expires - now)}"
    return (
        key.name,
        key.role,
        ", ".join(key.tiers) or "all",
        _of(key.tokens_today, key.tokens_per_day, count),
        _of(key.dollars_today, key.dollars_per_day, dollars),
        "expired" if key.expired else expires,
        "never" if key.last_used is None else f"{span(now - key.last_used)} ago",
    )


def _of(used: float | None, limit: float | None, shown: Callable[[float], str]) -> str:
    """`$1.20 of $5.00`; what is not known or not limited is left out."""
    parts = [] if used is None else [shown(used)]
    parts += [] if limit is None else [f"of {shown(limit)}"]
    return " ".join(parts) or "-"


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: _NONE if text == "none" else read(text)


def _tiers(text: str) -> tuple[Tier, ...]:
    from lynkr_desktop.protocol.tiers import TIERS, Tier

    if text == "all":
        return ()
    try:
        return tuple(Tier(name.strip().lower()) for name in text.split(",") if name.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"the tiers are {', '.join(TIERS)}") from error


def _tokens(text: str) -> int:
    if not text.isdecimal() or len(text) > 15 or not int(text):
        raise argparse.ArgumentTypeError("a whole number above 0 is needed")
    return int(text)


def _dollars(text: str) -> float:
    import math

    try:
        amount = float(text.removeprefix("$"))
    except ValueError:
        amount = 0.0
    if not (math.isfinite(amount) and amount > 0):
        raise argparse.ArgumentTypeError("an amount above 0 is needed")
    return amount


def _duration(text: str) -> float:
    from lynkr_desktop.engine.config.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _access(args: argparse.Namespace) -> Access:
    from lynkr_desktop.cli.access_keys import open_access

    return open_access(resolve_paths(args.home, args.config))
