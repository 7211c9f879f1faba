"""Figures read as people write them."""

from __future__ import annotations

import pytest

from lynkr_desktop.ui import format as fmt


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (612, "612"),
        (9830, "9,830"),
        (12_400, "12.4 k"),
        (999_960, "1.00 M"),
        (2_610_000, "2.61 M"),
        (26_100_000, "26.1 M"),
        (3_000_000_000, "3.00 G"),
    ],
)
def test_count(number: int, words: str) -> None:
    assert fmt.count(number) == words


@pytest.mark.parametrize(
    ("dollars", "words"), [(0, "$0.00"), (0.0004, "<$0.01"), (1.84, "$1.84"), (1234.5, "$1,234.50")]
)
def test_money(dollars: float, words: str) -> None:
    assert fmt.money(dollars) == words


@pytest.mark.parametrize(
    ("number", "words"), [(999, "999 B"), (682_000_000, "682 MB"), (1_117_320_768, "1.1 GB")]
)
def test_size(number: float, words: str) -> None:
    assert fmt.size(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-3, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_duration(seconds: float, words: str) -> None:
    assert fmt.duration(seconds) == words


@pytest.mark.parametrize(("part", "words"), [(0, "0 %"), (0.001, "<1 %"), (0.58, "58 %"), (1.0, "100 %")])
def test_percent(part: float, words: str) -> None:
    assert fmt.percent(part) == words


def test_a_masked_token_cannot_be_used() -> None:
    assert fmt.masked("lk_q7Zr0mC2nV5xT8wE1yUb3f9c") == "lk_••••••••3f9c"
    assert fmt.masked("short") == "••••••••"
    assert fmt.masked("") == ""
