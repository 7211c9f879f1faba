"""The sessions that wait for a person, each as a banner with what can be done."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from lynkr_desktop.protocol.sessions import SessionAct, SessionPause
from lynkr_desktop.ui import session_words as words
from lynkr_desktop.ui.controller import Actions
from lynkr_desktop.ui.engine_model import EngineModel
from lynkr_desktop.ui.theme.tokens import Space, Type
from lynkr_desktop.ui.widgets.banner import Banner
from lynkr_desktop.ui.widgets.buttons import Button
from lynkr_desktop.ui.widgets.labels import Label

_SHOWN = 3


class SessionBanners(QWidget):
    """At most three banners, and a line that counts the others."""

    def __init__(self, model: EngineModel, actions: Actions) -> None:
        super().__init__()
        self._model = model
        self._banners = [SessionBanner(actions, letters=number == 0) for number in range(_SHOWN)]
        self._more = Label("", Type.CAPTION, "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(Space.M)
        for banner in self._banners:
            column.addWidget(banner)
        column.addWidget(self._more)
        self.refresh()

    def refresh(self) -> None:
        """Shows what waits now."""
        waiting = words.paused(self._model)
        for number, banner in enumerate(self._banners):
            banner.show_session(waiting[number] if number < len(waiting) else None)
        more = len(waiting) - _SHOWN
        if more > 0:
            self._more.set_text(
                self.tr("{n} more wait; `lynkr sessions` lists them.").format(n=more)
                if more > 1
                else self.tr("One more waits; `lynkr sessions` lists it.")
            )
        self._more.setVisible(more > 0)
        self.setVisible(bool(waiting))


class SessionBanner(Banner):
    """One session: who, why, and three buttons.

    Args:
        actions: what the buttons do.
        letters: whether its buttons have letters; those of two banners would collide.
    """

    def __init__(self, actions: Actions, *, letters: bool) -> None:
        super().__init__("state-paused", "risk")
        self._actions = actions
        self._session = ""
        self._buttons_of: dict[SessionAct, Button] = {}
        # The primary action is right-most.
        for act in reversed(words.ACTS):
            self._buttons_of[act] = self._button(act, letters)
            self.add_button(self._buttons_of[act])

    def _button(self, act: SessionAct, letters: bool) -> Button:
        text = words.act_word(act)
        made = Button(text if letters else text.replace("&", ""), dense=True, primary=act == "resume")
        made.setToolTip(words.act_tip(act))
        made.clicked.connect(lambda: self._actions.act_on_session(self._session, act))
        return made

    def show_session(self, session: SessionPause | None) -> None:
        """Shows a session; None hides the banner."""
        if session is None:
            self.setVisible(False)
            return
        self._session = session.id
        self.say(words.titled(session), words.explained(session))
        for act, made in self._buttons_of.items():
            plain = words.act_word(act).replace("&", "")
            made.setAccessibleName(f"{plain}: {words.agent(session)}")
