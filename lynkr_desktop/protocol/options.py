"""Bodies of /v1/admin/options: what can be configured, how it stands, and changes of it."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

OptionOrigin = Literal["default", "file", "environment", "command"]


class Option(Struct, frozen=True, kw_only=True):
    """One option as it stands.

    Attributes:
        name: dotted, such as `routing.tiers.simple.max_complexity`.
        schema: JSON Schema of its value. Durations are seconds, sizes bytes; text such as `30s` is taken too.
        value: in force now; None where nothing is set, and always for a secret one.
        default: what applies without it; None where there is no default.
        origin: what set it: nothing, the file, the environment or the command line.
        is_set: whether there is a value; for secret ones all that is told.
        secret: its value is never shown.
        planned: accepted, and nothing reads it yet.
        restart: a change counts from the engine's next start on; other changes count at once.
    """

    name: str
    help: str
    schema: dict[str, Any]
    value: Any = None
    default: Any = None
    origin: OptionOrigin = "default"
    is_set: bool = False
    secret: bool = False
    planned: bool = False
    restart: bool = False


class OptionList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/options.

    `revision` names the state of the file; a patch that carries it is refused if the file has changed since.
    `templates` are options of things that do not exist yet: `providers.<name>.base_url`.
    """

    path: str
    revision: str
    error: str = ""
    options: tuple[Option, ...] = ()
    templates: tuple[Option, ...] = ()


class OptionPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """PATCH /v1/admin/options: new values by dotted name; null goes back to the default. All or nothing."""

    values: dict[str, Any]
    revision: str = ""
