"""Takes finished requests and enters them, some at a time, into the records and the metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

_WAIT_S = 0.05
_MOST = 64
"""Requests that wait at most: those in flight wait while they are entered, some 30 us each."""


class Ledger(Generic[T]):
    """Rows are made one right after the other: between the steps of requests each costs three times as much.

    Args:
        enter: takes each request, in the order of their ends.
    """

    def __init__(self, enter: Callable[[T], None]) -> None:
        self._enter = enter
        self._waiting: list[T] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, finished: T) -> None:
        """Takes a request; it is entered soon, or at the next `settle`."""
        self._waiting.append(finished)
        if len(self._waiting) >= _MOST:
            self.settle()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WAIT_S, self.settle)

    def settle(self) -> None:
        """Enters every request that waits. Whoever reads what is entered calls this first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for finished in waiting:
            try:
                self._enter(finished)
            except Exception:
                # The others must not be lost with it.
                log.exception("a request could not be recorded")
