"""Whether a model that failed is asked again, and after which pause. Pure: nothing here waits."""

from __future__ import annotations

import random
from collections.abc import Callable

from lynkr_desktop.engine.config.resilience import RetryOptions
from lynkr_desktop.engine.wire.errors import Unsupported, WireError

_PASSING = frozenset({408, 409, 429, 500, 502, 503, 529})
"""What may have passed a moment later. 409 is how some report a lock; the clients of OpenAI and Anthropic
repeat it too. 504 is missing on purpose: the client's time has been spent already."""

_FINAL = frozenset({"budget", "permission", "authentication"})


def retryable(error: WireError) -> bool:
    """Whether the same request may succeed at the same model a moment later."""
    if error.status not in _PASSING or isinstance(error, Unsupported):
        return False
    return error.kind not in _FINAL


class Backoff:
    """The pauses of one request at one model: exponential, with full jitter, never before a Retry-After.

    Args:
        options: how often, and how long.
        draw: a number from 0 to 1.

    Attributes:
        repeated: how often the model was asked again.
        waited: seconds of all pauses so far.
    """

    __slots__ = ("_draw", "_options", "repeated", "waited")

    def __init__(self, options: RetryOptions, draw: Callable[[], float] = random.random) -> None:
        self._options = options
        self._draw = draw
        self.repeated = 0
        self.waited = 0.0

    def pause(self, error: WireError) -> float | None:
        """Seconds to wait before the model is asked again, None where it is not asked again.

        A Retry-After that goes beyond what is left of `max_wait` ends it: to come early would be refused,
        and to wait longer would keep a client from its other models. It stays in the error for the client.
        """
        options = self._options
        if self.repeated + 1 >= options.attempts or not retryable(error):
            return None
        left = options.max_wait - self.waited
        asked = max(0.0, error.retry_after or 0.0)
        if asked > left:
            return None
        # The jitter comes on top of what was asked for: all clients were told the same moment.
        longest = min(options.most, options.base * 2.0**self.repeated)
        pause = min(left, asked + self._draw() * longest)
        self.repeated += 1
        self.waited += pause
        return pause
