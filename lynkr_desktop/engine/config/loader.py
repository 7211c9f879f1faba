"""Reads the configuration file: YAML in, one validated and immutable `Config` out, or a precise complaint."""

from __future__ import annotations

import difflib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from lynkr_desktop.engine.config.base import OptionError
from lynkr_desktop.engine.config.document import Document, DocumentError, Loc, Problem, dotted, read_document
from lynkr_desktop.engine.config.introspect import group_at, holds_secret, marked, options_named
from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.engine.security.redaction import redact

MAX_SIZE = 1024**2
"""Bytes. A routing file has a few thousand; anything this large is a mistake."""

_SHOWN = 10
"""Problems in one message; whoever has more fixes these first."""


class ConfigError(Exception):
    """The file cannot be used. The message names file, line, option and remedy, and never holds a secret.

    Attributes:
        path: the file.
        problems: what is wrong, in the order of the lines, the first ten.
    """

    def __init__(self, path: Path, problems: tuple[Problem, ...], more: int = 0) -> None:
        shown = [problem.text for problem in problems]
        if more:
            shown.append(f"and {more} more problems")
        super().__init__(redact(f"{path}: " + "\n".join(shown)))
        self.path = path
        self.problems = problems


@dataclass(frozen=True)
class LoadedConfig:
    """A configuration and where it came from.

    Attributes:
        config: the options.
        path: the file that was looked for.
        exists: False when there is no such file and all options have their defaults.
        inactive: dotted names of options set in the file that are accepted but not active yet.
    """

    config: Config
    path: Path
    exists: bool
    inactive: tuple[str, ...] = ()


def load_config(path: Path) -> LoadedConfig:
    """Loads the file at `path`; one that does not exist, or says nothing, gives the defaults.

    Raises:
        ConfigError: it cannot be read or is not valid.
    """
    try:
        content = read_file(path)
    except FileNotFoundError:
        return LoadedConfig(config=Config(), path=path, exists=False)
    return parse_config(content, path)


def parse_config(content: bytes, path: Path) -> LoadedConfig:
    """Validates the text of a configuration file; `path` is for messages only.

    Raises:
        ConfigError: it is not valid.
    """
    try:
        document = read_document(content)
    except DocumentError as error:
        raise ConfigError(path, error.problems[:_SHOWN], len(error.problems[_SHOWN:])) from None
    try:
        config = Config.model_validate(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        found.sort(key=lambda details: document.line(details["loc"]))
        problems = tuple(_problem(details, document) for details in found[:_SHOWN])
        # The cause is cut off, because its text repeats the values, also secret ones.
        raise ConfigError(path, problems, len(found[_SHOWN:])) from None
    return LoadedConfig(config=config, path=path, exists=True, inactive=tuple(_inactive(config)))


def read_file(path: Path) -> bytes:
    """The file's content, of bounded size; only a regular file, since reading others could wait forever.

    Raises:
        FileNotFoundError: there is none.
        ConfigError: it cannot be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError(path, (Problem("this is a folder; give the path of a YAML file"),))
        if not stat.S_ISREG(mode):
            raise ConfigError(path, (Problem("this is not a regular file; give the path of a YAML file"),))
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        text = f"the file cannot be read ({reason}); check its permissions"
        raise ConfigError(path, (Problem(text),)) from error
    if len(content) > MAX_SIZE:
        raise ConfigError(
            path, (Problem("the file is larger than 1 MB; this cannot be a Lynkr configuration"),)
        )
    return content


# ---------------------------------------------------------------- what pydantic found, in plain words


def _problem(details: ErrorDetails, document: Document) -> Problem:
    loc: Loc = details["loc"]
    kind = details["type"]
    if kind == "extra_forbidden":
        return _unknown_option(loc, document)
    error = details.get("ctx", {}).get("error")
    if isinstance(error, OptionError):
        loc += error.loc
        return Problem(str(error), dotted(loc), document.line(loc), _near(error.written, error.choices))
    if loc and loc[-1] == "[key]":
        return _bad_name(loc[:-1], details, document)
    choices = _choices(details)
    text = f"must be one of {', '.join(choices)}" if choices else _plain(details)
    hint = ""
    value = details["input"]
    if isinstance(value, str | int | float) and not holds_secret(loc):
        if kind != "value_error":
            text += f", not {_short(value)}"
        hint = _near(str(value), choices)
    return Problem(text, dotted(loc), document.line(loc), hint)


def _unknown_option(loc: Loc, document: Document) -> Problem:
    name = str(loc[-1])
    group = group_at(loc[:-1])
    hint = _near(name, tuple(group.model_fields)) if group else ""
    if not hint and (elsewhere := options_named(name)):
        hint = f"Did you mean {' or '.join(repr(option) for option in elsewhere[:3])}?"
    place = f" at {dotted(loc[:-1])}" if len(loc) > 1 else ""
    return Problem(f"unknown option {_short(name)}{place}", "", document.line(loc), hint)


def _bad_name(loc: Loc, details: ErrorDetails, document: Document) -> Problem:
    """A key of a mapping whose keys are names: the tiers are ours, those of providers the user's."""
    name, choices = str(loc[-1]), _choices(details)
    if not choices:
        text = f"{_short(name)} cannot be a name here; use letters, digits, dot, dash and underscore"
        return Problem(text, dotted(loc[:-1]), document.line(loc))
    text = f"unknown name {_short(name)} at {dotted(loc[:-1])}"
    return Problem(text, "", document.line(loc), _near(name, choices) or f"Use {', '.join(choices)}")


_PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping, with `key: value` lines below it",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_type": "must be a whole number",
    "model_type": "must be a mapping, with `key: value` lines below it",
    "model_attributes_type": "must be a mapping, with `key: value` lines below it",
    "tuple_type": "must be a list, such as [a, b]",
}

