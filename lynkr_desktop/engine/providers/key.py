"""The key of one provider: looked up off the event loop, kept, and looked up anew when it was changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lynkr_desktop.engine.providers.base import Provider

LOOKUP_TIMEOUT = 10.0
"""Seconds that a request waits for a lookup; what is found later serves the next one."""

ABSENT_FOR = 60.0
"""Seconds after which a key that was not there is looked for again, in the background."""


class ProviderKey:
    """Holds a provider's key.

    Args:
        find: looks the key up (OS keyring, environment); it may block and runs in a thread.
        hint: where a person would put the key, for messages.
    """

    def __init__(self, find: Callable[[], str | None] = lambda: None, hint: str = "") -> None:
        self.hint = hint
        self._find = find
        self._lookup: asyncio.Task[None] | None = None
        self._value: str | None = None
        self._looked_at: float | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'set' if self._value else 'not set'})"

    def start(self) -> asyncio.Task[None]:
        """Begins to look the key up, unless that is under way; the keyring may be slow to answer."""
        if self._lookup is None:
            self._lookup = asyncio.create_task(self._look(), name="key lookup")
        return self._lookup

    async def get(self) -> str | None:
        """The key; None where there is none."""
        while self._looked_at is None:
            lookup = self.start()
            await asyncio.wait({lookup}, timeout=LOOKUP_TIMEOUT)
            if not lookup.cancelled():
                break
        else:
            if self._value is None and time.monotonic() - self._looked_at > ABSENT_FOR:
                self.start()
        return self._value

    def forget(self) -> None:
        """Lets the next `get` look the key up: it was set or removed."""
        self.close()
        self._value = self._looked_at = None

    def close(self) -> None:
        """Gives up a lookup that still runs."""
        if self._lookup is not None:
            self._lookup.cancel()
            self._lookup = None

    async def _look(self) -> None:
        # A cancelled lookup leaves its thread to end by itself; what that finds goes nowhere.
        self._value = await asyncio.to_thread(self._find)
        self._looked_at = time.monotonic()
        self._lookup = None


def refusal(message: str, provider: Provider, client_has_own: bool) -> str:
    """What a client is told of a provider that has refused a key: whose key it is, and what to do.

    Clients take 401 for their own login to the proxy, and send a person to mend that.
    """
    if provider.kind == "anthropic" and client_has_own:
        return f"{message.rstrip('.')}. It was the client's own login that {provider.name} refused."
    if provider.key is None:
        return message
    hint = provider.key.hint
    return f"{message.rstrip('.')}. The key of {provider.name} was refused, not yours to Lynkr. {hint}"
