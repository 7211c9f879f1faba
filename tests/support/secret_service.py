"""A real Secret Service in a session of its own: dbus-daemon and gnome-keyring-daemon in a folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = b"the keyring's own password"
NEEDED = ("dbus-daemon", "gnome-keyring-daemon")
_WITHIN_S = 20.0


class SecretService:
    """The session. `env` is what its programs must be started with."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self, *, unlocked: bool = True) -> None:
        """Starts the keyring daemon; the first unlocking makes the keyring."""
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        self._daemon = subprocess.Popen(
            [*command, "--unlock"] if unlocked else command,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdin is not None
        if unlocked:
            self._daemon.stdin.write(PASSWORD)
        self._daemon.stdin.close()
        self._wait_for_the_name()

    def stop(self) -> None:
        """Ends the keyring daemon."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(_WITHIN_S)
            self._daemon = None

    def pause(self) -> None:
        """Lets it hang: it keeps its name on the bus and answers nothing."""
        assert self._daemon is not None
        self._daemon.send_signal(19)

    def resume(self) -> None:
        """Ends a pause."""
        assert self._daemon is not None
        self._daemon.send_signal(18)

    def _wait_for_the_name(self) -> None:
        until = time.monotonic() + _WITHIN_S
        bus = DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        with open_dbus_connection(bus=self.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
            while time.monotonic() < until:
                ask = new_method_call(bus, "NameHasOwner", "s", ("org.freedesktop.secrets",))
                if connection.send_and_get_reply(ask, timeout=_WITHIN_S).body[0]:
                    return
                time.sleep(0.02)
        raise TimeoutError("gnome-keyring-daemon did not come up")


@contextlib.contextmanager
def secret_service(folder: Path) -> Iterator[SecretService]:
    """A session bus with an unlocked, empty keyring."""
    runtime = folder / "run"
    runtime.mkdir(parents=True, mode=0o700)
    services = folder / "bus.conf"
    # Nothing is started by the bus: no password prompt on a screen, no second keyring.
    services.write_text(
        "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
        '<allow own="*"/></policy></busconfig>'
    )
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(runtime),
    }
    bus = subprocess.Popen(
        ["dbus-daemon", f"--config-file={services}", "--nofork", "--nopidfile", "--print-address"],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert bus.stdout is not None
    session = SecretService({**env, "DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().decode().strip()})
    try:
        session.start()
        yield session
    finally:
        session.stop()
        bus.terminate()
        bus.wait(_WITHIN_S)
        bus.stdout.close()
