"""Time as a program has it on a machine where others do not take it away."""

from __future__ import annotations

import time
from pathlib import Path


def waited(process: int | str) -> float:
    """Seconds for which the first thread of a process could run and no core was free; 0 where unknown."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def fair_time() -> float:
    """`time.monotonic` without what this thread waited for a core: to compare with an earlier such time."""
    return time.monotonic() - waited("thread-self")
