"""Numbers for the owners."""

import csv
from collections import Counter
from typing import TextIO

from .models import OrderState
from .orders import OrderEngine


def best_sellers(engine: OrderEngine, count: int = 10) -> list[tuple[str, int]]:
    sold: Counter[str] = Counter()
    for order in engine.orders.values():
        if order.state in (OrderState.CANCELLED, OrderState.DRAFT):
            continue
        for line in order.lines:
            sold[line.book.title] += line.quantity
    return sold.most_common(count)


def write_daily(engine: OrderEngine, target: TextIO) -> None:
    writer = csv.writer(target)
    writer.writerow(["day", "cents"])
    for day in sorted(engine.daily_totals):
        writer.writerow([day, engine.daily_totals[day]])
