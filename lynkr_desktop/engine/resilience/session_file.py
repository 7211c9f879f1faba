"""What is kept of sessions that were paused, resumed or ended, in a file that survives the process."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.security.private_file import write_private
from lynkr_desktop.protocol.sessions import SessionCause, SessionPause, SessionState

log = logging.getLogger(__name__)

MOST = 2_000
"""Sessions that are kept."""

_FIRST_TO_GO: dict[SessionState, int] = {"running": 0, "paused": 1, "ended": 2}


class Kept(Struct, frozen=True, kw_only=True):
    """A session that a person or the guard did something to.

    Attributes:
        state: whether it runs.
        cause: why it does not.
        detail: the cause in words.
        action: the newest action of a loop.
        since: when that was.
        client: which program asks.
        title: what was asked last.
        known: marks of the actions that a person knew of as they resumed it, by thread: agents that work
            for another share its session. A thread that is not there was not heard of since.
    """

    state: SessionState = "running"
    cause: SessionCause = ""
    detail: str = ""
    action: str = ""
    since: float = 0.0
    client: str = ""
    title: str = ""
    known: dict[str, tuple[str, ...]] = {}

    def shown(self, name: str) -> SessionPause:
        """As people see it."""
        return SessionPause(
            id=name,
            client=self.client,
            title=self.title,
            state=self.state,
            cause=self.cause,
            detail=self.detail,
            action=self.action,
            since=self.since,
        )


class _File(Struct):
    sessions: dict[str, Kept] = {}


def read(path: Path) -> dict[str, Kept]:
    """What the file holds. A damaged one counts as empty, and that is logged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).sessions
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        log.warning("%s cannot be read, so no session is paused: %s", path, error)
        return {}


def write(path: Path, sessions: Mapping[str, Kept]) -> None:
    """Replaces the file whole. Raises `OSError`."""
    write_private(path, msgspec.json.encode(_File(dict(sessions))))


def bounded(sessions: dict[str, Kept]) -> dict[str, Kept]:
    """At most `MOST`: those that run go first, then those that the guard would pause again, oldest first."""
    if len(sessions) <= MOST:
        return sessions
    order = sorted(sessions.items(), key=lambda entry: (_FIRST_TO_GO[entry[1].state], entry[1].since))
    return dict(order[len(order) - MOST :])
