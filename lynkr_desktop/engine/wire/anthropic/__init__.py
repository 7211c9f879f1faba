"""Anthropic Messages, spoken to clients.

Source: https://docs.anthropic.com/en/api/messages
"""

from lynkr_desktop.engine.wire.anthropic.client import AnthropicClient

__all__ = ["AnthropicClient"]
