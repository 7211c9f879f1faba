"""OpenAI Chat Completions, spoken on both sides.

Source: https://platform.openai.com/docs/api-reference/chat
"""

from lynkr_desktop.engine.wire.openai_chat.client import OpenAIChatClient
from lynkr_desktop.engine.wire.openai_chat.upstream import OpenAIChatUpstream

__all__ = ["OpenAIChatClient", "OpenAIChatUpstream"]
