"""Ollama's native protocol on both sides: POST /api/chat and /api/generate, newline-delimited JSON.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md. What differs from the other protocols:
arguments of tool calls are objects, and a history that holds them as strings is refused; calls have no ids on
most versions; `done_reason` is "stop" after tool calls too; an error may come as a line within HTTP 200.
"""

from lynkr_desktop.engine.wire.ollama.client import OllamaChatClient, OllamaGenerateClient
from lynkr_desktop.engine.wire.ollama.embed import (
    OllamaEmbedClient,
    OllamaEmbeddingsClient,
    decode_embeddings,
)
from lynkr_desktop.engine.wire.ollama.forwarded import ForwardedBody
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
    "ForwardedBody",
    "OllamaChatClient",
    "OllamaEmbedClient",
    "OllamaEmbeddingsClient",
    "OllamaGenerateClient",
    "OllamaStreamDecoder",
    "OllamaUpstream",
    "Think",
    "decode_embeddings",
    "dropped_fields",
    "offered_tools",
    "think_of",
]
