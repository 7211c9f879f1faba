"""The engine's state in words and in a shape, the same in window, tray and menu."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from lynkr_desktop.protocol.control import ProfileStatus
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui import format as fmt
from lynkr_desktop.ui.engine_model import EngineModel, Phase


def _tr(text: str) -> str:
    return QCoreApplication.translate("State", text)


def phase_icon(phase: Phase) -> tuple[str, str]:
    """The icon of a phase and the colour role it is shown in."""
    return {
        Phase.STOPPED: ("state-stopped", "muted"),
        Phase.STARTING: ("more", "muted"),
        Phase.RUNNING: ("state-running", "ok"),
        Phase.PAUSED: ("state-paused", "muted"),
        Phase.STOPPING: ("more", "muted"),
        Phase.PROBLEM: ("state-problem", "risk"),
    }[phase]


def phase_word(model: EngineModel) -> str:
    """The state in one or two words."""
    return {
        Phase.STOPPED: _tr("Stopped"),
        Phase.STARTING: _tr("Starting"),
        Phase.RUNNING: _tr("Running"),
        Phase.PAUSED: _tr("Paused"),
        Phase.STOPPING: _tr("Stopping"),
        Phase.PROBLEM: _tr("Problem"),
    }[model.phase]


def phase_detail(model: EngineModel) -> str:
    """What stands under the word: profile or port, until when it pauses, what it still finishes."""
    status = model.status
    if model.phase is Phase.PAUSED and status is not None and status.paused_until is not None:
        return _tr("until {time}").format(time=fmt.clock(status.paused_until))
    if model.phase is Phase.STOPPING:
        return finishing(0 if status is None else status.active)
    if model.port is not None and model.phase is not Phase.PROBLEM:
        return profile_word(model) or _tr("Port {port}").format(port=model.port)
    if model.phase is Phase.PROBLEM and model.problem is not None:
        return model.problem.title
    return ""


def phase_sentence(model: EngineModel) -> str:
    """One line for the tray: its first menu entry and its tool tip."""
    status = model.status
    match model.phase:
        case Phase.RUNNING if model.port is not None:
            running = _tr("Running on port {port}").format(port=model.port)
            return f"{running}, {profile}" if (profile := profile_word(model)) else running
        case Phase.PAUSED if status is not None and status.paused_until is not None:
            return _tr("Paused until {time}").format(time=fmt.clock(status.paused_until))
        case Phase.STOPPING if status is not None and status.active:
            return finishing(status.active)
        case Phase.PROBLEM if model.problem is not None:
            return model.problem.title
    return phase_word(model)


def profile_word(model: EngineModel) -> str:
    """The profile in force where it is not the usual one, in a word or two; else nothing."""
    if model.status is None:
        return ""
    profile = model.status.profile
    if profile.name == "default":
        return _tr("local only") if profile.local_only else ""
    return profile.name


def profile_sentence(profile: ProfileStatus) -> str:
    """A profile with what it means, as a menu shows it."""
    if profile.local_only:
        return _tr("{profile}: nothing leaves this machine").format(profile=profile.name)
    return profile.name


def finishing(active: int) -> str:
    """How much is still to be done before the engine ends."""
    if active == 1:
        return _tr("Finishing 1 request")
    if active:
        return _tr("Finishing {n} requests").format(n=active)
    return ""


def tier_name(tier: Tier) -> str:
    """A tier's name."""
    return {
        Tier.SIMPLE: _tr("Simple"),
        Tier.MEDIUM: _tr("Medium"),
        Tier.COMPLEX: _tr("Complex"),
        Tier.REASONING: _tr("Reasoning"),
    }[tier]
