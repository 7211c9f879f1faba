"""Which engine serves a home: how the engine, the command line and the tray find one that runs."""

from __future__ import annotations

import msgspec

from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.control import EngineRuntime

_CLOCK_SLACK_S = 2.0
"""The clock may have been set since; two seconds tell a reused process id apart all the same."""


def find_engine(paths: Paths) -> EngineRuntime | None:
    """The engine that serves this home; None when there is none, or only its file is left over."""
    # Commands that find no file need not pay for this import.
    try:
        content = paths.runtime.read_bytes()
    except OSError:
        return None
    import psutil

    try:
        runtime = msgspec.json.decode(content, type=EngineRuntime)
        process = psutil.Process(runtime.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        same = abs(process.create_time() - runtime.pid_started) <= _CLOCK_SLACK_S
    except (ValueError, OverflowError, msgspec.DecodeError, psutil.Error):
        return None
    return runtime if same else None
