"""The signatures of Gemini's tool calls, kept until the calls come back.

Gemini 3 signs a call and refuses the conversation when the signature is missing. No client protocol has a
place for it, so it is remembered by the call's id, in memory only. What is not remembered any more, or was
called by another model, goes with the value that Google documents for such calls.
Source: https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

from collections import OrderedDict

UNSIGNED = "skip_thought_signature_validator"
"""Stands for the signature of a call that Gemini did not sign."""

_MOST = 4096
"""Signatures are some kilobytes long; the oldest are forgotten first."""


class Signatures:
    """Signatures by the id of their call."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, str] = OrderedDict()

    def keep(self, call_id: str, signature: str) -> None:
        """Remembers the signature of a call."""
        self._by_id[call_id] = signature
        if len(self._by_id) > _MOST:
            self._by_id.popitem(last=False)

    def of(self, call_id: str) -> str | None:
        """The signature of a call, None where there is none."""
        if call_id in self._by_id:
            self._by_id.move_to_end(call_id)
        return self._by_id.get(call_id)
