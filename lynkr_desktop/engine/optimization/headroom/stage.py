"""The stage `ml_headroom_sidecar`: results of tools, shortened by Headroom where it is installed.

Headroom drops what it holds to be of no use, and does not say what. So each result that it shortened gets a
line with a handle of ours, under which the whole is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from lynkr_desktop.engine.config.schema import HeadroomOptions
from lynkr_desktop.engine.optimization.block_cache import block_key
from lynkr_desktop.engine.optimization.headroom.client import Result, Unanswered
from lynkr_desktop.engine.optimization.headroom.sidecar import shared_sidecar
from lynkr_desktop.engine.optimization.marks import arguments
from lynkr_desktop.engine.optimization.stage import Scene, Stage, left_out
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.wire.canonical import Block, Message, Request, Text, ToolResult, ToolUse

_LEAST, _MOST = 1_200, 300_000
"""Characters of a result that is worth the way, and of one that would take too long."""

_ASK = 2_000
_GAIN = 0.9
"""Part of its tokens that a shortened result may have at most, with its line."""

_HANDLE = re.compile(r"\br_[0-9a-f]{12}\b")


class HeadroomStage(Stage):
    """Lets Headroom shorten the results of tools.

    What it makes of a result depends on the result, its call and the ask before it. A result that was sent
    as it is, since Headroom was not there or not in time, stays so: shortening it later would rewrite a
    prefix that the provider has in its cache.

    Args:
        options: which program, and how long it may take.
        cache: folder of what can be made anew.
    """

    name = "ml_headroom_sidecar"

    def __init__(self, options: HeadroomOptions, cache: Path) -> None:
        self._seconds = options.timeout
        self.sidecar = shared_sidecar(options.command, cache)

    def apply(self, request: Request, scene: Scene) -> Request:
        """The request with shortened results; unchanged where what is left out could not be had back."""
        if not scene.restorable:
            return request
        self.sidecar.start()
        with self.sidecar.asked(self._seconds) as compress:
            work = _Work(scene, self._decided(scene, compress))
            messages = tuple(map(work.message, request.messages))
        if not self.sidecar.ready:
            scene.did.append(f"Headroom {self.sidecar.state}")
        if not work.shortened:
            return request
        scene.did.append(f"shortened {work.shortened} results by Headroom")
        return replace(request, messages=messages)

    def _decided(self, scene: Scene, compress: Callable[[Result], str]) -> Callable[[Result], str]:
        """What gives for a result the shortened one, or nothing where it stays: the same each time."""
        decisions = self.sidecar.decisions

        def decide(result: Result) -> str:
            key = block_key(result.ask, result.tool, result.arguments, result.text)
            decided = decisions.get(key)
            if decided is None:
                try:
                    text = compress(result)
                except Unanswered:
                    text = ""
                decided = text if text and _gains(result.text, text, scene) else ""
                decisions.put(key, decided, len(decided) + 100)
            return decided

        return decide


class _Work:
    """Goes through the messages of a request.

    Attributes:
        shortened: results so far.
    """

    def __init__(self, scene: Scene, decide: Callable[[Result], str]) -> None:
        self.shortened = 0
        self._scene = scene
        self._decide = decide
        self._calls: dict[str, ToolUse] = {}
        self._ask = ""

    def message(self, message: Message) -> Message:
        """The message with its results shortened; the same object where none is."""
        if message.role == "assistant":
            self._calls = {block.id: block for block in message.content if isinstance(block, ToolUse)}
            return message
        content = tuple(map(self._block, message.content))
        self._ask = clean_text(message)[:_ASK] or self._ask
        same = all(one is other for one, other in zip(content, message.content, strict=True))
        return message if same else replace(message, content=content)

    def _block(self, block: Block) -> Block:
        if not isinstance(block, ToolResult) or block.is_error or len(block.content) != 1:
            return block
        part, call = block.content[0], self._calls.get(block.tool_use_id)
        if call is None or not isinstance(part, Text) or not _LEAST <= len(part.text) <= _MOST:
            return block
        short = self._decide(Result(self._ask, call.name, arguments(call), part.text))
        if not short:
            return block
        self.shortened += 1
        text = _marked(part.text, short, self._scene.keep(part.text))
        return replace(block, content=(replace(part, text=text),))


def _marked(text: str, short: str, handle: str) -> str:
    lines = text.count("\n") + 1
    what = f"parts of {lines:,} lines" if lines > 1 else f"parts of {len(text):,} characters"
    return f"{short}\n{left_out(what, handle)}"


def _gains(text: str, short: str, scene: Scene) -> bool:
    """Whether a shortened result is worth its handle, and what it names under handles is still named."""
    if not set(_HANDLE.findall(text)) <= set(_HANDLE.findall(short)):
        return False
    return scene.count(_marked(text, short, "r_" + "0" * 12)) <= _GAIN * scene.count(text)
