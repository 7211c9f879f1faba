"""Looks at the declared options from outside: for messages, for the documentation, for settings pages."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from lynkr_desktop.engine.config.base import Options
from lynkr_desktop.engine.config.document import Loc
from lynkr_desktop.engine.config.schema import Config


@dataclass(frozen=True)
class DeclaredOption:
    """One option. `name` is dotted; a part like `<tier>` stands for a name of that sort."""

    name: str
    field: FieldInfo

    @property
    def planned(self) -> bool:
        """Accepted, but nothing reads it yet."""
        return marked(self.field, "planned")


def marked(field: FieldInfo, mark: str) -> bool:
    """Whether the option was declared with `planned` or `secret`."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(mark))


def declared(group: type[Options] = Config, prefix: str = "") -> Iterator[DeclaredOption]:
    """Every option in the order of declaration; groups themselves are left out."""
    for name, field in group.model_fields.items():
        below, is_mapping = group_of(field.annotation)
        dotted = f"{prefix}{name}"
        if below is None:
            yield DeclaredOption(dotted, field)
        else:
            yield from declared(below, f"{dotted}.{_placeholder(name)}." if is_mapping else f"{dotted}.")


def members_of(annotation: Any) -> type[Options] | None:
    """The group of which a list has one or more; None for any other value."""
    if get_origin(annotation) is tuple:
        return group_of(get_args(annotation)[0])[0]
    return None


def options_named(name: str) -> list[str]:
    """Dotted names of all options and groups called `name`, for somebody who put it in the wrong place."""
    found = dict.fromkeys(
        ".".join(parts[: index + 1])
        for parts in (option.name.split(".") for option in declared())
        for index, part in enumerate(parts)
        if part == name
    )
    return list(found)


def group_at(loc: Loc) -> type[Options] | None:
    """The group of options at `loc`, if there is one."""
    annotation: Any = Config
    for part in loc:
        if (member := members_of(annotation)) is not None:
            annotation = member
            continue
        group, is_mapping = group_of(annotation)
        if group is None:
            return None
        if is_mapping:
            annotation = group
        elif part in group.model_fields:
            annotation = group.model_fields[str(part)].annotation
        else:
            return None
    group, is_mapping = group_of(annotation)
    return None if is_mapping else group


def holds_secret(loc: Loc) -> bool:
    """Whether the value at `loc`, or what belongs in its place, is secret and must not be shown."""
    parts = [str(part) for part in loc]
    for option in declared():
        if not marked(option.field, "secret"):
            continue
        names = option.name.split(".")
        if all(name.startswith("<") or name == part for name, part in zip(names, parts, strict=False)):
            return True
    return False


def group_of(annotation: Any) -> tuple[type[Options] | None, bool]:
    """The group that an annotation holds, and whether as the values of a mapping; None for a plain value."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return group_of(arguments[0])
    if origin in (Union, types.UnionType):
        return next((found for found in map(group_of, arguments) if found[0]), (None, False))
    if origin is dict:
        return group_of(arguments[1])[0], True
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return annotation, False
    return None, False


def _placeholder(name: str) -> str:
    return {"tiers": "<tier>", "providers": "<name>"}.get(name, "<key>")
