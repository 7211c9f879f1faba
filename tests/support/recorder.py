"""The UI's actions, recorded instead of done."""

from __future__ import annotations

from lynkr_desktop.protocol.routing import ExplainRequest, Mark
from lynkr_desktop.protocol.sessions import SessionAct
from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.engine_model import Remedy


class Recorder:
    """`calls` lists what was asked for, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.routing = RoutingRecorder(self.calls)

    def start(self) -> None:
        self.calls.append(("start",))

    def stop(self) -> None:
        self.calls.append(("stop",))

    def pause(self, seconds: float | None) -> None:
        self.calls.append(("pause", seconds))

    def resume(self) -> None:
        self.calls.append(("resume",))

    def set_tier(self, tier: Tier, enabled: bool) -> None:
        self.calls.append(("set_tier", tier, enabled))

    def set_profile(self, name: str) -> None:
        self.calls.append(("set_profile", name))

    def act_on_session(self, session: str, act: SessionAct) -> None:
        self.calls.append(("act_on_session", session, act))

    def pull_model(self, model_id: str) -> None:
        self.calls.append(("pull_model", model_id))

    def cancel_pull(self, model_id: str) -> None:
        self.calls.append(("cancel_pull", model_id))

    def remove_model(self, model_id: str) -> None:
        self.calls.append(("remove_model", model_id))

    def reload_config(self) -> None:
        self.calls.append(("reload_config",))

    def remedy(self, remedy: Remedy) -> None:
        self.calls.append(("remedy", remedy))

    def quit(self) -> None:
        self.calls.append(("quit",))


class RoutingRecorder:
    """What the Routing page asks for; that it is looked at is not an act."""

    def __init__(self, calls: list[tuple[object, ...]]) -> None:
        self._calls = calls

    def watch(self, seen: bool) -> None:
        pass

    def list_decisions(self, *, misrouted: bool) -> None:
        self._calls.append(("list_decisions", misrouted))

    def load_older(self) -> None:
        self._calls.append(("load_older",))

    def mark(self, decision_id: str, mark: Mark) -> None:
        self._calls.append(("mark", decision_id, mark))

    def explain(self, request: ExplainRequest) -> None:
        self._calls.append(("explain", request))

    def show_code(self, workspace: str) -> None:
        self._calls.append(("show_code", workspace))

    def index_again(self) -> None:
        self._calls.append(("index_again",))
