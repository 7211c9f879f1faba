"""What a session costs where the provider caches prompts, in tokens of uncached input.

A provider serves the longest row of blocks that some earlier request of the session began with. Cached
prompts are taken to outlive the pauses between turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.fidelity.blocks import Row, common, total

READ, WRITE = 0.1, 1.25
_LEAST = 1024
"""Tokens of a prompt below which neither provider caches."""

_STEP = 128
"""OpenAI reads in steps of so many tokens."""

OUTPUT = 5.0
"""Price of a token of output beside one of input."""

CALL_TOKENS = 40
"""Tokens that the model writes to get something back: the call with its id."""

Biller = Callable[[Row, int], float]


def anthropic(row: Row, cached: int) -> float:
    """A prompt's cost: reads at a tenth, all else is written to the cache. `cached` counts tokens."""
    prompt = total(row)
    if prompt < _LEAST:
        return prompt
    cached = cached if cached >= _LEAST else 0
    return cached * READ + (prompt - cached) * WRITE


def openai(row: Row, cached: int) -> float:
    """A prompt's cost where writing costs nothing more and reading goes by steps."""
    cached = cached // _STEP * _STEP if cached >= _LEAST else 0
    return cached * READ + (total(row) - cached)


def session(prompts: Sequence[Sequence[Row]], bill: Biller) -> float:
    """What a session's prompts cost.

    Args:
        prompts: for each request of the client the prompts that the model got: one, and one more for each
            round in which it got something back.
        bill: the provider's prices.
    """
    seen: list[Row] = []
    spent = 0.0
    for rounds in prompts:
        for number, row in enumerate(rounds):
            length = max((common(row, earlier) for earlier in seen), default=0)
            spent += bill(row, sum(tokens for _, tokens in row[:length]))
            spent += CALL_TOKENS * OUTPUT if number else 0
            seen.append(row)
    return spent
