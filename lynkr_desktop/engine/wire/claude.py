"""What a Claude model takes, told by its name: the same on every service that sells it.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html,
https://docs.claude.com/en/docs/build-with-claude/extended-thinking
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LEAST_BUDGET = 1024
"""The smallest budget of thinking tokens."""

BUDGETS = {"minimal": LEAST_BUDGET, "low": 4096, "medium": 12288, "high": 24576, "xhigh": 24576, "max": 24576}
"""Thinking tokens for models that know no effort; all fit into the shortest answers' limit, 32,000 tokens."""

EFFORTS = {"minimal": "low"}
"""Efforts that have another name at Claude."""

_VERSION = re.compile(r"claude-(?:[a-z]+-)?v?(\d+)(?:[-.:](\d{1,2}))?(?!\d)")
_NEWEST = (99, 0)


@dataclass(frozen=True, slots=True)
class ClaudeModel:
    """A generation of Claude; a name without a version counts as the newest."""

    version: tuple[int, int]

    @property
    def thinks(self) -> bool:
        """Whether it can think before it answers."""
        return self.version >= (3, 7)

    @property
    def adaptive(self) -> bool:
        """Whether it finds out by itself how much to think, guided by an effort."""
        return self.version >= (4, 6)

    @property
    def takes_budget(self) -> bool:
        """Whether thinking can be given a budget in tokens."""
        return (3, 7) <= self.version < (4, 7)

    @property
    def samples(self) -> bool:
        """Whether temperature, top_p and top_k can be set; newer ones refuse them."""
        return self.version < (4, 7)

    @property
    def one_sampler(self) -> bool:
        """Whether temperature and top_p exclude each other."""
        return self.version >= (4, 1)


def claude_model(model: str) -> ClaudeModel | None:
    """The generation that a model's name (or ARN) tells; None where it is no Claude."""
    name = model.lower()
    if "claude" not in name:
        return None
    found = _VERSION.search(name)
    if found is None:
        return ClaudeModel(_NEWEST)
    return ClaudeModel((int(found[1]), int(found[2] or 0)))
