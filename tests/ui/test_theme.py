"""A theme is whole, and what it declares is what the application wears."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

import lynkr_desktop.ui
from lynkr_desktop.protocol.tiers import TIERS
from lynkr_desktop.ui.theme.stylesheet import stylesheet
from lynkr_desktop.ui.theme.theme import palette, theme
from lynkr_desktop.ui.theme.tokens import DARK, LIGHT, TIER_FILLS, Colors
from tests.ui.test_tokens import contrast

UI = Path(lynkr_desktop.ui.__file__).parent
BOTH = pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
HEX = re.compile(r"#[0-9A-Fa-f]{6}")


def values(colors: Colors) -> set[str]:
    """Every colour that a theme declares, the tiers' among them."""
    found: set[str] = set(TIER_FILLS.values()) | set(colors.tier_edges.values()) | set(colors.ramp)
    return found | {
        value for field in fields(colors) if isinstance(value := getattr(colors, field.name), str)
    }


@BOTH
def test_every_token_is_a_colour_and_every_tier_has_its_own(colors: Colors) -> None:
    assert all(HEX.fullmatch(value) for value in values(colors))
    assert set(colors.tier_edges) == set(TIER_FILLS) == set(TIERS)
    assert len(set(colors.tier_edges.values())) == len(TIERS)


def test_both_themes_differ_in_every_token_but_the_two_risks() -> None:
    same = {field.name for field in fields(Colors) if getattr(LIGHT, field.name) == getattr(DARK, field.name)}
    assert same == {"warning", "risk", "on_risk"}


@BOTH
def test_the_stylesheet_and_the_palette_use_declared_colours_only(colors: Colors) -> None:
    declared = values(colors)
    assert set(HEX.findall(stylesheet(colors))) <= declared
    worn = palette(colors)
    for role in (
        QPalette.ColorRole.Window,
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Base,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.Button,
        QPalette.ColorRole.ButtonText,
        QPalette.ColorRole.PlaceholderText,
        QPalette.ColorRole.Highlight,
        QPalette.ColorRole.HighlightedText,
        QPalette.ColorRole.ToolTipBase,
        QPalette.ColorRole.ToolTipText,
        QPalette.ColorRole.Link,
    ):
        assert worn.color(role).name().upper() in {value.upper() for value in declared}, role


@BOTH
def test_what_qt_draws_by_itself_can_be_read(colors: Colors) -> None:
    role = QPalette.ColorRole
    worn = palette(colors)
    for text, ground in (
        (role.WindowText, role.Window),
        (role.Text, role.Base),
        (role.Text, role.AlternateBase),
        (role.ButtonText, role.Button),
        (role.PlaceholderText, role.Base),
        (role.HighlightedText, role.Highlight),
        (role.ToolTipText, role.ToolTipBase),
        (role.Link, role.Base),
    ):
        for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Disabled):
            found = contrast(worn.color(group, text).name(), worn.color(group, ground).name())
            assert found >= 4.5, f"{group.name} {text.name} on {ground.name}: {found:.2f}"


@BOTH
def test_selected_log_lines_and_failures_can_be_read(colors: Colors) -> None:
    for text, ground in (("text", "selected"), ("danger", "surface"), ("accent", "selected")):
        found = contrast(getattr(colors, text), getattr(colors, ground))
        assert found >= 4.5, f"{text} on {ground}: {found:.2f}"


def test_the_application_changes_clothes_and_says_so_once(dressed: QApplication) -> None:
    told: list[str] = []
    hear = theme.changed.connect(lambda: told.append(theme.colors.window))
    theme.force(DARK)
    theme.force(DARK)
    theme.changed.disconnect(hear)
    assert told == [DARK.window]
    assert dressed.palette().color(QPalette.ColorRole.Window) == QColor(DARK.window)
    assert DARK.window in dressed.styleSheet()
    assert LIGHT.window not in dressed.styleSheet()


def test_only_the_theme_names_colours() -> None:
    named = re.compile(r"#[0-9A-Fa-f]{6}\b|Qt\.GlobalColor\.(?!transparent)\w+|QColor\(\s*[\"']")
    for path in UI.rglob("*.py"):
        if path.is_relative_to(UI / "theme"):
            continue
        found = named.findall(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(UI)}: {found}"
