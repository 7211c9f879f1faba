"""Whether somebody shows tray icons here: asked without Qt's own check.

On X11 Qt looks for a StatusNotifier host once per process and remembers a "no" for good. A tray that
starts together with the session is often up before the panel, so Qt must not be asked too early.
"""

from __future__ import annotations

import ctypes
import ctypes.util

from PySide6.QtDBus import QDBusConnection, QDBusMessage
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QSystemTrayIcon

_WATCHER = "org.kde.StatusNotifierWatcher"
_DBUS_TIMEOUT_MS = 500


def tray_host() -> bool:
    """Whether a tray icon would be seen now."""
    if QGuiApplication.platformName() != "xcb":
        return QSystemTrayIcon.isSystemTrayAvailable()
    return _status_notifier() or _xembed()


def _status_notifier() -> bool:
    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        return False
    call = QDBusMessage.createMethodCall(
        "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner"
    )
    call.setArguments([_WATCHER])
    reply = bus.call(call, timeout=_DBUS_TIMEOUT_MS)
    return reply.type() == QDBusMessage.MessageType.ReplyMessage and reply.arguments() == [True]


def _xembed() -> bool:
    """Whether a window owns the selection of the XEmbed tray of the first screen."""
    name = ctypes.util.find_library("X11")
    if name is None:
        return False
    x11 = ctypes.CDLL(name)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    x11.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    x11.XGetSelectionOwner.restype = ctypes.c_ulong
    x11.XGetSelectionOwner.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(None)
    if not display:
        return False
    try:
        atom = x11.XInternAtom(display, b"_NET_SYSTEM_TRAY_S0", 0)
        return bool(x11.XGetSelectionOwner(display, atom))
    finally:
        x11.XCloseDisplay(display)
