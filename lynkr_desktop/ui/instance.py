"""One tray per home and user: a second start shows the first one's window and ends."""

from __future__ import annotations

import getpass
import hashlib
import time
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

_SHOW = b"show\n"
_TRY_FOR_S = 3.0
_STEP_MS = 200


class SingleInstance(QObject):
    """Decides who is first by a lock file, and lets later ones reach the first by a local socket.

    The lock settles the race of two simultaneous starts; it is stale when its process is gone, and so is
    the socket then.

    Signals:
        show_requested: a second start happened.
    """

    show_requested = Signal()

    def __init__(self, home: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        identity = f"{getpass.getuser()}:{home}".encode()
        self._name = f"lynkr-desktop-{hashlib.sha256(identity).hexdigest()[:16]}"
        self._lock = QLockFile(str(home / "desktop.lock"))
        self._lock.setStaleLockTime(0)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._answer)

    def acquire(self) -> bool:
        """Whether this is the first one. Call it before anything else that the home is needed for."""
        if not self._lock.tryLock(0):
            return False
        if not self._server.listen(self._name):
            QLocalServer.removeServer(self._name)
            self._server.listen(self._name)
        return True

    def show_first(self) -> bool:
        """Asks the first one to show its window; whether it took the message."""
        deadline = time.monotonic() + _TRY_FOR_S
        while time.monotonic() < deadline:
            socket = QLocalSocket()
            socket.connectToServer(self._name)
            if socket.waitForConnected(_STEP_MS):
                socket.write(_SHOW)
                socket.flush()
                done = socket.waitForReadyRead(int(_TRY_FOR_S * 1000))
                socket.disconnectFromServer()
                return done
            time.sleep(_STEP_MS / 1000)
        return False

    def release(self) -> None:
        """Lets another one be first."""
        self._server.close()
        self._lock.unlock()

    def _answer(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.disconnected.connect(socket.deleteLater)
            socket.write(b"ok\n")
            socket.flush()
            self.show_requested.emit()
