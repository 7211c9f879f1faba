"""A desktop of its own for a test: screen, session bus, window manager, a tray host or none, and the app.

Nothing here is faked: Xvfb, dbus-daemon, openbox, xfce4-panel (a StatusNotifier host), trayer (an XEmbed
host) are the real programs, with free addresses, a home under the test folder, and an end with the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import DBusErrorResponse, unwrap_msg

ROOT = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T")

_PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="30"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray"/>
  </property>
</channel>
"""


async def eventually(probe: Callable[[], T | None], what: str, seconds: float = 10.0) -> T:
    """Waits until `probe` gives something true; a dead bus or process in between counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(DBusErrorResponse, psutil.NoSuchProcess, OSError):
            found = probe()
            if found:
                return found
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class MenuEntry:
    """An entry of a tray menu as the panel sees it."""

    id: int
    label: str
    enabled: bool
    visible: bool
    checked: bool | None
    has_icon: bool
    separator: bool
    children: tuple[MenuEntry, ...]


@dataclass
class TrayItem:
    """A registered StatusNotifier item, driven over D-Bus as a panel drives it."""

    bus: DBusConnection
    service: str
    path: str

    def menu(self) -> list[MenuEntry]:
        """The menu as it stands, hidden entries left out."""
        call = new_method_call(self._menu_address(), "GetLayout", "iias", (0, -1, []))
        _revision, root = unwrap_msg(self.bus.send_and_get_reply(call, timeout=5))
        return list(_entry(root).children)

    def find(self, label: str) -> MenuEntry | None:
        """The entry, sub-menus included, whose words begin so."""
        todo = self.menu()
        while todo:
            entry = todo.pop(0)
            if entry.label.startswith(label):
                return entry
            todo += entry.children
        return None

    def click(self, label: str) -> None:
        """Clicks an entry."""
        entry = self.find(label)
        assert entry is not None, f"no {label!r} in {[row.label for row in self.menu()]}"
        assert entry.enabled, f"{label!r} is greyed out"
        call = new_method_call(
            self._menu_address(), "Event", "isvu", (entry.id, "clicked", ("i", 0), int(time.time()) % 2**31)
        )
        unwrap_msg(self.bus.send_and_get_reply(call, timeout=5))

    def activate(self) -> None:
        """A left click."""
        call = new_method_call(self._item_address(), "Activate", "ii", (0, 0))
        unwrap_msg(self.bus.send_and_get_reply(call, timeout=5))

    def icon_pixels(self) -> bytes:
        """The largest picture of the icon, as the panel gets it."""
        pictures = self._property("IconPixmap")
        return bytes(max(pictures, key=lambda row: int(row[0]))[2]) if pictures else b""

    def tool_tip(self) -> str:
        """The words of the tool tip."""
        return str(self._property("ToolTip")[2])

    def _property(self, name: str) -> Any:
        address = DBusAddress(self.path, self.service, "org.freedesktop.DBus.Properties")
        call = new_method_call(address, "Get", "ss", ("org.kde.StatusNotifierItem", name))
        return unwrap_msg(self.bus.send_and_get_reply(call, timeout=5))[0][1]

    def _item_address(self) -> DBusAddress:
        return DBusAddress(self.path, self.service, "org.kde.StatusNotifierItem")

    def _menu_address(self) -> DBusAddress:
        return DBusAddress("/MenuBar", self.service, "com.canonical.dbusmenu")


@dataclass
class Desktop:
    """A running session. `start` runs a program in it; all end with the test."""

    folder: Path
    env: dict[str, str]
    bus: DBusConnection
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The home of the app under test."""
        return self.folder / "lynkr"

    def start(self, *command: str, **env: str) -> subprocess.Popen[bytes]:
        """Starts a program; its output goes to a file named after it."""
        log = self.folder / f"{Path(command[0]).name}-{len(self.processes)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(command), env={**self.env, **env}, stdout=output, stderr=output, cwd=self.folder
            )
        self.processes.append(process)
        return process

    def start_app(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts the real tray app."""
        code = "import sys; from lynkr_desktop.ui.application import main; sys.exit(main(sys.argv[1:]))"
        return self.start(sys.executable, "-c", code, "--home", str(self.home), "--port", "0", *arguments)

    def log_of(self, process: subprocess.Popen[bytes]) -> str:
        """What a program of this session printed."""
        number = self.processes.index(process)
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob(f"*-{number}.log"))

    async def start_panel(self) -> None:
        """xfce4-panel with its systray: a StatusNotifier host."""
        config = self.folder / "config" / "xfce4" / "xfconf" / "xfce-perchannel-xml"
        config.mkdir(parents=True, exist_ok=True)
        (config / "xfce4-panel.xml").write_text(_PANEL)
        self.start("xfce4-panel", "--disable-wm-check")
        await eventually(lambda: self.owned("org.kde.StatusNotifierWatcher"), "the panel's watcher", 20)

    def owned(self, name: str) -> bool:
        """Whether somebody owns a name on the bus."""
        address = DBusAddress(
            "/org/freedesktop/DBus", bus_name="org.freedesktop.DBus", interface="org.freedesktop.DBus"
        )
        reply = self.bus.send_and_get_reply(new_method_call(address, "NameHasOwner", "s", (name,)), timeout=5)
        return bool(unwrap_msg(reply)[0])

    def tray_item(self) -> TrayItem | None:
        """The item of the app, once it is registered with the panel."""
        address = DBusAddress(
            "/StatusNotifierWatcher",
            bus_name="org.kde.StatusNotifierWatcher",
            interface="org.freedesktop.DBus.Properties",
        )
        call = new_method_call(
            address, "Get", "ss", ("org.kde.StatusNotifierWatcher", "RegisteredStatusNotifierItems")
        )
        (_signature, items) = unwrap_msg(self.bus.send_and_get_reply(call, timeout=5))[0]
        for name in items:
            service, _, path = str(name).partition("/")
            return TrayItem(self.bus, service, f"/{path}")
        return None

    def run(self, *command: str) -> str:
        """Runs a program to its end; what it printed."""
        done = subprocess.run(
            list(command), env=self.env, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout.strip()

    def windows(self, title: str) -> list[str]:
        """The X ids of visible windows with this title."""
        return self.run("xdotool", "search", "--onlyvisible", "--name", f"^{title}$").split()

    def close_window(self, window: str) -> None:
        """Closes a window as a person does, through the window manager."""
        self.run("xdotool", "windowactivate", "--sync", window)
        self.run("xdotool", "key", "--clearmodifiers", "alt+F4")

    def screenshot(self, path: Path) -> None:
        """The whole screen as a picture."""
        self.run("import", "-window", "root", str(path))

    def engines(self) -> list[psutil.Process]:
        """The engine processes of this home, whoever started them."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = process.cmdline()
                if "serve" in line and str(self.home) in line and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def close(self) -> None:
        """Ends everything that the test started."""
        for engine in self.engines():
            with contextlib.suppress(psutil.Error):
                engine.kill()
        self.bus.close()
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def missing_programs(*names: str) -> list[str]:
    """Which of these are not installed."""
    return [name for name in names if shutil.which(name) is None]


@contextlib.contextmanager
def desktop(folder: Path, *, scale: str = "1", size: str = "1280x900x24") -> Iterator[Desktop]:
    """A session with a screen, a bus and a window manager, and no tray host yet."""
    screen, number = _start_announcing(
        ["Xvfb", "-displayfd", "{fd}", "-screen", "0", size, "-nolisten", "tcp", "-noreset"], dict(os.environ)
    )
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_RUNTIME_DIR": str(runtime),
        "TMPDIR": str(runtime),
        "DISPLAY": f":{number}",
        "QT_QPA_PLATFORM": "xcb",
        "QT_SCALE_FACTOR": scale,
        "NO_AT_BRIDGE": "1",
        # The bus would start a key store that asks for a password on this screen.
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    daemon, address = _start_announcing(
        ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address={fd}"], env
    )
    env["DBUS_SESSION_BUS_ADDRESS"] = address
    session = Desktop(folder, env, open_dbus_connection(bus=address), [screen, daemon])
    try:
        session.start("openbox")
        yield session
    finally:
        session.close()


def _start_announcing(
    command: Sequence[str], env: dict[str, str], seconds: float = 20.0
) -> tuple[subprocess.Popen[bytes], str]:
    """Starts a program that writes a line to a file descriptor once it is ready; process and line."""
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(
            [part.replace("{fd}", str(writer)) for part in command],
            env=env,
            pass_fds=[writer],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as announced:
        ready, _, _ = select.select([announced], [], [], seconds)
        line = announced.readline().decode().strip() if ready else ""
    if not line:
        process.kill()
        raise RuntimeError(f"{command[0]} did not start within {seconds:g} s")
    return process, line


def _entry(node: tuple[int, dict[str, tuple[str, Any]], list[tuple[str, Any]]]) -> MenuEntry:
    number, properties, children = node
    values = {name: value for name, (_signature, value) in properties.items()}
    state = values.get("toggle-state")
    return MenuEntry(
        id=number,
        label=str(values.get("label", "")).replace("_", ""),
        enabled=bool(values.get("enabled", True)),
        visible=bool(values.get("visible", True)),
        checked=None if "toggle-type" not in values else state == 1,
        has_icon="icon-data" in values or bool(values.get("icon-name")),
        separator=values.get("type") == "separator",
        children=tuple(entry for _signature, child in children if (entry := _entry(child)).visible),
    )
