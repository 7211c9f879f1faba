"""Sessions that do not run, in words: the same in tray, menu and window."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from lynkr_desktop.protocol.sessions import SessionAct, SessionPause
from lynkr_desktop.ui.engine_model import EngineModel

ACTS: tuple[SessionAct, ...] = ("resume", "reset", "end")
"""What a person does with a session that is paused, in the order of the buttons."""

_LONGEST = 50
"""Characters of a title or an action in a line."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Sessions", text)


def paused(model: EngineModel) -> tuple[SessionPause, ...]:
    """The sessions that wait for a person, the latest first."""
    stopped = () if model.status is None else model.status.sessions_paused
    return tuple(session for session in stopped if session.state == "paused")


def agent(session: SessionPause) -> str:
    """The program that asks, as people call it."""
    return session.client if session.client not in ("", "unknown") else _tr("An agent")


def headline(session: SessionPause) -> str:
    """That it is paused, in a few words."""
    return _tr("{agent} is paused").format(agent=agent(session))


def sentence(session: SessionPause) -> str:
    """That it is paused, and why."""
    return _tr("{what}: {why}").format(what=headline(session), why=session.detail)


def named(session: SessionPause) -> str:
    """Which one it is: the program, and what it was asked."""
    if not session.title:
        return agent(session)
    return _tr("{agent}: {title}").format(agent=agent(session), title=short(session.title))


def titled(session: SessionPause) -> str:
    """That it is paused, and which one it is."""
    if not session.title:
        return headline(session)
    return _tr("{what}: {title}").format(what=headline(session), title=short(session.title))


def explained(session: SessionPause) -> str:
    """Why, with what it was doing last."""
    parts = [session.detail[:1].upper() + session.detail[1:] + "."]
    if session.action:
        parts.append(_tr("Last: {action}").format(action=short(session.action)))
    return " ".join(parts)


def short(text: str) -> str:
    """A text that fits a line."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def act_word(act: SessionAct) -> str:
    """The button that does it; `&` marks its letter."""
    return {
        "resume": _tr("Res&ume"),
        "reset": _tr("Start o&ver"),
        "end": _tr("&End"),
    }.get(act, act)


def act_tip(act: SessionAct) -> str:
    """What the button does."""
    return {
        "resume": _tr("Its agent may go on. Tell it what to do differently."),
        "reset": _tr("Its agent may go on as in a new session; the tier it was kept at is forgotten."),
        "end": _tr("Its agent is refused from now on."),
    }.get(act, "")


def done(session: SessionPause) -> str:
    """What a person is told after they chose; empty where they see it anyway."""
    if session.state != "ended":
        return ""
    return _tr("{agent}'s session is ended. `lynkr sessions remove {id}` lets it run again.").format(
        agent=agent(session), id=session.id
    )
