"""What viewers do not get to see: the words of people and agents, in whatever answer or event they stand."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.endpoints.control import CALLER
from lynkr_desktop.engine.security.caller import Caller
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.routing import DecisionRow
from lynkr_desktop.protocol.sessions import SessionPause, SessionRow

T = TypeVar("T")

_WORDS: dict[type[Struct], tuple[str, ...]] = {
    RequestRow: ("title",),
    DecisionRow: ("title",),
    SessionPause: ("title", "detail", "action"),
    SessionRow: ("title", "detail", "action"),
}
"""The fields that hold them."""


def shown(request: web.Request, value: T) -> T:
    """A body as whoever asks may see it."""
    return shown_to(request[CALLER], value)


def shown_to(caller: Caller, value: T) -> T:
    """A value as a caller may see it: viewers without what others said."""
    return _without(value) if caller.role == "viewer" else value


def _without(value: T) -> T:
    if isinstance(value, tuple):
        made = tuple(_without(part) for part in value)
        return made if made != value else value  # type: ignore[return-value]
    if not isinstance(value, Struct):
        return value
    changes: dict[str, object] = dict.fromkeys(_WORDS.get(type(value), ()), "")
    for name in value.__struct_fields__:
        part = getattr(value, name)
        if name not in changes and isinstance(part, Struct | tuple):
            changes[name] = _without(part)
    return replace(value, **changes)
