"""The engine itself: whether it runs and answers, its configuration, its port and its token."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import lynkr_desktop
from lynkr_desktop.doctor.check import Found, note, ok, problem, skipped

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look

_STATES = {"starting": "is starting", "running": "runs", "paused": "is paused", "draining": "is stopping"}


def engine(look: Look) -> Found:
    """Whether an engine serves this home, answers, and is of the version of this command."""
    runtime, status = look.runtime, look.status
    if runtime is None:
        start = "Start it with `lynkr serve`, or from the tray."
        if look.paths.runtime.exists():
            return note("It does not run, and its last run was ended by force or by a crash.", start)
        return note("It does not run.", start)
    if status is None:
        return problem(
            look.unanswered,
            f"Look at the end of {look.paths.engine_log}; end process {runtime.pid} and start Lynkr anew.",
        )
    text = f"Lynkr {status.version} {_STATES[status.state]} on port {runtime.port} (process {status.pid})."
    if status.version != lynkr_desktop.__version__:
        return note(
            f"{text} This command is of version {lynkr_desktop.__version__}.", "Restart Lynkr to update it."
        )
    if status.state == "paused":
        return note(text, "Requests are refused meanwhile. Go on in the tray menu.")
    return ok(text)


def configuration(look: Look) -> Found:
    """Whether the file can be used, and whether the engine uses it."""
    path = look.paths.config
    if look.loaded is None:
        what = look.config_error.splitlines() or [f"{path} cannot be used."]
        more = f" (and {len(what) - 1} more)" if len(what) > 1 else ""
        if look.status is not None:
            todo = "Correct the file. Until then the engine goes on with the older options."
        else:
            todo = "Correct the file. Until then Lynkr does not start."
        return problem(what[0] + more, todo)
    if not look.loaded.exists:
        return ok(f"The defaults are used; {path} does not exist.")
    if _holds_token(look) and (mode := _open_to_others(path)):
        return note(
            f"{path} holds the token, and other users can read the file (mode {mode:03o}).",
            f"Close it: chmod 600 {path}",
        )
    if inactive := look.loaded.inactive:
        shown = ", ".join(inactive[:5]) + (", …" if len(inactive) > 5 else "")
        return note(
            f"{path} is valid; {len(inactive)} of its options are not active yet: {shown}.",
            "They may stay; they do nothing in this version.",
        )
    return ok(f"{path} is valid.")


def port(look: Look) -> Found:
    """Whether the port is the engine's, or free for it."""
    configured = look.config.proxy.port
    if look.runtime is not None:
        return _port_of_engine(look, look.runtime.port, configured)
    if configured == 0:
        return ok("The engine takes any free port (proxy.port is 0).")
    from lynkr_desktop.engine.port import PortBusy, listen

    try:
        listen(configured).close()
    except PortBusy as error:
        if isinstance(error.__cause__, PermissionError):
            return problem(
                f"Port {configured} needs rights that you do not have.",
                f"Set proxy.port to {error.suggested}, or to another one above 1023.",
            )
        if version := _lynkr_at(configured):
            return problem(
                f"Port {configured} is in use by another Lynkr {version}, which serves another home.",
                f"Use that one, stop it, or set proxy.port to {error.suggested} (free now).",
            )
        return problem(
            f"Port {configured} is in use by {error.holder}.",
            f"Stop it, or set proxy.port to {error.suggested} (free now), also in your agents.",
        )
    except OSError as error:
        return problem(
            f"Nothing can listen on 127.0.0.1 ({error.strerror or error}).",
            "Check that the loopback interface is up.",
        )
    return ok(f"Port {configured} is free.")


def _lynkr_at(port: int) -> str:
    """The version of the Lynkr that listens on a port of this machine; empty where it is something else."""
    from lynkr_desktop.cli.client import ControlClient, ControlFailure
    from lynkr_desktop.protocol.life import Health

    try:
        # No token goes along: whoever holds the port must not get it.
        return ControlClient(port, "", timeout=2.0).get("/v1/admin/health", Health).version[:40]
    except ControlFailure:
        return ""


def _port_of_engine(look: Look, running: int, configured: int) -> Found:
    if look.status is None:
        return skipped("The engine has it and does not answer.")
    if configured not in (0, running):
        return note(
            f"The engine listens on {running}, while proxy.port is {configured}.",
            "The option counts from the next start on. Agents must use the port that is in force then.",
        )
    return ok(f"Port {running} is the engine's.")


def token(look: Look) -> Found:
    """Whether the token is there, can be used, and is nobody else's to read."""
    from lynkr_desktop.engine.security.token import USABLE

    path, mode = look.paths.token, look.token_mode
    given = look.environ.get("LYNKR_TOKEN", "").strip()
    if given and not USABLE.fullmatch(given):
        return problem(
            "LYNKR_TOKEN holds something that cannot be a token, so Lynkr does not start.",
            "Unset it, or give it 8 to 512 printable ASCII characters without blanks.",
        )
    if mode is None:
        return ok(f"Lynkr makes one at its first start, in {path}.")
    if not stat.S_ISREG(mode):
        return problem(f"{path} is no regular file.", "Remove it and start Lynkr anew; it makes a new token.")
    try:
        content = path.read_bytes()[:1024].decode("ascii", "replace").strip()
    except OSError as error:
        return problem(
            f"{path} cannot be read ({error.strerror}).", "Run this as the user that Lynkr runs as."
        )
    if os.name == "posix" and mode & 0o077:
        return problem(
            f"Other users could read {path} (mode {stat.S_IMODE(mode):03o}).",
            f"Delete it and start Lynkr anew for a new token, or close it: chmod 600 {path}",
        )
    if not USABLE.fullmatch(content):
        return note(
            f"{path} holds no token.", "Lynkr makes a new one at its next start; agents need it then."
        )
    if given and look.runtime is not None and given != content:
        return note(
            "LYNKR_TOKEN here is not the token of the engine that runs.",
            "Agents that send LYNKR_TOKEN are refused. `lynkr status --token` prints the one in force.",
        )
    return ok(f"It is in {path}, and only you can read it." if os.name == "posix" else f"It is in {path}.")


def _holds_token(look: Look) -> bool:
    return look.config.proxy.auth.token is not None


def _open_to_others(path: Path) -> int:
    """The permissions of a file that others can read; 0 where they cannot."""
    if os.name != "posix":
        return 0
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
    return mode if mode & 0o044 else 0
