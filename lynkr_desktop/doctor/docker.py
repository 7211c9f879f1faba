"""Docker: whether its daemon is there and may be used. Nothing in Lynkr needs it yet."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lynkr_desktop.doctor.check import Found, note, ok, skipped

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look

_ASK_S = 3.0
_LONGEST = 1024 * 1024
_UNUSED = "Nothing in Lynkr needs it yet."


def docker(look: Look) -> Found:
    """Whether a daemon answers, and which version."""
    host = look.environ.get("DOCKER_HOST", "").strip()
    if host and not host.startswith("unix://"):
        return skipped(f"DOCKER_HOST names a daemon by {urlsplit(host).scheme or 'another way'}. {_UNUSED}")
    if sys.platform == "win32":
        there = os.path.exists(r"\\.\pipe\docker_engine")
        return ok(f"Its pipe is there. {_UNUSED}") if there else skipped(f"It is not there. {_UNUSED}")
    for place in [Path(host.removeprefix("unix://"))] if host else _sockets(look.environ, look.system):
        if place.is_socket():
            return _asked(place)
    return skipped(f"It is not there. {_UNUSED}")


def _sockets(environ: Mapping[str, str], system: Path) -> Iterator[Path]:
    """Where the daemon's socket usually is: the system's, one without root, that of Docker Desktop."""
    yield system / "var/run/docker.sock"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "docker.sock"
    home = Path(environ.get("HOME") or "~").expanduser()
    yield home / ".docker" / "run" / "docker.sock"
    yield home / ".docker" / "desktop" / "docker.sock"


def _asked(place: Path) -> Found:
    try:
        version = _version(place)
    except PermissionError:
        return note(
            f"{place} is not yours to use. {_UNUSED}",
            "To use it, join the group docker, which is as good as being root, or run Docker rootless.",
        )
    except (ConnectionRefusedError, FileNotFoundError):
        return note(
            f"{place} is left over; no daemon answers there. {_UNUSED}", "Start Docker if you want it."
        )
    except TimeoutError:
        return note(f"The daemon at {place} does not answer. {_UNUSED}", "Restart Docker if you want it.")
    except (OSError, http.client.HTTPException, ValueError) as error:
        return note(f"What answers at {place} is no Docker ({type(error).__name__}). {_UNUSED}")
    return ok(f"Docker {version} answers at {place}. {_UNUSED}")


def _version(place: Path) -> str:
    """What the daemon says. Raises `OSError`, `HTTPException`, or `ValueError` where it is something else."""
    connection = _UnixConnection(place)
    try:
        connection.request("GET", "/version")
        response = connection.getresponse()
        told = json.loads(response.read(_LONGEST))
    finally:
        connection.close()
    if response.status != 200 or not isinstance(told, dict) or not isinstance(told.get("Version"), str):
        raise ValueError("no version")
    return str(told["Version"])[:40]


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, place: Path) -> None:
        super().__init__("localhost", timeout=_ASK_S)
        self._place = place

    def connect(self) -> None:
        """Connects to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ASK_S)
        self.sock.connect(str(self._place))
