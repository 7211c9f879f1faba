"""What a Claude model's name tells, as every service writes it."""

from __future__ import annotations

import pytest

from lynkr_desktop.engine.wire.claude import claude_model


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-opus-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-3-5-haiku-latest", (3, 5)),
        ("claude-3-haiku-20240307", (3, 0)),
        ("claude-sonnet-4-5@20250929", (4, 5)),
        ("anthropic.claude-v2:1", (2, 1)),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", (4, 0)),
        ("anthropic.claude-opus-4-6-v1", (4, 6)),
        ("anthropic/claude-sonnet-4.5", (4, 5)),
        ("Claude-Fable-5", (5, 0)),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0", (3, 5)),
    ],
)
def test_versions(name: str, version: tuple[int, int]) -> None:
    model = claude_model(name)
    assert model is not None
    assert model.version == version


@pytest.mark.parametrize("name", ["claude-mythos-preview", "my-claude", "anthropic.claude"])
def test_a_name_without_a_version_counts_as_the_newest(name: str) -> None:
    model = claude_model(name)
    assert model is not None
    assert (model.thinks, model.adaptive, model.takes_budget, model.samples) == (True, True, False, False)


@pytest.mark.parametrize("name", ["gpt-4o", "amazon.nova-pro-v1:0", "", "claud-3"])
def test_other_models_are_none(name: str) -> None:
    assert claude_model(name) is None


@pytest.mark.parametrize(
    ("name", "thinks", "adaptive", "takes_budget", "samples", "one_sampler"),
    [
        ("claude-3-5-sonnet-20241022", False, False, False, True, False),
        ("claude-3-7-sonnet-20250219", True, False, True, True, False),
        ("claude-sonnet-4-5", True, False, True, True, True),
        ("claude-opus-4-6", True, True, True, True, True),
        ("claude-opus-4-7", True, True, False, False, True),
        ("claude-opus-5", True, True, False, False, True),
    ],
)
def test_what_each_generation_takes(
    name: str, thinks: bool, adaptive: bool, takes_budget: bool, samples: bool, one_sampler: bool
) -> None:
    model = claude_model(name)
    assert model is not None
    assert (model.thinks, model.adaptive, model.takes_budget) == (thinks, adaptive, takes_budget)
    assert (model.samples, model.one_sampler) == (samples, one_sampler)
