"""Runs a program, and ends it with all that it started when standard input ends.

That happens when the engine closes it, and also when the engine dies in any way, on every system. Run as a
script, with the program and its arguments; imports nothing of ours, so that it starts fast.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import psutil

_PATIENCE = 3.0
"""Seconds that programs have to end by themselves."""


def main() -> int:
    """Runs until the program or standard input ends; gives the program's code."""
    # Ctrl-C in a terminal reaches the whole process group: requests in flight are the engine's to drain.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    threading.Thread(target=_end_with_parent, args=(program.pid,), daemon=True).start()
    return program.wait()


def _end_with_parent(pid: int) -> None:
    # Not through sys.stdin: its lock, held by this thread, would break the interpreter's shutdown.
    while os.read(0, 4096):
        pass
    try:
        root = psutil.Process(pid)
        programs = [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        programs = []
    for program in programs:
        _end(program, force=False)
    _, left = psutil.wait_procs(programs, timeout=_PATIENCE)
    for program in left:
        _end(program, force=True)
    os._exit(0)


def _end(program: psutil.Process, *, force: bool) -> None:
    try:
        if force:
            program.kill()
        else:
            program.terminate()
    except psutil.NoSuchProcess:
        pass


if __name__ == "__main__":
    sys.exit(main())
