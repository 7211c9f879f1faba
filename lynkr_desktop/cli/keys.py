"""`lynkr keys`: the keys of providers. Works with and without a running engine, which notices at once."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lynkr_desktop.cli.asking import confirmed
from lynkr_desktop.cli.ending import FAILED, OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from lynkr_desktop.cli.key_access import Keys
    from lynkr_desktop.protocol.keys import KeyInfo, KeyResult

_TEST_CODES: dict[KeyResult, int] = {"valid": 0, "refused": 3, "unreachable": 4, "none": 5, "unknown": 6}
_WORST_FIRST = (3, 4, 6, 5)

_LONGEST_INPUT = 64 * 1024


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "keys",
        help="set, list, test and remove the keys of providers",
        description="The keys of providers. They are kept in the OS keyring (Secret Service, KWallet, macOS "
        "Keychain, Windows Credential Manager), never in a file. Environment variables come second.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    put = actions.add_parser(
        "set",
        parents=[common],
        help="store a key in the OS keyring",
        description="Asks for the key without showing it, or reads it from standard input. A key is never "
        "given as an argument, since other programs can read those.",
    )
    put.add_argument("provider", help="a name from `lynkr keys list`")
    put.add_argument("--stdin", action="store_true", help="read the key from standard input")
    put.set_defaults(run=run_set)

    show = actions.add_parser("list", parents=[common], help="where each key comes from; never the keys")
    show.add_argument("--json", action="store_true", help="as JSON, for scripts")
    show.set_defaults(run=run_list)

    remove = actions.add_parser("remove", parents=[common], help="remove a key from the OS keyring")
    remove.add_argument("provider", help="a name from `lynkr keys list`")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.set_defaults(run=run_remove)

    test = actions.add_parser(
        "test",
        parents=[common],
        help="ask a provider whether it takes its key",
        description="Asks by a call that costs nothing. The exit code is 0 when the key is taken, 3 refused, "
        "4 provider not reachable, 5 no key, 6 the answer does not tell, 1 the test could not be made. "
        "With --all every provider that has a key is asked, and the worst result counts.",
    )
    which = test.add_mutually_exclusive_group(required=True)
    which.add_argument("provider", nargs="?", help="a name from `lynkr keys list`")
    which.add_argument("--all", action="store_true", help="every provider that has a key")
    test.add_argument("--json", action="store_true", help="as JSON, for scripts")
    test.set_defaults(run=run_test)


def run_set(args: argparse.Namespace) -> int:
    """Stores a key."""
    from lynkr_desktop.cli.key_access import KeyFailure

    try:
        key = _read_key(args.provider, from_stdin=args.stdin)
        _keys(args).store(args.provider, key)
    except KeyFailure as error:
        return fail(error)
    print(f"The key of {args.provider} is stored in the OS keyring. Try it: lynkr keys test {args.provider}")
    return OK


def run_list(args: argparse.Namespace) -> int:
    """Prints where each key comes from."""
    from lynkr_desktop.cli.key_access import KeyFailure

    try:
        found = _keys(args).listing()
    except KeyFailure as error:
        return fail(error)
    if args.json:
        return print_json(found)
    from lynkr_desktop.cli.text import table

    print(table([(info.provider, info.kind, _place(info)) for info in found.keys]))
    print()
    print(f"OS keyring: {found.keyring.problem or found.keyring.name}")
    return OK


def run_remove(args: argparse.Namespace) -> int:
    """Removes a key."""
    from lynkr_desktop.cli.key_access import KeyFailure

    question = f"Remove the key of {args.provider} from the OS keyring?"
    unasked = f"Add --yes to remove the key of {args.provider} without being asked."
    if not args.yes and not confirmed(question, unasked):
        return FAILED
    try:
        left = _keys(args).remove(args.provider)
    except KeyFailure as error:
        return fail(error)
    print(f"The key of {args.provider} is removed from the OS keyring.")
    if left.source == "environment":
        print(f"Another one is in {left.variable} and is used from now on.")
    return OK


def run_test(args: argparse.Namespace) -> int:
    """Asks providers whether they take their keys."""
    from lynkr_desktop.cli.key_access import KeyFailure

    try:
        keys = _keys(args)
        names = [args.provider]
        if args.all:
            names = [info.provider for info in keys.listing().keys if info.source != "none"]
        checks = [keys.test(name) for name in names]
    except KeyFailure as error:
        return fail(error)
    if args.json:
        print_json(checks if args.all else checks[0])
    else:
        for check in checks:
            print(f"{check.provider}: {check.result}. {check.message}")
        if not checks:
            print("No provider has a key. Store one: lynkr keys set PROVIDER")
    codes = {_TEST_CODES[check.result] for check in checks}
    return next((code for code in _WORST_FIRST if code in codes), OK if checks else _TEST_CODES["none"])


# ---------------------------------------------------------------- terminal


def _keys(args: argparse.Namespace) -> Keys:
    from lynkr_desktop.cli.key_access import open_keys

    return open_keys(resolve_paths(args.home, args.config))


def _read_key(provider: str, *, from_stdin: bool) -> str:
    """The key, from a hidden prompt or from standard input."""
    from lynkr_desktop.cli.key_access import KeyFailure
    from lynkr_desktop.engine.security.keys import BadKey, checked

    if from_stdin:
        given = sys.stdin.buffer.read(_LONGEST_INPUT).decode("utf-8", "replace")
    elif not sys.stdin.isatty():
        raise KeyFailure("There is no terminal to ask on. Add --stdin to read the key from standard input.")
    else:
        import getpass

        try:
            given = getpass.getpass(f"Key of {provider} (it is not shown): ")
        except EOFError:
            given = ""
    try:
        return checked(given)
    except BadKey as error:
        raise KeyFailure(f"{error} Nothing was stored.") from error


def _place(info: KeyInfo) -> str:
    match info.source:
        case "keyring":
            return "OS keyring"
        case "environment":
            return f"environment, {info.variable}"
        case _ if info.used:
            return f"no key (lynkr keys set {info.provider}, or set {info.variable})"
        case _:
            return "no key (not used)"
