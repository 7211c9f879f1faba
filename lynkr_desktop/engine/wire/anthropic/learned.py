"""What a model refuses, learned from its own words: names of models say only so much of that.

Sources: messages of api.anthropic.com, and
https://platform.claude.com/docs/en/about-claude/models/migration-guide
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_MOST_TOKENS = re.compile(
    r"> (\d+), which is the maximum allowed number of output tokens"
    # Bedrock's own words for it
    r"|maximum tokens you requested exceeds the model limit of (\d+)"
)
_SAMPLER = re.compile(r"`?(temperature|top_p|top_k)`? is (?:deprecated|not supported)")
_THINKING = re.compile(r"thinking\.type\.(enabled|adaptive|disabled)\W+ is not supported")
_REFUSALS = (
    ("cannot both be specified", "one_sampler"),
    ("adaptive thinking is not supported", "adaptive"),
    ("effort parameter", "effort"),
    ("thinking is not supported", "thinking"),
    ("does not support thinking", "thinking"),
    ("Invalid `signature` in `thinking`", "signature"),
)


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known of one model beyond its name.

    Attributes:
        most_tokens: the most that max_tokens may be; None where that is not known.
        refused: what it does not take: names of samplers, `one_sampler` (temperature beside top_p), thinking
            that is `enabled`, `adaptive` or `disabled`, `thinking` at all, `effort`, a thought's `signature`.
    """

    most_tokens: int | None = None
    refused: frozenset[str] = frozenset()

    def taught(self, message: str) -> Learned | None:
        """What is known after an error of status 400; None where it teaches nothing new."""
        if found := _MOST_TOKENS.search(message):
            most = int(found[1] or found[2])
            known = self.most_tokens
            return replace(self, most_tokens=most) if most > 0 and (known is None or most < known) else None
        word = _refused_by(message)
        if not word or word in self.refused:
            return None
        return replace(self, refused=self.refused | {word})

    def lasting(self) -> Learned:
        """What holds for other requests too: signatures are wrong one by one."""
        return replace(self, refused=self.refused - {"signature"})


def _refused_by(message: str) -> str:
    if found := _SAMPLER.search(message) or _THINKING.search(message):
        return found[1]
    return next((word for mark, word in _REFUSALS if mark in message), "")
