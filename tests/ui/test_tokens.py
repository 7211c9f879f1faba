"""Every text and every mark can be read in both themes."""

from __future__ import annotations

import pytest

from lynkr_desktop.protocol.tiers import TIERS
from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, Colors


def luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_text_contrast(colors: Colors) -> None:
    grounds = ("window", "surface", "selected", "hover", "code")
    pairs = [(role, ground) for role in ("text", "muted") for ground in grounds]
    pairs += [(role, ground) for role in ("accent", "danger") for ground in ("window", "surface")]
    pairs += [("on_accent", "accent"), ("on_risk", "warning"), ("on_risk", "risk"), ("muted", "track")]
    pairs += [("text", "diff_add"), ("text", "diff_delete")]
    pairs += [("diff_add_sign", "diff_add"), ("diff_delete_sign", "diff_delete")]
    for text, ground in zip(colors.on_ramp, colors.ramp, strict=True):
        assert contrast(text, ground) >= 4.5, f"{text} on the ramp's {ground}"
    for text, ground in pairs:
        found = contrast(getattr(colors, text), getattr(colors, ground))
        assert found >= 4.5, f"{text} on {ground}: {found:.2f}"


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_graphics_contrast(colors: Colors) -> None:
    for ground in (colors.window, colors.surface):
        for tier in TIERS:
            assert contrast(colors.tier_edges[tier], ground) >= 3, tier
        for role in ("control", "ok", "accent", "risk"):
            found = contrast(getattr(colors, role), ground)
            assert found >= 3, f"{role} on {ground}: {found:.2f}"
    assert contrast(colors.accent, colors.track) >= 3
