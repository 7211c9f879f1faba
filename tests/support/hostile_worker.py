"""The worker of the index with a parser that some files kill: what a fault of a C library looks like."""

from __future__ import annotations

import os
import time

from lynkr_desktop.engine.analysis import worker
from lynkr_desktop.engine.analysis.reading import Reading, read_facts


def _read(root: str, path: str, limit: int) -> Reading:
    if "crash" in path:
        os.abort()
    if "hang" in path:
        time.sleep(600)
    return read_facts(root, path, limit)


if __name__ == "__main__":
    worker.read_facts = _read
    worker.main()
