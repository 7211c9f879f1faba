"""The stages that there are; each is imported when a pipeline first names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lynkr_desktop.engine.config.schema import HeadroomOptions, OptimizationOptions
from lynkr_desktop.engine.optimization.stage import Stage
from lynkr_desktop.protocol.optimization import StageName

HEADROOM: StageName = "ml_headroom_sidecar"
"""It waits for another process, which must never happen on the loop."""


def stage_makers(options: OptimizationOptions, cache: Path) -> Mapping[StageName, Callable[[], Stage]]:
    """What makes each stage, by name.

    Args:
        options: of the stages.
        cache: folder of what can be made anew.
    """
    return {
        "smart_tool_selection": _tool_selection,
        "code_mode_meta_tools": _meta_tools,
        "distill_compression": _distill,
        "memory_dedup": _dedup,
        "sliding_window_history": _window,
        HEADROOM: lambda: _headroom(options.headroom, cache),
    }


def headroom_state(options: OptimizationOptions, cache: Path) -> str:
    """How the Headroom sidecar is, as the end of a sentence; empty where no stage needs it."""
    if HEADROOM not in options.pipeline:
        return ""
    from lynkr_desktop.engine.optimization.headroom.sidecar import shared_sidecar

    return shared_sidecar(options.headroom.command, cache).state


def _tool_selection() -> Stage:
    from lynkr_desktop.engine.optimization.tool_selection import ToolSelectionStage

    return ToolSelectionStage()


def _meta_tools() -> Stage:
    from lynkr_desktop.engine.optimization.meta_tools import MetaToolsStage

    return MetaToolsStage()


def _distill() -> Stage:
    from lynkr_desktop.engine.optimization.distill import DistillStage

    return DistillStage()


def _dedup() -> Stage:
    from lynkr_desktop.engine.optimization.dedup import DedupStage

    return DedupStage()


def _window() -> Stage:
    from lynkr_desktop.engine.optimization.window import WindowStage

    return WindowStage()


def _headroom(options: HeadroomOptions, cache: Path) -> Stage:
    from lynkr_desktop.engine.optimization.headroom import HeadroomStage

    return HeadroomStage(options, cache)
