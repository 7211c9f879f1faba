"""Blocks for upstreams that mark none: text and reasoning run on until something else comes."""

from __future__ import annotations

from lynkr_desktop.engine.wire.canonical import (
    BlockStarted,
    BlockStopped,
    Event,
    Json,
    Text,
    Thinking,
    ToolInputDelta,
    ToolUse,
)
from lynkr_desktop.engine.wire.fields import encode_json


class Blocks:
    """Numbers and opens the blocks of one reply, strictly one after the other."""

    def __init__(self) -> None:
        self.count = 0
        self._open: type[Text] | type[Thinking] | None = None

    @property
    def index(self) -> int:
        """Of the newest block."""
        return self.count - 1

    def into(self, kind: type[Text] | type[Thinking]) -> list[Event]:
        """Opens a block of text or thinking unless one of this kind is open."""
        if self._open is kind:
            return []
        events = self.close()
        self._open = kind
        self.count += 1
        return [*events, BlockStarted(self.index, kind(""))]

    def call(self, call_id: str, name: str, arguments: Json) -> list[Event]:
        """A whole tool call."""
        events = self.close()
        self.count += 1
        return [
            *events,
            BlockStarted(self.index, ToolUse(call_id, name, {})),
            ToolInputDelta(self.index, encode_json(arguments).decode()),
            BlockStopped(self.index),
        ]

    def close(self) -> list[Event]:
        """Closes what is open."""
        if self._open is None:
            return []
        self._open = None
        return [BlockStopped(self.index)]
