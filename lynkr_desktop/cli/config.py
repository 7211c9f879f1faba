"""`lynkr config`: the options, one at a time. Works with and without a running engine, which acts at once."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from lynkr_desktop.cli.ending import OK, fail, print_json
from lynkr_desktop.paths import resolve_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lynkr_desktop.cli.client import ControlClient
    from lynkr_desktop.paths import Paths
    from lynkr_desktop.protocol.options import Option, OptionList

_CALL = "/v1/admin/options"


class ConfigFailure(Exception):
    """What was asked could not be done. The message says why, for people."""


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "config",
        help="list, read and change options",
        description="The options of the configuration file. A change is checked first; comments stay.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    show = actions.add_parser(
        "list", parents=[common], help="every option with its value and where it is set"
    )
    show.add_argument("prefix", nargs="?", default="", help="only options whose names begin so")
    show.add_argument("--json", action="store_true", help="as JSON, with help, defaults and schema")
    show.set_defaults(run=run_list)

    get = actions.add_parser("get", parents=[common], help="the value of one option")
    get.add_argument("name", help="such as logging.level")
    get.add_argument("--json", action="store_true", help="as JSON, with help, defaults and schema")
    get.set_defaults(run=run_get)

    put = actions.add_parser("set", parents=[common], help="set one option in the file")
    put.add_argument("name", help="such as logging.level")
    put.add_argument("value", help="as in the file: 8081, 30s, true, [ollama/auto, embedded/auto]")
    put.set_defaults(run=run_set)

    unset = actions.add_parser("unset", parents=[common], help="take one option out of the file")
    unset.add_argument("name", help="such as logging.level")
    unset.set_defaults(run=run_unset)


def run_list(args: argparse.Namespace) -> int:
    """Prints every option."""
    try:
        options = [option for option in _read(args).options if option.name.startswith(args.prefix)]
    except ConfigFailure as error:
        return fail(error)
    if args.json:
        return print_json(options)
    from lynkr_desktop.cli.text import table

    print(table([(option.name, _shown(option), _origin(option)) for option in options]))
    return OK


def run_get(args: argparse.Namespace) -> int:
    """Prints one option."""
    try:
        option = _named(_read(args).options, args.name)
    except ConfigFailure as error:
        return fail(error)
    if args.json:
        return print_json(option)
    print(_shown(option))
    return OK


def run_set(args: argparse.Namespace) -> int:
    """Sets one option in the file."""
    try:
        listed = _read(args)
        after = _patch(args, args.name, _parsed(listed, args.name, args.value))
    except ConfigFailure as error:
        return fail(error)
    return _told(after, args.name)


def run_unset(args: argparse.Namespace) -> int:
    """Takes one option out of the file."""
    try:
        after = _patch(args, args.name, None)
    except ConfigFailure as error:
        return fail(error)
    return _told(after, args.name)


# ---------------------------------------------------------------- reading and changing


def _client(paths: Paths) -> ControlClient | None:
    from lynkr_desktop.cli.client import ControlFailure, connect
    from lynkr_desktop.running import find_engine

    runtime = find_engine(paths)
    try:
        return connect(paths, runtime) if runtime is not None else None
    except ControlFailure as error:
        raise ConfigFailure(str(error)) from error


def _read(args: argparse.Namespace) -> OptionList:
    """The options as the running engine has them, else as the next one will."""
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.protocol.options import OptionList

    paths = resolve_paths(args.home, args.config)
    client = _client(paths)
    if client is None:
        return _read_file(paths)
    try:
        return client.get(_CALL, OptionList)
    except ControlFailure as error:
        raise ConfigFailure(str(error)) from error


def _read_file(paths: Paths) -> OptionList:
    from lynkr_desktop.engine.config.loader import ConfigError, load_config
    from lynkr_desktop.engine.config.options import Overrides, list_options, revision, templates
    from lynkr_desktop.protocol.options import OptionList

    overrides: Overrides = {}
    if token := os.environ.get("LYNKR_TOKEN", "").strip():
        overrides = {"proxy.auth.token": ("environment", token)}
    try:
        config = load_config(paths.config).config
        return OptionList(
            path=str(paths.config),
            revision=revision(paths.config),
            options=list_options(config, overrides),
            templates=templates(),
        )
    except ConfigError as error:
        raise ConfigFailure(str(error)) from error


def _patch(args: argparse.Namespace, name: str, value: Any) -> OptionList:
    from lynkr_desktop.cli.client import ControlFailure
    from lynkr_desktop.cli.noting import note
    from lynkr_desktop.engine.config.loader import ConfigError
    from lynkr_desktop.engine.config.options import UnknownOption, patch_file
    from lynkr_desktop.protocol.options import OptionList, OptionPatch

    paths = resolve_paths(args.home, args.config)
    client = _client(paths)
    try:
        if client is not None:
            return client.send("PATCH", _CALL, OptionList, OptionPatch(values={name: value}))
        patch_file(paths.config, {name: value})
        note(paths, "options changed", name)
    except (ConfigError, ControlFailure, UnknownOption) as error:
        raise ConfigFailure(str(error)) from error
    except OSError as error:
        raise ConfigFailure(f"{paths.config} cannot be written: {error.strerror}.") from error
    return _read_file(paths)


def _named(options: Sequence[Option], name: str) -> Option:
    for option in options:
        if option.name == name:
            return option
    raise ConfigFailure(f"There is no option {name!r}. `lynkr config list` names them all.")


def _parsed(listed: OptionList, name: str, text: str) -> Any:
    """The value as the file would give it; text that an option takes needs no quotes."""
    import yaml

    first, last = name.partition(".")[0], name.rpartition(".")[2]
    candidates = [
        option
        for option in (*listed.options, *listed.templates)
        if option.name == name
        or ("<" in option.name and option.name.startswith(f"{first}.") and option.name.endswith(f".{last}"))
    ]
    if any(option.secret for option in candidates):
        raise ConfigFailure(
            f"{name} is secret, and other programs can read the arguments of a command. Write it into "
            f"{listed.path} with an editor."
        )
    schemas = [part for option in candidates for part in option.schema.get("anyOf", [option.schema])]
    kinds = {schema.get("type") for schema in schemas}
    if kinds and kinds <= {"string", "null"}:
        return text
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if value is None:
        raise ConfigFailure(f"This gives {name} no value. To take it out: lynkr config unset {name}")
    return value


# ---------------------------------------------------------------- terminal


def _told(after: OptionList, name: str) -> int:
    option = next((option for option in after.options if option.name == name), None)
    if option is None:
        print(f"{name} is taken out of {after.path}.")
    else:
        late = " It counts from the next start on." if option.restart else ""
        print(f"{name} is {_shown(option)} now ({_origin(option)}).{late}")
    return OK


def _shown(option: Option) -> str:
    if option.secret:
        return "(set, not shown)" if option.is_set else "(not set)"
    import json

    return option.value if isinstance(option.value, str) else json.dumps(option.value, ensure_ascii=False)


def _origin(option: Option) -> str:
    note = ", not active yet" if option.planned else ""
    return {"file": "in the file", "command": "by the command line"}.get(option.origin, option.origin) + note
