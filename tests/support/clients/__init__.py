"""Strict clients of every protocol that Lynkr serves."""

from tests.support.clients.anthropic import AnthropicMessages
from tests.support.clients.base import (
    PNG,
    Answer,
    Ask,
    Broken,
    Client,
    Function,
    Picture,
    Problem,
    Result,
    Thought,
    ToolCall,
    Turn,
    Used,
    assistant,
    user,
)
from tests.support.clients.ollama import OllamaChat, OllamaGenerate
from tests.support.clients.openai_chat import OpenAIChat
from tests.support.clients.openai_responses import OpenAIResponses

ALL: tuple[Client, ...] = (
    AnthropicMessages(),
    OpenAIChat(),
    OpenAIResponses(),
    OllamaChat(),
    OllamaGenerate(),
)

__all__ = [
    "ALL",
    "PNG",
    "Answer",
    "AnthropicMessages",
    "Ask",
    "Broken",
    "Client",
    "Function",
    "OllamaChat",
    "OllamaGenerate",
    "OpenAIChat",
    "OpenAIResponses",
    "Picture",
    "Problem",
    "Result",
    "Thought",
    "ToolCall",
    "Turn",
    "Used",
    "assistant",
    "user",
]
