"""A keyring in memory, for tests that are not about the real one."""

from __future__ import annotations

import threading

from keyring.backend import KeyringBackend


class MemoryRing(KeyringBackend):
    """A keyring in memory, which may hang, break or forget."""

    priority = 1

    def __init__(self, entries: dict[tuple[str, str], str] | None = None) -> None:
        super().__init__()
        self.entries = entries or {}
        self.hang: threading.Event | None = None
        self.error: Exception | None = None
        self.forgets = False
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        """As keyring has it."""
        self._behave()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """As keyring has it."""
        self._behave()
        if not self.forgets:
            self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        """As keyring has it."""
        self._behave()
        del self.entries[service, username]

    def _behave(self) -> None:
        self.asked += 1
        if self.hang:
            self.hang.wait(30)
        if self.error:
            raise self.error
