"""OpenAI Responses, spoken on both sides.

Source: https://platform.openai.com/docs/api-reference/responses and the types of the openai package.
"""

from lynkr_desktop.engine.wire.openai_responses.client import ResponsesClient
from lynkr_desktop.engine.wire.openai_responses.sealed import without_foreign_reasoning
from lynkr_desktop.engine.wire.openai_responses.upstream import ResponsesStreamDecoder, ResponsesUpstream

__all__ = ["ResponsesClient", "ResponsesStreamDecoder", "ResponsesUpstream", "without_foreign_reasoning"]
