"""What was done to a prompt on its way: receipts of the stages, and what they changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

StageName = Literal[
    "smart_tool_selection",
    "code_mode_meta_tools",
    "distill_compression",
    "sha256_lru_cache",
    "memory_dedup",
    "sliding_window_history",
    "ml_headroom_sidecar",
]


class Receipt(Struct, frozen=True, kw_only=True):
    """What a stage did, or what a source put before the asks of a request.

    Attributes:
        stage: its name, or that of the source: `memory`.
        before: tokens of the request before it; 0 for a source.
        after: tokens after it; for a source those that it added.
        ms: milliseconds that it took.
        did: in words; why it was skipped where `skipped`.
        skipped: it failed or took too long, so nothing of it counts.
    """

    stage: str
    before: int
    after: int
    ms: float
    did: tuple[str, ...] = ()
    skipped: bool = False


def saved_tokens(receipts: Sequence[Receipt]) -> int:
    """Tokens that a prompt has fewer than it came with; below zero where it became longer."""
    return sum(receipt.before - receipt.after for receipt in receipts)


class PromptChange(Struct, frozen=True, kw_only=True):
    """One place of a prompt that went to the model otherwise than the client sent it.

    Attributes:
        place: for instance `turn 4, result of Bash`, or `tools`.
        before: as the client sent it, without secrets; empty where it was added.
        after: as it went to the model; empty where it was left out.
    """

    place: str
    before: str
    after: str


class PromptTurn(Struct, frozen=True, kw_only=True):
    """One turn of a prompt as the client sent it, without secrets; `role` may be `system`."""

    role: str
    text: str


class PromptView(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/requests/{id}/prompt.

    Attributes:
        id: of the request.
        receipts: of what was put into it, and of its stages, in their order.
        changes: empty where none was made, or where the texts are gone: only those of the latest requests
            are kept, in memory alone, unless telemetry.prompts stores them.
        kept: whether the texts are still there.
        asked: tools that the model called and the engine answered, in order.
        turns: the whole prompt, where telemetry.prompts stores it.
    """

    id: str
    receipts: tuple[Receipt, ...] = ()
    changes: tuple[PromptChange, ...] = ()
    kept: bool = False
    asked: tuple[str, ...] = ()
    turns: tuple[PromptTurn, ...] = ()
