"""The UI's actions, recorded instead of done."""

from __future__ import annotations

from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.engine_model import Remedy


class Recorder:
    """`calls` lists what was asked for, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

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
