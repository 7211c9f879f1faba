"""What people added to budgets or reset, kept across restarts."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.security.private_file import write_private
from lynkr_desktop.engine.telemetry.budget_rows import Sums
from lynkr_desktop.protocol.budgets import BudgetScope

log = logging.getLogger(__name__)

MOST_GRANTS = 10_000
_KEPT_S = 400 * 86400.0

Key = tuple[BudgetScope, str, str]


class Grant(Struct, frozen=True):
    """Added tokens and dollars, and what was spent and counts no more."""

    tokens: int = 0
    dollars: float = 0.0
    forgiven: Sums = Sums()


class _Entry(Struct, frozen=True):
    scope: BudgetScope
    name: str
    period: str
    grant: Grant
    at: float


class BudgetFile:
    """The file.

    Args:
        path: of it; JSON.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[Key, _Entry] = {}
        self._saving = threading.Lock()

    def load(self) -> None:
        """Reads it. A damaged file counts as empty, and that is logged."""
        try:
            entries = msgspec.json.decode(self._path.read_bytes(), type=list[_Entry])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read and is ignored: %s", self._path, error)
            return
        self._entries = {(entry.scope, entry.name, entry.period): entry for entry in entries}

    def of(self, key: Key) -> Grant:
        """What a person changed of a budget."""
        entry = self._entries.get(key)
        return entry.grant if entry is not None else Grant()

    def keep(self, key: Key, grant: Grant, at: float) -> None:
        """Writes a change to the disk, the oldest beyond many left out. Raises `OSError`."""
        with self._saving:
            entries = {**self._entries, key: _Entry(*key, grant, at)}
            newest = sorted(entries.values(), key=lambda entry: entry.at)[-MOST_GRANTS:]
            kept = [entry for entry in newest if entry.at > time.time() - _KEPT_S]
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(self._path, msgspec.json.encode(kept))
            self._entries = {(entry.scope, entry.name, entry.period): entry for entry in kept}
