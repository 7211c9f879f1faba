"""Headroom, a compressor of prompts that people install beside Lynkr, as a local process."""

from lynkr_desktop.engine.optimization.headroom.stage import HeadroomStage

__all__ = ["HeadroomStage"]
