"""What happens in the engine, as a bounded ring that any number of listeners read at their own pace."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from lynkr_desktop.protocol.events import EngineEvent

RING = 1024


class EventHub:
    """Numbered events, the newest `RING` of them. Publishing never waits for a listener."""

    def __init__(self) -> None:
        self._ring: deque[tuple[int, EngineEvent]] = deque(maxlen=RING)
        self._last = 0
        self._listeners: set[asyncio.Event] = set()
        self._closed = False

    @property
    def last_id(self) -> int:
        """The id of the newest event, 0 before the first."""
        return self._last

    @property
    def listening(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def publish(self, event: EngineEvent) -> None:
        """Appends an event and wakes the listeners."""
        self._last += 1
        self._ring.append((self._last, event))
        for listener in self._listeners:
            listener.set()

    def close(self) -> None:
        """Ends every listener's stream after what it has not read yet."""
        self._closed = True
        for listener in self._listeners:
            listener.set()

    def holds(self, after: int) -> bool:
        """Whether every event after id `after` is still there."""
        if after > self._last:
            return False
        return after == self._last or (bool(self._ring) and self._ring[0][0] <= after + 1)

    async def follow(self, after: int) -> AsyncIterator[list[tuple[int, EngineEvent]]]:
        """Batches of events with ids above `after`, until `close`; a slow listener skips some."""
        wake = asyncio.Event()
        self._listeners.add(wake)
        try:
            while True:
                wake.clear()
                batch: list[tuple[int, EngineEvent]] = []
                for entry in reversed(self._ring):
                    if entry[0] <= after:
                        break
                    batch.append(entry)
                if batch:
                    batch.reverse()
                    after = batch[-1][0]
                    yield batch
                elif self._closed:
                    return
                else:
                    await wake.wait()
        finally:
            self._listeners.discard(wake)
