"""Gemini's generateContent, spoken to Vertex AI and to the Gemini API.

Sources: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://ai.google.dev/api/generate-content
"""

from lynkr_desktop.engine.wire.gemini.signatures import Signatures
from lynkr_desktop.engine.wire.gemini.upstream import GeminiUpstream

__all__ = ["GeminiUpstream", "Signatures"]
