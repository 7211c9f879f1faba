"""The main window: navigation at the left, the chosen page at the right."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QByteArray, QSettings, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QWidget

from lynkr_desktop.paths import Paths
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.logs.page import LogsPage
from lynkr_desktop.ui.routing.page import RoutingPage
from lynkr_desktop.ui.theme.tokens import Size
from lynkr_desktop.ui.widgets.card import Line
from lynkr_desktop.ui.window.navigation import Navigation
from lynkr_desktop.ui.window.overview import OverviewPage

_GEOMETRY = "window/geometry"

Page = Literal["overview", "routing", "logs"]
_PAGES: tuple[Page, ...] = ("overview", "routing", "logs")


class MainWindow(QMainWindow):
    """Remembers where it was. Closing only asks: what closing means depends on whether there is a tray.

    Signals:
        close_requested: a person closed the window.
    """

    close_requested = Signal()

    def __init__(self, model: EngineModel, actions: Actions, paths: Paths, settings: QSettings) -> None:
        super().__init__()
        self._settings = settings
        self.setWindowTitle(self.tr("Lynkr"))
        self.setMinimumSize(*Size.WINDOW_MIN)
        self.resize(*Size.WINDOW)
        self._navigation = Navigation(model, actions)
        self._pages = QStackedWidget()
        self._pages.addWidget(OverviewPage(model, actions))
        self._pages.addWidget(RoutingPage(model, actions, settings))
        self._pages.addWidget(LogsPage(model, actions, paths.engine_log))
        self._navigation.add_page("overview", self.tr("&Overview"))
        self._navigation.add_page("routing", self.tr("Rout&ing"))
        self._navigation.add_page("logs", self.tr("&Logs"), new_group=True)
        self._navigation.chosen.connect(lambda index: self.show_page(_PAGES[index]))
        central = QWidget()
        row = QHBoxLayout(central)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self._navigation)
        row.addWidget(Line(Qt.Orientation.Vertical))
        row.addWidget(self._pages, 1)
        self.setCentralWidget(central)
        self.show_page("overview")
        QShortcut(QKeySequence(QKeySequence.StandardKey.Close), self, self.close)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Quit), self, actions.quit)
        geometry = settings.value(_GEOMETRY)
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)

    def show_page(self, page: Page) -> None:
        """Shows a page."""
        index = _PAGES.index(page)
        self._pages.setCurrentIndex(index)
        self._navigation.show_chosen(index)

    def bring_up(self, page: Page) -> None:
        """Shows the window in front, on a page."""
        self.show_page(page)
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()

    def save_geometry(self) -> None:
        """Remembers place and size."""
        self._settings.setValue(_GEOMETRY, self.saveGeometry())

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """No control has the focus before Tab is pressed."""
        super().showEvent(event)
        self._pages.setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Leaves the navigation its icons alone when there is little room."""
        super().resizeEvent(event)
        self._navigation.set_collapsed(event.size().width() < Size.COLLAPSE_BELOW)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Asks what closing should do."""
        event.ignore()
        self.save_geometry()
        self.close_requested.emit()
