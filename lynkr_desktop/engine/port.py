"""The port on 127.0.0.1: taken by us, or who has it."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys

import psutil


class PortBusy(Exception):
    """The port is taken. `holder` names the program, `suggested` is a free port."""

    def __init__(self, port: int, holder: str, suggested: int) -> None:
        super().__init__(
            f"Port {port} is in use by {holder}. Stop it, or start Lynkr with --port {suggested}, "
            "or set proxy.port."
        )
        self.port = port
        self.holder = holder
        self.suggested = suggested


def listen(port: int) -> socket.socket:
    """A socket that is bound to 127.0.0.1, not listening yet. Raises `PortBusy`, or `OSError` otherwise."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # There, SO_REUSEADDR would share a port that another program holds.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES) and port:
            raise PortBusy(port, _holder(port), _free_port(port)) from error
        raise
    listener.setblocking(False)
    return listener


def _holder(port: int) -> str:
    """Who listens on a port: `nginx (process 12)`, or "another program" where the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            address = connection.laddr
            if connection.status != psutil.CONN_LISTEN or not address or not connection.pid:
                continue
            if address.port == port:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another program"


def _free_port(after: int) -> int:
    """The next port that can be bound, else any."""
    for port in (*range(after + 1, min(after + 20, 65536)), 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    return 0
