"""Budgets: calendars and clocks, what is kept in memory, and what the file of changes survives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from lynkr_desktop.engine.config.budgets import BudgetOptions
from lynkr_desktop.engine.resilience.budget_file import BudgetFile, Grant
from lynkr_desktop.engine.resilience.budgets import MOST_ACCOUNTS, Budgets
from lynkr_desktop.engine.security.caller import DailyBudget
from lynkr_desktop.engine.telemetry.budget_rows import Sums, of_request


def made(tmp_path: Path) -> Budgets:
    def no_records() -> None:
        raise AssertionError

    return Budgets(tmp_path / "b.json", no_records, lambda *_: None, lambda _: None)  # type: ignore[arg-type]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(("noon", "hours"), [(1_774_778_400, 23), (1_792_926_000, 25), (1_780_000_000, 24)])
def test_days_have_the_hours_that_the_calendar_gives_them(tmp_path: Path, noon: int, hours: int) -> None:
    period = made(tmp_path)._period("day", noon)
    assert period.until - period.since == hours * 3600
    assert period.since <= noon < period.until


@pytest.mark.usefixtures("berlin")
def test_a_clock_that_is_set_back_finds_what_was_spent_under_its_date(tmp_path: Path) -> None:
    budgets, now = made(tmp_path), 1_780_000_000.0
    today = budgets._account("day", "", now)
    today.sums = Sums(tokens=5)
    tomorrow = budgets._account("day", "", now + 86400)
    assert tomorrow is not today
    assert budgets._account("day", "", now - 3600) is today
    assert budgets._account("day", "", now + 86400) is tomorrow
    assert budgets._account("project", "/a", now).period.label == "2026-05"


def test_memory_is_bounded_and_keeps_what_is_in_flight(tmp_path: Path) -> None:
    budgets = made(tmp_path)
    held = budgets._account("session", "held", 0.0)
    held.in_flight = 1
    for number in range(3 * MOST_ACCOUNTS):
        budgets._account("session", f"s{number}", 0.0)
    assert len(budgets._accounts) <= MOST_ACCOUNTS
    assert budgets._account("session", "held", 0.0) is held


def test_free_unknown_and_priced_requests_count_as_what_they_are() -> None:
    assert of_request(10, 5, 0.0) == Sums(free_tokens=15)
    assert of_request(10, 5, 0.25) == Sums(tokens=15, dollars=0.25)
    assert of_request(10, 5, None) == Sums(15, 0, 0.0, 1, 10, 5)
    assert of_request(0, 0, None) == Sums()


def test_changes_are_kept_and_a_damaged_file_counts_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "home" / "budgets.json"
    file = BudgetFile(path)
    grant = Grant(5, 2.5, Sums(tokens=7))
    file.keep(("session", "s", ""), grant, time.time())
    again = BudgetFile(path)
    again.load()
    assert again.of(("session", "s", "")) == grant
    assert again.of(("session", "t", "")) == Grant()
    for damage in (b"", b"[", b'{"a": 1}', b"\xff\xfe"):
        path.write_bytes(damage)
        empty = BudgetFile(path)
        empty.load()
        assert empty.of(("session", "s", "")) == Grant()


@pytest.mark.parametrize(
    "wrong",
    [
        {"day": {"dollars": -1}},
        {"day": {"dollars": float("inf")}},
        {"session": {"tokens": 1.5}},
        {"warn_at": 0},
        {"unknown_price": "guess"},
        {"month": {}},
        {"projects": {"/a": {"dolars": 1}}},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BudgetOptions.model_validate(wrong)


def test_tokens_of_free_models_count_for_a_key_with_a_limit_of_its_own(tmp_path: Path) -> None:
    limits = {"bob": DailyBudget(tokens=100), "ann": DailyBudget(dollars=1.0)}

    def no_records() -> None:
        raise AssertionError

    budgets = Budgets(
        tmp_path / "b.json",
        no_records,  # type: ignore[arg-type]
        lambda *_: None,
        lambda _: None,
        lambda name: limits.get(name, DailyBudget()),
    )
    budgets.take(BudgetOptions.model_validate({"key": {"tokens": 70}}))
    for name, used in (("bob", 50), ("ann", 0), ("eve", 0)):
        account = budgets._account("key", name, time.time())
        account.sums = Sums(free_tokens=50)
        assert budgets._status(account).tokens == used, name
    found = {each.name: (each.tokens_limit, each.dollars_limit) for each in budgets.statuses()}
    assert found == {"bob": (100, None), "ann": (70, 1.0), "eve": (70, None)}
    limits.clear()
    assert budgets.statuses()[0].tokens_limit == 70


def test_the_status_names_the_fullest_of_those_that_people_were_told_of(tmp_path: Path) -> None:
    budgets = made(tmp_path)
    budgets.take(BudgetOptions.model_validate({"session": {"tokens": 1000}}))
    now = time.time()
    for number in range(0, 1200, 10):
        budgets._account("session", f"s{number}", now).sums = Sums(tokens=number)
    budgets.take(BudgetOptions.model_validate({"session": {"tokens": 1000}, "warn_at": 0.9}))
    assert [each.tokens for each in budgets.fullest()] == list(range(1190, 1110, -10))
    assert [each.tokens for each in budgets.statuses()] == list(range(1190, 190, -10))
    assert budgets.shares() == {"session": 1.19, "project": 0.0, "day": 0.0, "key": 0.0}
    budgets.take(BudgetOptions.model_validate({"session": {"tokens": 1300}, "warn_at": 0.9}))
    assert [each.tokens for each in budgets.fullest()] == [1190, 1180, 1170]
    budgets.take(BudgetOptions())
    assert (budgets.fullest(), budgets.statuses()) == ((), ())
    assert set(budgets.shares().values()) == {0.0}
