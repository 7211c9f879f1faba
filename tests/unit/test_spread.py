"""Which endpoint is asked first, by its load and by whose conversation it is; and how urgent requests are."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lynkr_desktop.engine.config.loader import ConfigError, parse_config
from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.providers.base import Provider, lane_name
from lynkr_desktop.engine.providers.endpoints import endpoint_with_key, endpoints_of, lane_limits
from lynkr_desktop.engine.resilience.lanes import LaneLimits, Lanes, QueueLimits
from lynkr_desktop.engine.resilience.priority import priority_of
from lynkr_desktop.engine.routing.spread import Spread, conversation_of
from lynkr_desktop.engine.wire.canonical import Message, Request, Text
from lynkr_desktop.paths import resolve_paths


def endpoints(*weights: float) -> list[Provider]:
    made = [
        SimpleNamespace(lane=lane_name("p", number), weight=weight)
        for number, weight in enumerate(weights, 1)
    ]
    return cast(list[Provider], made)


def lanes(count: int, **limits: int) -> Lanes:
    made = Lanes()
    made.take({lane_name("p", number + 1): LaneLimits(**limits) for number in range(count)}, QueueLimits())
    return made


def test_without_a_conversation_weights_share_the_requests() -> None:
    spread, both = Spread(lanes(2)), endpoints(1, 3)
    first = Counter(spread.order(both, "m")[0].lane for _ in range(400))
    assert first == {"p": 100, "p#2": 300}


def test_what_has_less_to_do_is_asked_first_and_what_is_limited_last() -> None:
    all_lanes = lanes(3)
    spread, three = Spread(all_lanes), endpoints(1, 1, 1)
    assert all_lanes["p"].try_enter()
    assert all_lanes["p"].try_enter()
    assert all_lanes["p#2"].try_enter()
    assert [each.lane for each in spread.order(three, "m")] == ["p#3", "p#2", "p"]
    all_lanes["p#3"].learn(429, {}, retry_after=60, model="m")
    assert [each.lane for each in spread.order(three, "m")][-1] == "p#3"
    assert spread.order(three, "other")[0].lane == "p#3"


def test_where_an_endpoint_goes_only_its_conversations_move() -> None:
    spread = Spread(lanes(4))
    four = endpoints(1, 1, 1, 1)
    names = [f"conversation {number}" for number in range(400)]
    before = {name: spread.order(four, "m", name)[0].lane for name in names}
    after = {name: spread.order(four[:3], "m", name)[0].lane for name in names}
    assert {name for name in names if before[name] != after[name]} == {
        name for name in names if before[name] == "p#4"
    }
    assert min(Counter(before.values()).values()) > 60


def test_a_conversation_goes_by_its_session_else_by_its_first_ask() -> None:
    def request(*asks: str) -> Request:
        return Request("m", tuple(Message("user", (Text(ask),)) for ask in asks))

    assert conversation_of(request("a"), "") == conversation_of(request("a", "b"), "")
    assert conversation_of(request("a"), "") != conversation_of(request("b"), "")
    assert conversation_of(request("a"), "s") == conversation_of(request("b"), "s")
    assert conversation_of(request("a"), "\ud800") != ""
    assert conversation_of(Request("m", ()), "") == ""


@pytest.mark.parametrize(
    ("header", "stream", "side", "priority"),
    [
        (None, True, False, "normal"),
        (None, True, True, "low"),
        (None, False, False, "low"),
        ("high", False, True, "high"),
        (" LOW ", True, False, "low"),
        ("urgent", True, False, "normal"),
        ("", False, False, "low"),
    ],
)
def test_what_a_person_waits_for_comes_first(
    header: str | None, stream: bool, side: bool, priority: str
) -> None:
    grounds = SimpleNamespace(side=object() if side else None)
    headers = {} if header is None else {"x-lynkr-priority": header}
    exchange: Any = Exchange(codec=cast(Any, None), headers=headers)
    exchange.request = Request("m", (), stream=stream)
    exchange.decision = SimpleNamespace(grounds=grounds)
    assert priority_of(exchange) == priority


_WRITTEN = b"""
providers:
  openai:
    key_env: WORK_KEY
    max_concurrent: 9
    requests_per_minute: 100
    endpoints:
      - {}
      - key: team
        weight: 2
        max_concurrent: 3
      - base_url: https://eu.example/v1
        key_env: EU_KEY
"""


def test_an_endpoint_has_the_options_of_its_provider_for_what_it_leaves_out(tmp_path: Any) -> None:
    config = parse_config(_WRITTEN, tmp_path / "f.yaml").config
    first, second, third = endpoints_of("openai", config)
    assert [each.lane for each in (first, second, third)] == ["openai", "openai#2", "openai#3"]
    assert [each.key for each in (first, second, third)] == ["openai", "team", "openai"]
    assert [each.options.key_env for each in (first, second, third)] == ["WORK_KEY", None, "EU_KEY"]
    assert (second.weight, third.options.base_url) == (2, "https://eu.example/v1")
    assert lane_limits(config, {"openai": None}) == {
        "openai": LaneLimits(9, 100),
        "openai#2": LaneLimits(3, 100),
        "openai#3": LaneLimits(9, 100),
    }
    assert endpoint_with_key("team", config) == second
    assert endpoint_with_key("nobody", config) is None
    assert [each.lane for each in endpoints_of("anthropic", config)] == ["anthropic"]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("mine: {kind: openai_compatible, endpoints: [{key: a}]}", "needs its `base_url`"),
        ("embedded: {endpoints: [{key: a}]}", "have one endpoint"),
        ("openai: {endpoints: [{base_ulr: 'http://x'}]}", "Did you mean 'base_url'"),
        ("openai: {endpoints: [{base_url: 'http://:0x'}]}", "must be a URL with a host"),
        ("openai: {endpoints: [{key: 'a b'}]}", "endpoints"),
        ("openai: {endpoints: [{weight: 0}]}", "weight"),
        ("openai: {max_concurrent: 0}", "max_concurrent"),
    ],
)
def test_wrong_endpoints_are_told_with_their_place(tmp_path: Any, written: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse_config(f"providers:\n  {written}\n".encode(), resolve_paths(tmp_path).config)
    assert complaint in str(told.value)
