"""Ids by chance: of what stands in replies, and of what is kept in the order of time."""

from __future__ import annotations

import random
import time


def fresh_id(prefix: str, digits: int = 24) -> str:
    """An id that nothing else has: unique by chance, not secret, so that no system call is needed.

    Args:
        prefix: what the protocol's ids begin with, such as `call_`.
        digits: hexadecimal ones behind it.
    """
    return f"{prefix}{random.getrandbits(4 * digits):0{digits}x}"


def timed_id(prefix: str, digits: int) -> str:
    """One that stands in the order of time, so that an index of such ids only grows at its end.

    Args:
        prefix: as of `fresh_id`; 11 hexadecimal digits follow it, the milliseconds of now.
        digits: by chance, behind these.
    """
    return fresh_id(f"{prefix}{time.time_ns() // 1_000_000:011x}", digits)
