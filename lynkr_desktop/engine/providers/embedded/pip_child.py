"""Runs pip, and ends it at once when standard input ends: pip never outlives the process that wants a file.

Run as a script, with pip's own arguments.
"""

from __future__ import annotations

import os
import runpy
import threading


def _exit_with_parent() -> None:
    # Not through sys.stdin: its lock, held by this thread, would break the interpreter's shutdown.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