_PATTERNS = {
    "^https?://": "must start with http:// or https://",
    "^/": "must be a path that starts with /",
    "^POST /": "must have the form `POST /path`",
    "^sqlite://.+": "must have the form sqlite://FILE, such as sqlite://./lynkr.db",
}


def _plain(details: ErrorDetails) -> str:
    """The message of one finding, without the value."""
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_type":
        return (
            "must be text" if isinstance(details["input"], dict | list) else "must be text; put it in quotes"
        )
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(str(context["pattern"]), "has the wrong form")
    if kind == "string_too_short":
        return f"must have at least {context['min_length']} characters"
    return _PLAIN.get(kind) or details["msg"].replace("Input should be", "must be")


def _choices(details: ErrorDetails) -> tuple[str, ...]:
    """The values that pydantic lists as `'a', 'b' or 'c'` where only some are possible."""
    if details["type"] not in ("literal_error", "enum"):
        return ()
    return tuple(str(details.get("ctx", {})["expected"]).replace("'", "").replace(" or ", ", ").split(", "))


def _near(written: str, choices: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(written.lower(), choices, n=1) if len(written) <= 64 else []
    return f"Did you mean '{found[0]}'?" if found else ""


def _short(value: object) -> str:
    text = redact(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


# ---------------------------------------------------------------- planned options


def _inactive(group: BaseModel, prefix: str = "") -> list[str]:
    """Dotted names of the planned options that were set, in the schema's order."""
    names: list[str] = []
    fields = type(group).model_fields
    for name in fields:
        if name not in group.model_fields_set:
            continue
        names.extend(_inactive_below(getattr(group, name), fields[name], f"{prefix}{name}"))
    return names


def _inactive_below(value: Any, field: FieldInfo, name: str) -> list[str]:
    if marked(field, "planned"):
        return [name]
    if isinstance(value, BaseModel):
        return _inactive(value, f"{name}.")
    if isinstance(value, dict):
        return [
            option
            for key, entry in value.items()
            if isinstance(entry, BaseModel)
            for option in _inactive(entry, f"{name}.{key}.")
        ]
    return []


__all__ = ["MAX_SIZE", "ConfigError", "LoadedConfig", "Problem", "load_config", "parse_config"]
