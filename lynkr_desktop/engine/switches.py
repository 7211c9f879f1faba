"""What a person switched while the engine ran, kept across restarts."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import msgspec

from lynkr_desktop.protocol.tiers import Tier

log = logging.getLogger(__name__)


class _State(msgspec.Struct):
    tiers: dict[Tier, bool] = {}


class Switches:
    """Tiers that were switched on or off, over the configuration's own setting."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.tiers: dict[Tier, bool] = {}
        self._saving = threading.Lock()

    def load(self) -> None:
        """Reads the file. A damaged one counts as empty, and that is logged."""
        try:
            state = msgspec.json.decode(self._path.read_bytes(), type=_State)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read and is ignored: %s", self._path, error)
            return
        self.tiers.update(state.tiers)

    def set(self, tier: Tier, enabled: bool) -> None:
        """Saves the switch, then puts it into force: what was seen to act survives a crash right after."""
        with self._saving:
            temporary = self._path.with_suffix(".tmp")
            temporary.write_bytes(msgspec.json.encode(_State({**self.tiers, tier: enabled})))
            os.replace(temporary, self._path)
            self.tiers[tier] = enabled
