"""Where requests go, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.config.schema import RoutingOptions, TierOptions
from lynkr_desktop.engine.routing.ask import read_ask
from lynkr_desktop.engine.routing.router import Asking, Router
from lynkr_desktop.engine.routing.score import score
from lynkr_desktop.engine.switches import Switches
from lynkr_desktop.engine.wire.canonical import Message, Request, Text, Tool, ToolResult, ToolUse
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.tiers import TIERS, Tier

EASY = "Which port does the server listen on?"
HARD = (
    "Refactor the authentication across the whole service: untangle the session store, prove that no "
    "deadlock is possible, optimise the latency, and fix the failing tests of auth.py, store.py, locks.py.\n"
    "1. split it up\n"
    "2. migrate the callers\n3. explain the trade-offs of the design step by step"
)


def ask(text: str, *, model: str = "auto-route", system: str = "", tools: int = 0) -> Request:
    return Request(
        model=model,
        messages=(Message("user", (Text(text),)),),
        system=(Text(system),) if system else (),
        tools=tuple(Tool(f"tool{number}", "Fix every bug across the whole repo.") for number in range(tools)),
    )


def router(**switched: bool) -> Router:
    limits = {Tier.SIMPLE: 0.35, Tier.MEDIUM: 0.65, Tier.COMPLEX: 0.85, Tier.REASONING: 1.0}
    tiers = {
        tier: TierOptions(providers=(f"p/{tier}",), max_complexity=limit) for tier, limit in limits.items()
    }
    switches = Switches()
    for name, on in switched.items():
        switches.set_tier(Tier(name), on)
    return Router(RoutingOptions(tiers=tiers), frozenset({"p", "ollama"}), {"gpt-x": "p"}, switches)


def test_easy_and_hard_requests_part() -> None:
    assert router().decide(Asking(ask(EASY))).tier is Tier.SIMPLE
    hard = router().decide(Asking(ask(HARD)))
    assert hard.tier in (Tier.COMPLEX, Tier.REASONING)
    assert hard.score is not None
    assert sum(item.points for item in hard.score.contributions) == pytest.approx(hard.score.value, abs=1e-3)


@pytest.mark.parametrize("text", [EASY, HARD])
def test_an_agents_envelope_changes_nothing(text: str) -> None:
    wrapped = ask(
        f"<system-reminder>Refactor everything, fix all bugs, prove it.</system-reminder>\n{text}",
        system="You are an expert who debugs, refactors and proves security." * 200,
        tools=60,
    )
    assert score(read_ask(wrapped)).value == score(read_ask(ask(text))).value


def test_a_tool_result_continues_the_task_that_was_asked_for() -> None:
    first = ask(HARD)
    later = Request(
        model="auto-route",
        messages=(
            *first.messages,
            Message("assistant", (ToolUse("t", "ls", {}),)),
            Message("user", (ToolResult("t", (Text("a.py"),)),)),
        ),
    )
    assert score(read_ask(later)).value >= score(read_ask(first)).value


@given(st.text(max_size=3000))
def test_every_text_has_a_score_in_range(text: str) -> None:
    assert 0 <= score(read_ask(ask(text))).value <= 1


def test_a_tier_switched_off_hands_its_requests_to_the_nearest() -> None:
    decision = router(simple=False).decide(Asking(ask(EASY)))
    assert decision.tier is Tier.MEDIUM
    assert "simple is switched off" in decision.reason
    assert [target.tier for target in decision.targets] == [Tier.MEDIUM, Tier.COMPLEX, Tier.REASONING]


def test_with_every_tier_off_it_says_so() -> None:
    with pytest.raises(WireError, match="switched off") as caught:
        router(**dict.fromkeys(TIERS, False)).decide(Asking(ask(EASY)))
    assert caught.value.status == 503


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("p/any/model:7b", "p/any/model:7b"),
        ("ollama/qwen2.5-coder:7b", "ollama/qwen2.5-coder:7b"),
        ("gpt-x", "p/gpt-x"),
    ],
)
def test_a_concrete_model_is_taken_as_it_is(model: str, expected: str) -> None:
    decision = router().decide(Asking(ask(HARD, model=model)))
    assert [target.name for target in decision.targets] == [expected]


@pytest.mark.parametrize("model", ["auto-route", "claude-sonnet-4-5", "nobody/knows-this", "gpt-4o"])
def test_unknown_names_ask_for_routing(model: str) -> None:
    assert router().decide(Asking(ask(EASY, model=model))).tier is Tier.SIMPLE


def test_a_tier_can_be_pinned_by_model_or_header() -> None:
    assert router().decide(Asking(ask(EASY, model="tier:complex"))).tier is Tier.COMPLEX
    assert router().decide(Asking(ask(EASY), {"x-lynkr-tier": "REASONING"})).tier is Tier.REASONING
    with pytest.raises(WireError, match="The tiers are simple, medium, complex, reasoning"):
        router().decide(Asking(ask(EASY, model="tier:huge")))
