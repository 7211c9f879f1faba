"""`lynkr-desktop`: one tray per home, put together from model, controller, tray and window."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSettings, Signal
from PySide6.QtWidgets import QApplication

from lynkr_desktop.paths import Paths, resolve_paths
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.instance import SingleInstance
from lynkr_desktop.ui.signals import UnixSignals
from lynkr_desktop.ui.theme.theme import theme

if TYPE_CHECKING:
    from lynkr_desktop.protocol.sessions import SessionPause
    from lynkr_desktop.ui.window.main_window import MainWindow

_TOLD_HIDING = "told/closing-hides"
_TOLD_NO_TRAY = "told/no-tray"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the tray app; the exit code of the process."""
    options = _parse(argv)
    if not _has_display():
        print("There is no display to show a tray on. Run `lynkr serve` instead.", file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    paths = resolve_paths(options.home, options.config)
    paths.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    app = App(sys.argv[:1])
    instance = SingleInstance(paths.home)
    if not instance.acquire():
        if instance.show_first():
            return 0
        print("Lynkr already runs for this home, but it does not answer.", file=sys.stderr)
        return 1
    try:
        theme.attach(app)
        Desktop(app, instance, paths, options).run()
    finally:
        instance.release()
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lynkr-desktop", description="The Lynkr tray: one click starts the local LLM proxy."
    )
    parser.add_argument("--home", metavar="DIR", help="keep everything in this folder")
    parser.add_argument("--config", metavar="FILE", help="the configuration to use")
    parser.add_argument("--port", type=int, metavar="N", help="the port to serve on")
    parser.add_argument("--start", action="store_true", help="start the engine at once")
    parser.add_argument("--background", action="store_true", help="show no window at first")
    return parser.parse_args(argv)


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class App(QApplication):
    """The Qt application. That the system asks it to quit does not mean that it may drop everything.

    Signals:
        quit_requested: the system's own Quit, as in the Dock's menu.
    """

    quit_requested = Signal()

    def __init__(self, argv: list[str]) -> None:
        super().__init__(argv)
        self.setApplicationName("Lynkr")
        self.setDesktopFileName("lynkr-desktop")
        self.setQuitOnLastWindowClosed(False)

    def event(self, event: QEvent) -> bool:
        """Turns the system's Quit into one that ends requests and engine first."""
        if event.type() == QEvent.Type.Quit:
            self.quit_requested.emit()
            return True
        return super().event(event)


class Desktop(QObject):
    """The running app: what is made when, and what closing and quitting mean."""

    def __init__(self, app: App, instance: SingleInstance, paths: Paths, options: argparse.Namespace) -> None:
        super().__init__()
        from lynkr_desktop.ui.tray.tray import Tray

        self._app, self._paths, self._options = app, paths, options
        self._settings = QSettings(str(paths.home / "desktop.ini"), QSettings.Format.IniFormat)
        self._model = EngineModel()
        self._window: MainWindow | None = None
        # The icon first: a person waits for it, while the network's libraries take their time to load.
        self._tray = Tray(self._model)
        self._tray.clicked.connect(self.show_overview)
        self._tray.missing.connect(self._no_tray)
        self._tray.show()

        from lynkr_desktop.tasks import Tasks
        from lynkr_desktop.ui.controller import Controller
        from lynkr_desktop.ui.engine_process import engine_command

        self._tasks = Tasks()
        self._controller = Controller(
            paths,
            self._model,
            self._tasks,
            lambda port: engine_command(options.home, options.config, port or options.port),
        )
        menu = self._tray.add_menu(self._controller)
        menu.overview_requested.connect(self.show_overview)
        menu.routing_requested.connect(self.show_routing)
        menu.logs_requested.connect(self.show_logs)
        self._model.notice.connect(self._notice)
        self._model.session_paused.connect(self._session_paused)
        instance.show_requested.connect(self.show_overview)
        app.quit_requested.connect(self._controller.quit)
        self._signals = UnixSignals(self._controller.quit, self)

    def run(self) -> None:
        """Runs until a person quits."""
        import qasync

        loop = qasync.QEventLoop(self._app)
        asyncio.set_event_loop(loop)
        with loop:
            loop.run_until_complete(self._live())

    async def _live(self) -> None:
        finished = asyncio.Event()
        self._controller.finished.connect(finished.set)
        if self._options.start:
            self._controller.up.connect(self._print_banner)
            self._model.changed.connect(self._print_problem)
            self._controller.start()
        else:
            self._tasks.spawn(self._controller.adopt_running(), "look for a running engine")
        if not self._options.background:
            self.show_overview()
        await finished.wait()
        if self._window is not None:
            self._window.save_geometry()
            self._window.hide()
        self._tray.hide()
        await self._tasks.close()

    def show_overview(self) -> None:
        """Brings up the window on its first page."""
        self._main_window().bring_up("overview")

    def show_routing(self) -> None:
        """Brings up the window on the routing decisions."""
        self._main_window().bring_up("routing")

    def show_logs(self) -> None:
        """Brings up the window on the log."""
        self._main_window().bring_up("logs")

    def _main_window(self) -> MainWindow:
        if self._window is None:
            from lynkr_desktop.ui.window.main_window import MainWindow

            self._window = MainWindow(self._model, self._controller, self._paths, self._settings)
            self._window.close_requested.connect(self._closed)
        return self._window

    def _closed(self) -> None:
        """Hides where an icon brings the window back; else minimises, or quits when nothing runs."""
        window = self._main_window()
        if self._tray.visible:
            window.hide()
            if self._first_time(_TOLD_HIDING):
                self._tray.say(
                    self.tr("Lynkr keeps running"),
                    self.tr("Its icon in the panel brings the window back; Quit there ends it."),
                )
        elif self._model.startable:
            self._controller.quit()
        else:
            window.showMinimized()

    def _no_tray(self) -> None:
        self.show_overview()
        if self._first_time(_TOLD_NO_TRAY):
            self._model.notice.emit(
                self.tr(
                    "This desktop shows no tray icons. Closing this window minimises it while the engine "
                    "runs, and quits otherwise. Ctrl+Q always quits."
                )
            )

    def _notice(self, text: str) -> None:
        if self._window is None or not self._window.isVisible():
            self._tray.say(self.tr("Lynkr"), text)

    def _session_paused(self, session: SessionPause) -> None:
        """Says it beside the icon, unless a person sees the window that says it."""
        if self._window is None or not self._window.isActiveWindow():
            from lynkr_desktop.ui import session_words

            self._tray.say(session_words.headline(session), session_words.explained(session))

    def _first_time(self, key: str) -> bool:
        if self._settings.contains(key):
            return False
        self._settings.setValue(key, True)
        return True

    def _print_banner(self) -> None:
        status = self._model.status
        if status is None:
            return
        from lynkr_desktop.banner import banner

        self._controller.up.disconnect(self._print_banner)
        self._model.changed.disconnect(self._print_problem)
        print(banner(status.openai_url, status.anthropic_url, self._model.token), flush=True)

    def _print_problem(self) -> None:
        problem = self._model.problem
        if problem is not None:
            print(f"{problem.title}: {problem.text}", file=sys.stderr, flush=True)
