"""Anthropic Messages, spoken on both sides.

Source: https://platform.claude.com/docs/en/api/messages
"""

from lynkr_desktop.engine.wire.anthropic.client import AnthropicClient
from lynkr_desktop.engine.wire.anthropic.upstream import AnthropicUpstream

__all__ = ["AnthropicClient", "AnthropicUpstream"]
