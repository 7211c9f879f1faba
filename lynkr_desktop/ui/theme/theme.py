"""The theme in force: follows the system, and tells the widgets when it changes."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.fonts import font
from lynkr_desktop.ui.theme.stylesheet import stylesheet
from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, Colors, Size, Type


class Theme(QObject):
    """Holds the colours in force. There is one, `theme`: a process has one appearance.

    Signals:
        changed: the colours are other ones; palette and stylesheet are already set.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.colors: Colors = LIGHT
        self._forced: Colors | None = None

    def attach(self, app: QApplication) -> None:
        """Dresses the application and keeps following the system's light or dark setting."""
        app.setStyle(QStyleFactory.create("Fusion"))
        app.setFont(font(Type.BODY))
        app.styleHints().colorSchemeChanged.connect(self._follow)
        self._dress(app, self._wanted(app))

    def force(self, colors: Colors | None) -> None:
        """Shows one theme whatever the system says; None follows the system again."""
        self._forced = colors
        self._follow()

    def _wanted(self, app: QApplication) -> Colors:
        if self._forced is not None:
            return self._forced
        return DARK if app.styleHints().colorScheme() == Qt.ColorScheme.Dark else LIGHT

    def _follow(self) -> None:
        app = QApplication.instance()
        if isinstance(app, QApplication):
            self._dress(app, self._wanted(app))

    def _dress(self, app: QApplication, colors: Colors) -> None:
        if colors is self.colors and app.styleSheet():
            return
        self.colors = colors
        app.setPalette(palette(colors))
        app.setStyleSheet(stylesheet(colors))
        app.setWindowIcon(icons.icon("tray-running", colors.accent, Size.APP_ICON))
        self.changed.emit()


def palette(colors: Colors) -> QPalette:
    """The Qt palette of a theme; what the stylesheet does not reach falls back on it."""
    result = QPalette()
    role = QPalette.ColorRole
    for target, value in (
        (role.Window, colors.window),
        (role.WindowText, colors.text),
        (role.Base, colors.surface),
        (role.AlternateBase, colors.code),
        (role.Text, colors.text),
        (role.PlaceholderText, colors.muted),
        (role.Button, colors.surface),
        (role.ButtonText, colors.text),
        (role.ToolTipBase, colors.surface),
        (role.ToolTipText, colors.text),
        (role.Highlight, colors.accent),
        (role.HighlightedText, colors.on_accent),
        (role.Link, colors.accent),
        (role.Accent, colors.accent),
        (role.Mid, colors.line),
    ):
        result.setColor(target, QColor(value))
    for target in (role.WindowText, role.Text, role.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, target, QColor(colors.muted))
    return result


theme = Theme()
