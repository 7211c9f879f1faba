"""The experiment near thresholds: who takes part, how many, and that a session keeps its arm."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.routing.experiment import Draw, draw
from lynkr_desktop.protocol.tiers import TIERS, Tier

LIMITS = tuple(zip(TIERS, (0.35, 0.65, 0.85, 1.0), strict=True))


def test_only_borderline_requests_take_part_and_only_when_it_is_on() -> None:
    assert draw(0.36, LIMITS, 0.0, 0.05, "s") == Draw(Tier.MEDIUM)
    assert draw(0.50, LIMITS, 0.5, 0.05, "s") == Draw(Tier.MEDIUM)
    assert draw(1.0, LIMITS, 0.5, 0.05, "s") == Draw(Tier.REASONING), "there is nothing above the last tier"
    assert draw(0.0, LIMITS, 0.5, 0.05, "s") == Draw(Tier.SIMPLE)
    assert draw(0.34, LIMITS[:1], 0.5, 0.05, "s") == Draw(Tier.SIMPLE), "one tier has no neighbour"


def test_the_share_is_kept_and_the_propensity_says_it() -> None:
    draws = [draw(0.34, LIMITS, 0.2, 0.05, f"session {number}") for number in range(20_000)]
    moved = [one for one in draws if one.tier is Tier.MEDIUM]
    assert {(one.arm, one.propensity) for one in moved} == {("up", 0.2)}
    assert {(one.tier, one.arm, one.propensity) for one in draws if one.arm != "up"} == {
        (Tier.SIMPLE, "control", 0.8)
    }
    assert 0.19 < len(moved) / len(draws) < 0.21


@given(
    st.floats(0, 1),
    st.floats(0.01, 0.5),
    st.floats(0, 0.2),
    st.text(max_size=20),
    st.sets(st.floats(0, 1), min_size=4, max_size=4),
)
def test_it_moves_by_one_tier_at_most_and_always_alike(
    score: float, share: float, margin: float, key: str, limits: set[float]
) -> None:
    tiers = tuple(zip(TIERS, sorted(limits), strict=True))
    usual, drawn = draw(score, tiers, 0, margin, key), draw(score, tiers, share, margin, key)
    assert drawn == draw(score, tiers, share, margin, key)
    step = drawn.tier.rank - usual.tier.rank
    assert step == {"": 0, "control": 0, "up": 1, "down": -1}[drawn.arm]
    assert drawn.propensity == {"": 1.0, "control": 1 - share}.get(drawn.arm, share)
    if drawn.arm:
        assert min(abs(score - limit) for _, limit in tiers[:3]) <= margin + 1e-12


def test_a_session_keeps_its_side_at_every_threshold() -> None:
    for session in ("a", "b", "c", "é"):
        moved = {
            draw(score, LIMITS, 0.5, 0.05, session).arm == "control" for score in (0.33, 0.36, 0.63, 0.86)
        }
        assert len(moved) == 1
