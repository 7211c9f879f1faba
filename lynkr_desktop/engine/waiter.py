"""Waits in the place of an engine that has handed over to another, for whoever waits for that process.

Run as a script of its own by `handover.become_waiter`; only the standard library, and little of it.
"""

import contextlib
import os
import signal
import sys

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_STOP, _FORCE = b"s", b"f"
_BROKEN_OFF = 1


def wait(lease: int) -> int:
    """Waits until the other end of a lease is closed, and passes signals on through it.

    Returns:
        The exit code that came through the lease last; 1 where none did, since then the engine was killed.
    """
    asked = 0

    def pass_on(*_: object) -> None:
        nonlocal asked
        asked += 1
        try:
            os.write(lease, _STOP if asked == 1 else _FORCE)
        except OSError:
            pass  # it has just ended

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    _mask("SIG_UNBLOCK")
    # Engines that have handed over in their turn end as children of this process; nobody asks how.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    code = _BROKEN_OFF
    while True:
        try:
            got = os.read(lease, 64)
        except OSError:
            return code
        if not got:
            return code
        code = got[-1]


def hold_signals() -> None:
    """Keeps the signals that are passed on until `wait` can pass them on."""
    _mask("SIG_BLOCK")


def _mask(how: str) -> None:
    # Windows has no masks.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(getattr(signal, how), _PASSED_ON)


if __name__ == "__main__":
    sys.exit(wait(int(sys.argv[1])))
