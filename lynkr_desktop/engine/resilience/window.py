"""What calls were like of late: a sliding window of counts and of times to the first token."""

from __future__ import annotations

import math
from collections import deque

BUCKETS = 12
"""Parts of the window; its oldest part is forgotten as a whole, so the window is exact to one of them."""

STEP = 1.05
"""Two times that differ by less may count as one: percentiles are exact to 5 %."""

_SHORTEST = 0.001
_LOG_STEP = math.log(STEP)
_LAST_BIN = math.ceil(math.log(86_400 / _SHORTEST) / _LOG_STEP)


class _Bucket:
    __slots__ = ("bad", "calls", "number", "slow", "times")

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = self.bad = self.slow = 0
        self.times: dict[int, int] = {}


class Window:
    """Counts over the last `length` seconds. Of bounded size, whatever the traffic.

    Args:
        length: seconds.

    Attributes:
        calls, bad, slow: counts over the window as of the last `add` or `move_to`.
    """

    __slots__ = ("_buckets", "_width", "bad", "calls", "length", "slow")

    def __init__(self, length: float) -> None:
        self.length = length
        self._width = length / BUCKETS
        self._buckets: deque[_Bucket] = deque()
        self.calls = self.bad = self.slow = 0

    def move_to(self, now: float) -> None:
        """Forgets what is older than the window. `now` never goes back."""
        buckets = self._buckets
        oldest = int(now // self._width) - BUCKETS
        while buckets and buckets[0].number <= oldest:
            gone = buckets.popleft()
            self.calls -= gone.calls
            self.bad -= gone.bad
            self.slow -= gone.slow

    def add(self, now: float, *, bad: bool, slow: bool, seconds: float | None) -> None:
        """Takes one call; `seconds` to its first token count among the times of good calls alone."""
        number = int(now // self._width)
        buckets = self._buckets
        if not buckets or buckets[-1].number != number:
            self.move_to(now)
            buckets.append(_Bucket(number))
        bucket = buckets[-1]
        bucket.calls += 1
        self.calls += 1
        if bad:
            bucket.bad += 1
            self.bad += 1
        elif seconds is not None:
            place = _bin(seconds)
            bucket.times[place] = bucket.times.get(place, 0) + 1
        if slow:
            bucket.slow += 1
            self.slow += 1

    def clear(self) -> None:
        """Forgets everything."""
        self._buckets.clear()
        self.calls = self.bad = self.slow = 0

    def percentile(self, share: float, least: int = 1) -> float | None:
        """Seconds within which this share of the good calls began to answer, None with fewer than `least`."""
        times: dict[int, int] = {}
        for bucket in self._buckets:
            for place, count in bucket.times.items():
                times[place] = times.get(place, 0) + count
        total = sum(times.values())
        if total < max(1, least):
            return None
        rank = math.ceil(share * total)
        seen = 0
        for place in sorted(times):
            seen += times[place]
            if seen >= rank:
                return _SHORTEST * math.exp(_LOG_STEP * (place + 0.5))
        raise AssertionError("a rank is never beyond the total")


def _bin(seconds: float) -> int:
    if not seconds > _SHORTEST:
        return 0
    return min(int(math.log(seconds / _SHORTEST) / _LOG_STEP), _LAST_BIN)
