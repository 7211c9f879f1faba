"""The entry of the tray's menu for sessions that wait for a person."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QMenu

from lynkr_desktop.protocol.sessions import SessionAct, SessionPause
from lynkr_desktop.ui import session_words as words
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.theme import icons
from lynkr_desktop.ui.widgets.icons import role_color
from lynkr_desktop.ui.widgets.painted_menu import PaintedMenu

_SHOWN = 3


class SessionMenu:
    """One entry, however many wait: with one session it names it, with more it counts them.

    Args:
        parent: the tray's menu; the entry goes to its present end.
        model: knows which sessions wait.
        actions: what the entries do.
    """

    def __init__(self, parent: QMenu, model: EngineModel, actions: Actions) -> None:
        self._model, self._actions = model, actions
        self._shown: tuple[SessionPause, ...] | None = None
        self._menu = PaintedMenu("", parent)
        parent.addMenu(self._menu)

    def refresh(self) -> None:
        """Shows what waits now; built anew only when that is something else."""
        waiting = words.paused(self._model)
        if waiting == self._shown:
            return
        self._shown = waiting
        entry = self._menu.menuAction()
        entry.setVisible(bool(waiting))
        self._menu.clear()
        if len(waiting) == 1:
            entry.setText(_plain(words.sentence(waiting[0])))
        elif waiting:
            entry.setText(_tr("{n} sessions are paused").format(n=len(waiting)))
        for number, session in enumerate(waiting[:_SHOWN]):
            if len(waiting) > 1:
                if number:
                    self._menu.addSeparator()
                self._menu.addAction(_plain(words.named(session))).setEnabled(False)
            for act in words.ACTS:
                self._add(session.id, act)

    def _add(self, session: str, act: SessionAct) -> None:
        entry = self._menu.addAction(words.act_word(act))
        entry.triggered.connect(lambda: self._actions.act_on_session(session, act))

    def draw_icon(self) -> None:
        """Draws the entry's icon in the colours of the theme."""
        self._menu.setIcon(icons.icon("state-paused", role_color("risk")))


def _tr(text: str) -> str:
    return QCoreApplication.translate("Sessions", text)


def _plain(text: str) -> str:
    """A text in which no letter is marked."""
    return text.replace("&", "&&")
