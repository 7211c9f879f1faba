"""Durations and sizes: what people write is read, what they mistype is named."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr_desktop.engine.config.units import format_bytes, format_duration, parse_bytes, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("2d", 172800.0),
        ("1.5s", 1.5),
        ("1m500ms", 60.5),
        (" 30s ", 30.0),
        ("30", 30.0),
        (30, 30.0),
        (0, 0.0),
        (0.25, 0.25),
        (-1, -1.0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "s",
        "30 parsecs",
        "30m1h",
        "1h1h",
        "1,5s",
        "-30s",
        "1e3s",
        "٣s",
        "30s\x00",
        "9" * 100,
        "1" * 5000 + "s",
    ],
)
def test_what_is_no_duration_says_how_to_write_one(written: str) -> None:
    with pytest.raises(ValueError, match="30s") as caught:
        parse_duration(written)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", [None, True, [], {}, float("nan"), float("inf"), 10**400])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="30s"):
        parse_duration(value)
    with pytest.raises(ValueError, match="32MB"):
        parse_bytes(value)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("512KB", 512 * 1024),
        ("32MB", 32 * 1024**2),
        ("32 mb", 32 * 1024**2),
        ("32MiB", 32 * 1024**2),
        ("1.5G", 3 * 1024**3 // 2),
        ("1T", 1024**4),
        ("10B", 10),
        ("10", 10),
        (10, 10),
        (10.0, 10),
    ],
)
def test_sizes(written: object, size: int) -> None:
    assert parse_bytes(written) == size


@pytest.mark.parametrize("written", ["", "MB", "32XB", "-1MB", "1 000", "32MBB", 1.5])
def test_what_is_no_size_says_how_to_write_one(written: object) -> None:
    with pytest.raises(ValueError, match="32MB"):
        parse_bytes(written)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_written_quantity_is_read_back(number: int) -> None:
    assert parse_duration(format_duration(number / 1000)) == pytest.approx(number / 1000, abs=1e-3)
    assert parse_bytes(format_bytes(number)) == number


@given(st.text(max_size=40) | st.floats() | st.integers() | st.none())
def test_any_input_gives_a_finite_number_or_a_value_error(value: object) -> None:
    for parse in (parse_duration, parse_bytes):
        with contextlib.suppress(ValueError):
            assert math.isfinite(parse(value))
