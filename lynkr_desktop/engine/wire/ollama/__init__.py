"""Ollama's native chat, as a provider speaks it: POST /api/chat, newline-delimited JSON.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md. What differs from the other protocols:
arguments of tool calls are objects, and a history that holds them as strings is refused; calls have no ids on
most versions; `done_reason` is "stop" after tool calls too; an error may come as a line within HTTP 200.
"""

from lynkr_desktop.engine.wire.ollama.outgoing import (
    ChatBody,
    Think,
    dropped_fields,
    offered_tools,
    think_of,
)
from lynkr_desktop.engine.wire.ollama.upstream import OllamaStreamDecoder, OllamaUpstream

__all__ = [
    "ChatBody",
    "OllamaStreamDecoder",
    "OllamaUpstream",
    "Think",
    "dropped_fields",
    "offered_tools",
    "think_of",
]
