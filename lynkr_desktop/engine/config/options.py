"""The options from outside: listed with value and origin, and changed in the file that holds them."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from lynkr_desktop.engine.config.base import Options
from lynkr_desktop.engine.config.document import DocumentError, Problem, read_document
from lynkr_desktop.engine.config.edit import EditError, edit
from lynkr_desktop.engine.config.introspect import declared, group_of, marked
from lynkr_desktop.engine.config.loader import ConfigError, parse_config, read_file
from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.protocol.options import Option, OptionOrigin

RESTART = frozenset(
    {
        "proxy.port",
        "proxy.health_check",
        "telemetry.storage",
        "telemetry.retention",
        "telemetry.metrics",
        "telemetry.reload",
    }
)
"""Options that are read once, when the engine starts."""


Overrides = Mapping[str, tuple[OptionOrigin, Any]]
"""What something other than the file has set: origin and value in force, by dotted name."""


class Conflict(Exception):
    """The file has changed since the caller read it."""


class UnknownOption(LookupError):
    """There is no option of that name."""


def list_options(config: Config, overrides: Overrides) -> tuple[Option, ...]:
    """Every option as it stands, in the schema's order.

    Args:
        config: the configuration in force.
        overrides: what the environment or the command line has set.
    """
    return tuple(_walk(config, "", overrides))


def templates() -> tuple[Option, ...]:
    """Options of things that a configuration may add: `providers.<name>.base_url`."""
    return tuple(_describe(option.name, option.field) for option in declared() if "<" in option.name)


def revision(path: Path) -> str:
    """Names the present state of the file. Raises `ConfigError` when it cannot be read."""
    return hashlib.sha256(content_of(path)).hexdigest()[:16]


def patch_file(path: Path, values: Mapping[str, Any], wanted_revision: str = "") -> None:
    """Changes options in the file, all or none; comments stay. A file that is not there is made.

    Args:
        path: the file.
        values: new values by dotted name; None takes an option out, so that its default applies.
        wanted_revision: the state that the caller has seen; empty for any.

    Raises:
        UnknownOption: no option has this name.
        Conflict: the file is not in that state any more.
        ConfigError: the result would not be valid, or the file is not.
        OSError: it cannot be written.
    """
    before = content_of(path)
    if wanted_revision and hashlib.sha256(before).hexdigest()[:16] != wanted_revision:
        raise Conflict(f"{path} has changed in the meantime. Read the options again, then change them.")
    _replace(path, patched(path, before, values))


def patched(path: Path, before: bytes, values: Mapping[str, Any]) -> bytes:
    """What `patch_file` would write.

    Args:
        path: the file, for messages.
        before: its content.
        values: as `patch_file` takes them.

    Raises:
        UnknownOption: no option has this name.
        ConfigError: the result would not be valid, or the file is not.
    """
    changes = {split_name(name): value for name, value in values.items()}
    try:
        if any(place[:2] == _TIERS for place in changes) and not _has_tiers(before):
            changes = {**_default_tiers(), **changes}
        after = edit(before, changes)
    except DocumentError as error:
        raise ConfigError(path, error.problems) from None
    except EditError as error:
        raise ConfigError(path, (Problem(str(error).removesuffix(".")),)) from None
    parse_config(after, path)
    return after


_TIERS = ("routing", "tiers")


def _has_tiers(content: bytes) -> bool:
    routing = read_document(content).data.get("routing")
    return isinstance(routing, dict) and bool(routing.get("tiers"))


def _default_tiers() -> dict[tuple[str, ...], Any]:
    """The tiers of a file that names none, written out: with one in the file, the others would be gone."""
    tiers = Config().routing.tiers
    return {
        (*_TIERS, tier.value, name): to_jsonable_python(getattr(options, name))
        for tier, options in tiers.items()
        for name in ("providers", "max_complexity")
    }


def split_name(name: str) -> tuple[str, ...]:
    """`providers.lm.studio.kind` as ("providers", "lm.studio", "kind"): names of providers may have dots.

    Raises:
        UnknownOption: there is no such option, nor a thing of that name that options can belong to.
    """
    group: type[Options] = Config
    path: tuple[str, ...] = ()
    rest = name
    while rest:
        first, _, below = rest.partition(".")
        if first not in group.model_fields:
            break
        path, rest = (*path, first), below
        inner, is_mapping = group_of(group.model_fields[first].annotation)
        if inner is None:
            if rest:
                break
            return path
        group = inner
        if is_mapping and rest:
            key, _, last = rest.rpartition(".")
            if key and last in inner.model_fields:
                return (*path, key, last)
            return (*path, rest)
    raise UnknownOption(f"There is no option {name[:100]!r}. `lynkr config list` names them all.")


def _walk(group: Options, prefix: str, overrides: Overrides, *, written: bool = True) -> Iterator[Option]:
    """`written` says that the file names the group; the groups of a default have fields that it never set."""
    for name, field in type(group).model_fields.items():
        value, dotted = getattr(group, name), f"{prefix}{name}"
        named = written and name in group.model_fields_set
        if isinstance(value, Options):
            yield from _walk(value, f"{dotted}.", overrides, written=named)
        elif group_of(field.annotation)[0] is not None:
            for key, entry in value.items():
                below = f"{dotted}.{getattr(key, 'value', key)}."
                yield from _walk(entry, below, overrides, written=named)
        else:
            origin: OptionOrigin = "file" if named else "default"
            origin, value = overrides.get(dotted, (origin, value))
            yield _describe(dotted, field, value, origin)


def _describe(name: str, field: FieldInfo, value: Any = None, origin: OptionOrigin = "default") -> Option:
    secret = marked(field, "secret")
    default = field.get_default(call_default_factory=True, validated_data={})
    return Option(
        name=name,
        help=field.description or "",
        schema=_schema(field),
        value=None if secret else to_jsonable_python(value),
        default=None if secret or default is PydanticUndefined else to_jsonable_python(default),
        origin=origin,
        is_set=value is not None and value not in ((), {}),
        secret=secret,
        planned=marked(field, "planned"),
        restart=name in RESTART,
    )


def _schema(field: FieldInfo) -> dict[str, Any]:
    model = type("Value", (BaseModel,), {"__annotations__": {"value": field.rebuild_annotation()}})
    whole = TypeAdapter(model).json_schema()
    schema: dict[str, Any] = {
        key: item for key, item in whole["properties"]["value"].items() if key != "title"
    }
    return {**schema, "$defs": whole["$defs"]} if "$defs" in whole else schema


def content_of(path: Path) -> bytes:
    """The file, empty where there is none. Raises `ConfigError` when it cannot be read."""
    try:
        return read_file(path)
    except FileNotFoundError:
        return b""


def _replace(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all, with the permissions that it has; a link stays a link."""
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.name == "posix":
            temporary.chmod(mode)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
