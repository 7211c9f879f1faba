"""How a thread that computes stays out of the way of the event loop, which shares the interpreter with it."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Iterator

_TURN = 0.0005
"""Seconds after which another thread may run; Python's own 5 ms would be added to each step of a request."""

_lock = threading.Lock()
_inside = 0
_before = (0.0, False)


@contextlib.contextmanager
def courteous(*, keep: bool) -> Iterator[None]:
    """Lets other threads run often, and stops the garbage collector: its passes over hundreds of thousands of
    new objects would stop everybody for as long. What is made inside has no cycles.

    Args:
        keep: much of what is made inside stays: the collector is never to look at it. Garbage in cycles that
            other threads left meanwhile stays with it.
    """
    global _inside, _before
    with _lock:
        if not _inside:
            _before = sys.getswitchinterval(), gc.isenabled()
            sys.setswitchinterval(_TURN)
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        if keep:
            gc.freeze()
        with _lock:
            _inside -= 1
            if not _inside:
                sys.setswitchinterval(_before[0])
                if _before[1]:
                    gc.enable()
