"""Options of agents' sessions: when one is paused because it goes round in circles."""

from __future__ import annotations

from pydantic import Field

from lynkr_desktop.engine.config.base import Options


class LoopGuardOptions(Options):
    """sessions.loop_guard"""

    enabled: bool = Field(
        True,
        description="Pause a session whose agent goes round in circles, until a person resumes it.",
    )
    failed_actions: int = Field(
        15,
        ge=3,
        le=1_000,
        description="Pause after so many failed actions in a row: errors of tools, exit codes other than 0.",
    )
    same_action: int = Field(
        4,
        ge=2,
        le=1_000,
        description="Pause after the same action with the same output so many times in a row. "
        "Waiting, and looking whether something is done, does not count.",
    )
    alternating: int = Field(
        6,
        ge=2,
        le=500,
        description="Pause after the same two actions, with the same outputs, took turns so many times.",
    )
    iterations: int = Field(
        200,
        ge=2,
        le=100_000,
        description="Pause after so many turns of the model since a person last said something.",
    )


class SessionOptions(Options):
    """sessions"""

    loop_guard: LoopGuardOptions = Field(
        default_factory=LoopGuardOptions,
        description="What counts as going round in circles.",
    )
