"""What providers' headers say of rate limits, in their own notations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.resilience.ratelimits import LONGEST_HOLD, NOTHING, Budget, parse_reset, read_limits

_WALL = 1_790_000_000.0  # 2026-09-21T14:13:20Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("120ms", 0.12),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3600),
        ("8.64s", 8.64),
        ("17", 17),
        ("0", 0),
        ("2026-09-21T14:13:30Z", 10),
        ("2026-09-21T16:13:30+02:00", 10),
        ("2026-09-21T14:13:30.5Z", 10.5),
        ("2026-09-21T13:00:00Z", 0),
        ("2026-09-21T20:00:00Z", 60),
        ("1790000012", 12),
        ("1790000012500", 12.5),
        ("99d", None),
        ("2199-01-01T00:00:00Z", None),
        ("soon", None),
        ("", None),
        ("1s garbage", None),
        ("٣", None),
        ("-5", None),
        ("nan", None),
        ("1" * 400, None),
    ],
)
def test_resets_in_every_notation(text: str, seconds: float | None) -> None:
    found = parse_reset(text, _WALL)
    assert found is None if seconds is None else found == pytest.approx(seconds)


def test_openai() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert read_limits(headers, 64, _WALL) == read_limits(headers, 64, _WALL)
    assert read_limits(headers, 64, _WALL).requests == Budget(59, 60, 1)
    assert read_limits(headers, 10, _WALL) is NOTHING
    spent = {**headers, "x-ratelimit-remaining-tokens": "0"}
    told = read_limits(spent, 10, _WALL)
    assert (told.hold, told.why) == (pytest.approx(36), "no tokens left")


def test_anthropic() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-09-21T14:14:20Z",
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-09-21T14:14:00Z",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
        "anthropic-ratelimit-output-tokens-reset": "2026-09-21T14:13:20Z",
    }
    told = read_limits(headers, 64, _WALL)
    assert told.requests == Budget(0, 50, 60)
    assert told.requests.wait == pytest.approx(1.2)
    assert (told.hold, told.why) == (pytest.approx(4), "no input tokens left")


def test_openrouter_and_azure() -> None:
    openrouter = {
        "x-ratelimit-limit": "20",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1790000030000",
    }
    assert read_limits(openrouter, 64, _WALL).requests == Budget(0, 20, 30)
    azure = {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "0"}
    assert read_limits(azure, 64, _WALL) is NOTHING
    assert read_limits({"x-ratelimit-remaining-requests": "0"}, 64, _WALL) is NOTHING


_NAMES = [
    f"{family}-{part}{kind}"
    for family in ("x-ratelimit",)
    for part in ("remaining", "limit", "reset")
    for kind in ("", "-requests", "-tokens", "-requests-day")
]
_VALUES = st.one_of(
    st.text(max_size=50), st.integers().map(str), st.floats().map(str), st.from_regex(r"\d+(ms|s|m|h|d)")
)


@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES))
def test_nothing_that_an_upstream_sends_breaks_anything(headers: dict[str, str]) -> None:
    told = read_limits(headers, 64, _WALL)
    assert 0 <= told.hold <= LONGEST_HOLD
    if told.requests is not None:
        assert 0 <= told.requests.wait <= LONGEST_HOLD
        assert told.requests.reset > 0
