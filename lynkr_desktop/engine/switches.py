"""What a person switched while the engine ran, kept across restarts."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec

from lynkr_desktop.engine.security.private_file import write_private
from lynkr_desktop.protocol.tiers import Tier

log = logging.getLogger(__name__)


class Pause(msgspec.Struct, frozen=True):
    """That requests are refused, until a time in Unix seconds or until a person ends it."""

    until: float | None = None


class _State(msgspec.Struct):
    tiers: dict[Tier, bool] = {}
    profile: str = ""
    pause: Pause | None = None


class Switches:
    """Tiers that were switched on or off, the profile that was chosen, and whether the engine is paused.

    Args:
        path: the file that keeps them; None keeps them in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.tiers: dict[Tier, bool] = {}
        self.profile = ""
        self.pause: Pause | None = None
        self._saving = threading.Lock()

    def load(self) -> None:
        """Reads the file. A damaged one counts as empty, and that is logged."""
        if self._path is None:
            return
        try:
            state = msgspec.json.decode(self._path.read_bytes(), type=_State)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read and is ignored: %s", self._path, error)
            return
        self.tiers.update(state.tiers)
        self.profile, self.pause = state.profile, state.pause

    def set_tier(self, tier: Tier, enabled: bool) -> None:
        """Saves the switch, then puts it into force: what was seen to act survives a crash right after."""
        with self._saving:
            self._save(_State({**self.tiers, tier: enabled}, self.profile, self.pause))
            self.tiers[tier] = enabled

    def set_profile(self, name: str) -> None:
        """The same for the profile."""
        with self._saving:
            self._save(_State(self.tiers, name, self.pause))
            self.profile = name

    def set_pause(self, pause: Pause | None) -> None:
        """The same for a pause; None ends it."""
        with self._saving:
            if pause != self.pause:
                self._save(_State(self.tiers, self.profile, pause))
                self.pause = pause

    def _save(self, state: _State) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                write_private(self._path, msgspec.json.encode(state))
            except OSError as error:
                # A full disk names no file by itself.
                raise OSError(error.errno, error.strerror, str(self._path)) from error
