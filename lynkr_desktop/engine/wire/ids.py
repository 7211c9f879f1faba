"""Ids that stand in replies: of messages, responses and tool calls."""

from __future__ import annotations

import random


def fresh_id(prefix: str, digits: int = 24) -> str:
    """An id that nothing else has: unique by chance, not secret, so that no system call is needed.

    Args:
        prefix: what the protocol's ids begin with, such as `call_`.
        digits: hexadecimal ones behind it.
    """
    return f"{prefix}{random.getrandbits(4 * digits):0{digits}x}"
