"""The tray's menu: state, start and stop, pause, tiers, profile, spend, endpoint, logs, quit."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QActionGroup, QGuiApplication
from PySide6.QtWidgets import QMenu

from lynkr_desktop.protocol.tiers import TIERS, Tier
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel, Phase
from lynkr_desktop.ui.routing.decision_words import indexing
from lynkr_desktop.ui.state_words import phase_icon, phase_sentence, profile_sentence, tier_name
from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.tray.session_menu import SessionMenu
from lynkr_desktop.ui.widgets.icons import role_color
from lynkr_desktop.ui.widgets.painted_menu import PaintedMenu

_QUARTER_S = 15 * 60.0
_HOUR_S = 60 * 60.0


class TrayMenu(QObject):
    """Builds the menu once and then only changes its entries: it may be open while things change.

    Signals:
        overview_requested / routing_requested / logs_requested: a page should be shown.
    """

    overview_requested = Signal()
    routing_requested = Signal()
    logs_requested = Signal()

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model, self._actions = model, actions
        self.menu = PaintedMenu()
        self._shown: tuple[Phase, bool, bool] | None = None
        self._profile_entries: dict[str, QAction] = {}

        self._state = self._add(self.menu, "", self.overview_requested.emit)
        self.menu.setDefaultAction(self._state)
        self._sessions = SessionMenu(self.menu, model, actions)
        self._start = self._add(self.menu, "", self._start_or_stop)
        self._pause = self._build_pause()
        self._resume = self._add(self.menu, self.tr("&Resume"), actions.resume)
        self.menu.addSeparator()
        self._tiers = {tier: self._build_tier(tier) for tier in TIERS}
        self._profiles = self._build_profiles()
        self.menu.addSeparator()
        self._indexing = self._add(self.menu, "", self.routing_requested.emit)
        self._spent = self._add(self.menu, "", self.overview_requested.emit)
        self.menu.addSeparator()
        self._copy = self._build_copy()
        self._logs = self._add(self.menu, self.tr("&Logs"), self.logs_requested.emit)
        self.menu.addSeparator()
        self._quit = self._add(self.menu, "", actions.quit)

        model.changed.connect(self.refresh)
        theme.changed.connect(self._draw_icons)
        self._draw_icons()
        self.refresh()

    def refresh(self) -> None:
        """Shows the state as it is."""
        model = self._model
        phase, status = model.phase, model.status
        running = phase in (Phase.RUNNING, Phase.PAUSED)
        _set_text(self._state, phase_sentence(model))
        self._sessions.refresh()
        _set_text(self._start, self._start_word())
        self._pause.menuAction().setVisible(phase is not Phase.PAUSED)
        self._pause.menuAction().setEnabled(phase is Phase.RUNNING)
        self._resume.setVisible(phase is Phase.PAUSED)
        shares = {row.tier: row for row in model.tiers}
        for tier, action in self._tiers.items():
            row = shares.get(tier)
            share = "" if row is None else f", {fmt.percent(row.share_today)}"
            _set_text(action, tier_name(tier) + share)
            action.setChecked(row is not None and row.enabled)
            action.setEnabled(row is not None and running)
        self._refresh_profiles(running)
        indexed = indexing(() if status is None else status.workspaces)
        self._indexing.setVisible(bool(indexed))
        _set_text(self._indexing, indexed)
        spent = 0.0 if model.history is None else model.history.totals.cost
        _set_text(self._spent, self.tr("Spent today: {amount}").format(amount=fmt.money(spent)))
        self._copy.menuAction().setEnabled(status is not None)
        stopping = phase is Phase.STOPPING
        _set_text(self._quit, self.tr("Quit &now") if stopping else self.tr("&Quit"))
        drawn = (phase, model.startable, self._local_only)
        if drawn != self._shown:
            self._shown = drawn
            self._draw_icons()

    def _start_word(self) -> str:
        if self._model.startable:
            return self.tr("&Start")
        return self.tr("Stop &now") if self._model.phase is Phase.STOPPING else self.tr("&Stop")

    def _start_or_stop(self) -> None:
        if self._model.startable:
            self._actions.start()
        else:
            self._actions.stop()

    def _build_pause(self) -> QMenu:
        menu = PaintedMenu(self.tr("&Pause for"), self.menu)
        self._add(menu, self.tr("&15 minutes"), lambda: self._actions.pause(_QUARTER_S))
        self._add(menu, self.tr("1 &hour"), lambda: self._actions.pause(_HOUR_S))
        self._add(menu, self.tr("Until &resumed"), lambda: self._actions.pause(None))
        self.menu.addMenu(menu)
        return menu

    def _build_tier(self, tier: Tier) -> QAction:
        action = self.menu.addAction("")
        action.setCheckable(True)
        action.triggered.connect(lambda on: self._switch(tier, on))
        return action

    def _switch(self, tier: Tier, on: bool) -> None:
        self._actions.set_tier(tier, on)
        # What the entry shows is the model's to say: Qt has toggled it already.
        self.refresh()

    def _build_profiles(self) -> QMenu:
        menu = PaintedMenu("", self.menu)
        self._profile_group = QActionGroup(menu)
        self.menu.addMenu(menu)
        return menu

    def _refresh_profiles(self, running: bool) -> None:
        """One entry per profile, made anew only when others are configured."""
        status = self._model.status
        profiles = () if status is None else status.profiles
        if profiles and [profile.name for profile in profiles] != list(self._profile_entries):
            self._profiles.clear()
            self._profile_entries = {profile.name: self._build_profile(profile.name) for profile in profiles}
        for profile in profiles:
            entry = self._profile_entries[profile.name]
            _set_text(entry, profile_sentence(profile).replace("&", "&&"))
            entry.setChecked(profile.active)
        self._profiles.menuAction().setEnabled(running and bool(profiles))
        self._profiles.menuAction().setVisible(bool(self._profile_entries))
        name = "" if status is None or not profiles else status.profile.name
        words = (
            self.tr("P&rofile: {name}").format(name=name.replace("&", "&&")) if name else self.tr("P&rofile")
        )
        _set_text(self._profiles.menuAction(), words)

    def _build_profile(self, name: str) -> QAction:
        action = self._profiles.addAction("")
        action.setCheckable(True)
        self._profile_group.addAction(action)
        action.triggered.connect(lambda: self._choose_profile(name))
        return action

    def _choose_profile(self, name: str) -> None:
        self._actions.set_profile(name)
        # What the entries show is the engine's to say: Qt has moved the mark already.
        self.refresh()

    @property
    def _local_only(self) -> bool:
        status = self._model.status
        return status is not None and status.profile.local_only

    def _build_copy(self) -> QMenu:
        menu = PaintedMenu(self.tr("&Copy endpoint"), self.menu)
        self._add(menu, self.tr("&OpenAI URL"), lambda: self._copy_text("openai"))
        self._add(menu, self.tr("&Anthropic URL"), lambda: self._copy_text("anthropic"))
        self._add(menu, self.tr("&Token"), lambda: self._copy_text("token"))
        self.menu.addMenu(menu)
        return menu

    def _copy_text(self, what: str) -> None:
        status = self._model.status
        if status is None:
            return
        text = {
            "openai": status.openai_url,
            "anthropic": status.anthropic_url,
            "token": self._model.token,
        }[what]
        QGuiApplication.clipboard().setText(text)

    def _draw_icons(self) -> None:
        text = theme.colors.text
        name, role = phase_icon(self._model.phase)
        if self._model.phase is Phase.RUNNING and self._local_only:
            name = "approvals"
        self._state.setIcon(icons.icon(name, role_color(role)))
        self._sessions.draw_icon()
        starts = self._model.startable
        self._start.setIcon(icons.icon("start" if starts else "stop", text))
        self._pause.setIcon(icons.icon("pause", text))
        self._resume.setIcon(icons.icon("start", text))
        for tier, action in self._tiers.items():
            action.setIcon(icons.tier_icon(tier, theme.colors))
        self._profiles.setIcon(icons.icon("approvals" if self._local_only else "settings", text))
        self._indexing.setIcon(icons.icon("routing", text))
        self._spent.setIcon(icons.icon("spend", text))
        self._copy.setIcon(icons.icon("copy", text))
        self._logs.setIcon(icons.icon("logs", text))

    @staticmethod
    def _add(menu: QMenu, text: str, act: Callable[[], object]) -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda: act())
        return action


def _set_text(action: QAction, text: str) -> None:
    """Leaves an equal text alone: each change goes to the panel over D-Bus."""
    if action.text() != text:
        action.setText(text)
