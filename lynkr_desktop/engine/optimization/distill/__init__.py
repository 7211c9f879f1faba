"""Tool results in fewer tokens, by their content; what is left out can be had back."""

from lynkr_desktop.engine.optimization.distill.stage import DistillStage

__all__ = ["DistillStage"]
