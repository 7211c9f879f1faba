"""Runs the stages that the configuration names, in its order, each with a receipt.

A stage that fails, or takes too long, is skipped: its request goes on as it was before. Nothing here ever
fails a request.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.optimization.readers import can_read, readers
from lynkr_desktop.engine.optimization.restore import restorer
from lynkr_desktop.engine.optimization.stage import (
    RESTORE_TOOL,
    InnerTool,
    OutOfTime,
    Scene,
    Stage,
)
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.wire.canonical import Block, Request, ToolResult, ToolUse
from lynkr_desktop.protocol.optimization import Receipt, saved_tokens

log = logging.getLogger(__name__)


class Broken(Exception):
    """A stage gave back a request whose structure does not hold. The message says what."""


class Optimized(Struct, frozen=True):
    """A request as it goes to the model.

    Attributes:
        request: the same object where no stage changed anything.
        receipts: one per stage that ran.
        inner: what answers the tools that the engine added, and those of the client's own by which the model
            may read what was left out, by name.
    """

    request: Request
    receipts: tuple[Receipt, ...] = ()
    inner: dict[str, InnerTool] = {}

    @property
    def saved(self) -> int:
        """Tokens that the prompt has fewer."""
        return saved_tokens(self.receipts)


class Pipeline:
    """Some stages in their order.

    Args:
        stages: to run.
        seconds: that each may take.
    """

    def __init__(self, stages: Sequence[Stage], seconds: float = 0.5) -> None:
        self._stages = tuple(stages)
        self._seconds = seconds

    def __bool__(self) -> bool:
        return bool(self._stages)

    def idle(self, request: Request, window: int | None = None) -> bool:
        """Whether it can be told at once that nothing will change: most short questions offer no tools."""
        if request.offers_tools:
            return False
        return all(stage.idle(request, window) for stage in self._stages)

    def run(self, request: Request, window: int | None = None, *, tool: bool = False) -> Optimized:
        """Runs the stages; takes milliseconds for usual sizes, so long requests belong into a thread.

        Args:
            request: as the client sent it.
            window: tokens that the target takes for prompt and answer, None where that is not known.
            tool: whether, where something was left out, `lynkr_restore` goes along although the model could
                read it by the client's own tools. The same for all turns of a conversation.
        """
        if not self._stages:
            return Optimized(request)
        restorable = request.offers_tools and request.tool_choice.kind == "auto"
        scene = Scene(count=tokens.count, restorable=restorable, window=window, seconds=self._seconds)
        receipts: list[Receipt] = []
        changed = request
        before = tokens.of_request(request)
        for stage in self._stages:
            changed, receipt = self._apply(stage, changed, scene, before)
            before = receipt.after
            receipts.append(receipt)
        if restorable and (not can_read(changed.tools) or (tool and scene.originals)):
            # Without tools of the client's for it from the first turn on: tools stand before all turns.
            scene.offer(RESTORE_TOOL, restorer(scene.originals, window))
        added = tuple(tool for tool, _ in scene.inner.values())
        if taken := {tool.name for tool in added} & {tool.name for tool in request.tools}:
            log.info("the client has tools of its own named %s; nothing is shortened", ", ".join(taken))
            return Optimized(request)
        inner = {name: answer for name, (_, answer) in scene.inner.items()}
        if scene.originals:
            inner |= readers(changed.tools, scene.originals, window)
        changed = replace(changed, tools=(*changed.tools, *added)) if added else changed
        return Optimized(changed, tuple(receipts), inner)

    def _apply(self, stage: Stage, request: Request, scene: Scene, before: int) -> tuple[Request, Receipt]:
        began = time.perf_counter()
        originals, inner, parted = dict(scene.originals), dict(scene.inner), scene.parted
        scene.begin()
        why = ""
        try:
            changed = stage.apply(request, scene)
            if changed is not request:
                _check(request, changed)
        except OutOfTime:
            why = f"took longer than {self._seconds:g} s"
        except Broken as error:
            why = str(error)
            log.error("the stage %s broke a request: %s", stage.name, error)
        except Exception:  # whatever a stage trips over, the request goes on without it
            why = "failed inside; the log has the details"
            log.exception("the stage %s failed", stage.name)
        if why:
            scene.originals, scene.inner, scene.parted = originals, inner, parted
            changed = request
        after = before if changed is request else tokens.of_request(changed)
        ms = (time.perf_counter() - began) * 1e3
        did = (why,) if why else tuple(scene.did)
        return changed, Receipt(
            stage=stage.name, before=before, after=after, ms=round(ms, 2), did=did, skipped=bool(why)
        )


def _check(before: Request, after: Request) -> None:
    """Raises `Broken` where a stage touched what none may touch."""
    if after.system != before.system:
        raise Broken("the system prompt was changed")
    # Beside them a line may stand that tells of turns which were left out.
    left = (block for message in after.messages if message.role == "user" for block in message.content)
    if not all(any(block == other for other in left) for block in _words(before)):
        raise Broken("the newest words of a person were changed")
    if _loose(after) > _loose(before):
        raise Broken("a tool call and its result were parted")
    if _repeated(after) > _repeated(before):
        raise Broken("two turns of one role follow each other")
    needed = {before.tool_choice.name} & {tool.name for tool in before.tools}
    if needed - {tool.name for tool in after.tools}:
        raise Broken(f"the tool {before.tool_choice.name}, which must be called, is not offered")


def _words(request: Request) -> list[Block]:
    """What stands beside results in the last turn, or else in the newest one with words of a person."""
    for place, message in enumerate(reversed(request.messages)):
        words: list[Block] = [block for block in message.content if not isinstance(block, ToolResult)]
        if message.role == "user" and words and (not place or clean_text(message)):
            return words
    return []


def _loose(request: Request) -> int:
    """Results without their call before them, and calls that are not answered in the next turn."""
    open_calls: set[str] = set()
    loose = 0
    for message in request.messages:
        results = {block.tool_use_id for block in message.content if isinstance(block, ToolResult)}
        if message.role == "user":
            loose += len(open_calls ^ results)
            open_calls = set()
        else:
            loose += len(open_calls)
            open_calls = {block.id for block in message.content if isinstance(block, ToolUse)}
    return loose


def _repeated(request: Request) -> int:
    roles = [message.role for message in request.messages]
    return sum(one == other for one, other in pairwise(roles))
