"""The icon in the panel, its clicks and messages, and waiting for a panel to appear."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QSystemTrayIcon

from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel, Phase
from lynkr_desktop.ui.state_words import phase_sentence
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.tray.host import tray_host
from lynkr_desktop.ui.tray.icon import panel_is_dark, tray_icon
from lynkr_desktop.ui.tray.menu import TrayMenu

_LOOK_EVERY_MS = 500
_GIVE_UP_AFTER_MS = 10_000


class Tray(QObject):
    """Shows the icon as soon as somebody would display it.

    Signals:
        clicked: the icon was clicked.
        missing: there has been no tray for ten seconds; looking goes on.
    """

    clicked = Signal()
    missing = Signal()

    def __init__(self, model: EngineModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._menu: TrayMenu | None = None
        self._icon: QSystemTrayIcon | None = None
        self._drawn: tuple[Phase, bool] | None = None
        self._look = QTimer(self)
        self._look.setInterval(_LOOK_EVERY_MS)
        self._look.timeout.connect(self._try_show)
        self._give_up = QTimer(self)
        self._give_up.setSingleShot(True)
        self._give_up.setInterval(_GIVE_UP_AFTER_MS)
        self._give_up.timeout.connect(self.missing)
        model.changed.connect(self.refresh)
        theme.changed.connect(self.refresh)

    @property
    def visible(self) -> bool:
        """Whether there is an icon that a person can click."""
        return self._icon is not None and self._icon.isVisible() and tray_host()

    def add_menu(self, actions: Actions) -> TrayMenu:
        """Builds the menu, and gives it to the icon that is there or will be."""
        self._menu = TrayMenu(self._model, actions)
        if self._icon is not None:
            self._icon.setContextMenu(self._menu.menu)
        return self._menu

    def show(self) -> None:
        """Shows the icon now or when a tray appears."""
        self._try_show()
        if self._icon is None:
            self._look.start()
            self._give_up.start()

    def hide(self) -> None:
        """Takes the icon away, before the process ends."""
        self._look.stop()
        self._give_up.stop()
        if self._icon is not None:
            self._icon.hide()

    def say(self, title: str, text: str) -> None:
        """Shows a message beside the icon, where there is one."""
        if self._icon is not None:
            self._icon.showMessage(title, text, self._icon.icon())

    def refresh(self) -> None:
        """Shows the state by the icon's shape, and in words in its tool tip."""
        if self._icon is None:
            return
        drawn = (self._model.phase, panel_is_dark())
        if drawn != self._drawn:
            self._drawn = drawn
            self._icon.setIcon(tray_icon(self._model.phase))
        tip = self.tr("Lynkr: {state}").format(state=phase_sentence(self._model))
        if tip != self._icon.toolTip():
            self._icon.setToolTip(tip)

    def _try_show(self) -> None:
        if not tray_host():
            return
        self._look.stop()
        self._give_up.stop()
        self._icon = QSystemTrayIcon(self)
        self._icon.activated.connect(self._activated)
        self._icon.messageClicked.connect(self.clicked)
        if self._menu is not None:
            self._icon.setContextMenu(self._menu.menu)
        self.refresh()
        self._icon.show()

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (
            QSystemTrayIcon.ActivationReason.Trigger,
            QSystemTrayIcon.ActivationReason.DoubleClick,
        ):
            self.clicked.emit()
