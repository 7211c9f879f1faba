"""The ledger: every request is entered once, in order, whatever becomes of the others."""

from __future__ import annotations

import asyncio

import pytest

from lynkr_desktop.engine.telemetry.ledger import Ledger


async def test_requests_are_entered_in_order_soon_or_when_asked() -> None:
    entered: list[int] = []
    ledger: Ledger[int] = Ledger(entered.append)
    for number in range(10):
        ledger.add(number)
    assert entered == []
    ledger.settle()
    assert entered == list(range(10))
    ledger.add(10)
    async with asyncio.timeout(5):
        while len(entered) < 11:
            await asyncio.sleep(0.005)
    for number in range(11, 1000):
        ledger.add(number)
    ledger.settle()
    assert entered == list(range(1000))


async def test_one_that_cannot_be_entered_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    entered: list[int] = []

    def enter(number: int) -> None:
        if number == 3:
            raise ZeroDivisionError
        entered.append(number)

    ledger = Ledger(enter)
    for number in range(6):
        ledger.add(number)
    ledger.settle()
    assert entered == [0, 1, 2, 4, 5]
    assert [record.getMessage() for record in caplog.records] == ["a request could not be recorded"]
