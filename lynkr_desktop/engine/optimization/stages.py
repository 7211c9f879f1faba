"""The stages that there are; each is imported when a pipeline first names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lynkr_desktop.engine.optimization.stage import Stage
from lynkr_desktop.protocol.optimization import StageName


def stage_makers() -> Mapping[StageName, Callable[[], Stage]]:
    """What makes each stage, by name."""
    return {"distill_compression": _distill, "memory_dedup": _dedup, "sliding_window_history": _window}


def _distill() -> Stage:
    from lynkr_desktop.engine.optimization.distill import DistillStage

    return DistillStage()


def _dedup() -> Stage:
    from lynkr_desktop.engine.optimization.dedup import DedupStage

    return DedupStage()


def _window() -> Stage:
    from lynkr_desktop.engine.optimization.window import WindowStage

    return WindowStage()
