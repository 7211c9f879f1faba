"""Prices: right where they are known, None where not, never from the network."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.telemetry.prices import Prices, Seller
from lynkr_desktop.engine.wire.canonical import Usage

USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000)


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Prices:
    def no_network(*_: object) -> None:
        raise AssertionError("prices must not use the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    return Prices()


def test_known_models_have_their_published_price(prices: Prices) -> None:
    assert prices.cost(Seller("openai", "openai"), "gpt-4o", USAGE) == pytest.approx(2.50 + 1.00)
    assert prices.cost(Seller("azure", "azure"), "gpt-4o", USAGE) == pytest.approx(2.50 + 1.00)
    assert prices.cost(Seller("openai", "openai"), "o3-mini", USAGE) == pytest.approx(1.10 + 0.44)
    assert prices.cost(Seller("anthropic", "anthropic"), "claude-opus-4", USAGE) == pytest.approx(15 + 7.5)
    assert prices.cost(Seller("vertex", "vertex"), "gemini-2.0-flash", USAGE) is not None
    assert prices.cost(Seller("openai_compatible", "groq"), "llama-3.3-70b-versatile", USAGE) is not None


def test_cached_tokens_have_their_own_price(prices: Prices) -> None:
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, cache_write_tokens=100_000)
    cost = prices.cost(Seller("anthropic", "anthropic"), "claude-opus-4", usage)
    assert cost == pytest.approx(0.5 * 15 + 0.4 * 1.5 + 0.1 * 18.75)
    assert prices.cost(
        Seller("openai", "openai"), "gpt-4o", Usage(input_tokens=1_000_000, cached_tokens=1_000_000)
    ) == (pytest.approx(1.25))


@pytest.mark.parametrize("model", ["claude-opus-4-5", "claude-opus-4-5@20251101"])
def test_claude_on_vertex_is_priced_with_what_its_cache_wrote(prices: Prices, model: str) -> None:
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, cache_write_tokens=100_000)
    cost = prices.cost(Seller("vertex", "vertex"), model, usage)
    assert cost == pytest.approx(0.5 * 5 + 0.4 * 0.5 + 0.1 * 6.25)


def test_openrouter_finds_a_model_with_and_without_its_vendor(prices: Prices) -> None:
    usage = Usage(input_tokens=100_000, output_tokens=10_000)
    full = prices.cost(Seller("openrouter", "openrouter"), "anthropic/claude-sonnet-4.5", usage)
    assert full == pytest.approx(0.3 + 0.15)
    assert prices.cost(Seller("openrouter", "openrouter"), "claude-sonnet-4.5", usage) == full


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", 3 + 1.5),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", 3 + 1.5),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", 3 + 1.5),
        # Regional profiles of the newer models cost a tenth more.
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 1.1 * (3 + 1.5)),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0", 3 + 1.5),
        ("amazon.nova-pro-v1:0", 0.8 + 0.32),
        ("us.amazon.nova-lite-v1:0", 0.06 + 0.024),
    ],
)
def test_bedrocks_names_have_their_price(prices: Prices, model: str, price: float) -> None:
    assert prices.cost(Seller("bedrock", "aws-east"), model, USAGE) == pytest.approx(price)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"),
        ("bedrock", "mycompany.mymodel-v1:0"),
        ("azure", "my-deployment"),
    ],
)
def test_names_that_tell_no_model_have_no_price(prices: Prices, kind: str, model: str) -> None:
    assert prices.cost(Seller(kind, kind), model, USAGE) is None


def test_long_prompts_have_the_price_of_long_prompts(prices: Prices) -> None:
    assert prices.cost(
        Seller("openrouter", "openrouter"), "anthropic/claude-sonnet-4.5", USAGE
    ) == pytest.approx(6 + 2.25)


def test_local_models_cost_nothing_and_unknown_ones_are_unknown(prices: Prices) -> None:
    assert prices.cost(Seller("ollama", "ollama"), "gpt-4o", USAGE) == 0.0
    assert prices.cost(Seller("embedded", "embedded"), "qwen", USAGE) == 0.0
    assert prices.cost(Seller("openai", "openai"), "no-such-model", USAGE) is None
    assert prices.cost(Seller("openai", "openai"), "", USAGE) is None
    assert prices.cost(Seller("openai_compatible", "lmstudio"), "gpt-4o", USAGE) is None
    assert prices.cost(Seller("bedrock", "bedrock"), "anthropic.claude", USAGE) is None


@given(st.builds(Usage, *[st.integers(-5, 10**12)] * 5))
def test_any_usage_has_a_price_that_is_not_negative(usage: Usage) -> None:
    cost = Prices().cost(Seller("anthropic", "anthropic"), "claude-opus-4", usage)
    assert cost is not None
    assert cost >= 0


async def test_the_table_is_loaded_in_a_thread_and_only_when_needed() -> None:
    code = (
        "import sys, asyncio\n"
        "from lynkr_desktop.engine.telemetry.prices import Prices\n"
        "prices = Prices()\n"
        "assert 'genai_prices' not in sys.modules\n"
        "asyncio.run(prices.warm())\n"
        "assert 'genai_prices.data' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: ASYNC221 - a fresh interpreter
    prices = Prices()
    await prices.warm()
    assert not any("genai" in thread.name.lower() for thread in threading.enumerate())


def test_an_address_says_who_sells(prices: Prices) -> None:
    usage = Usage(input_tokens=1000, output_tokens=100)
    by_name = prices.cost(Seller("openai_compatible", "deepseek"), "deepseek-chat", usage)
    by_address = prices.cost(
        Seller("openai_compatible", "work", "https://api.deepseek.com/v1"), "deepseek-chat", usage
    )
    assert by_name is not None
    assert by_address == by_name
    assert (
        prices.cost(Seller("openai_compatible", "work", "https://llm.work.example/v1"), "gpt-4o", usage)
        is None
    )
