"""Stock and reservations."""

import threading
from datetime import datetime, timedelta

from . import orders
from .constants import RESERVATION_MINUTES
from .errors import OutOfStock
from .models import Line, OrderState


class Inventory:
    def __init__(self) -> None:
        self._stock: dict[str, int] = {}
        self._reserved: dict[int, tuple[datetime, dict[str, int]]] = {}
        self._lock = threading.Lock()

    def put(self, sku: str, count: int) -> None:
        with self._lock:
            self._stock[sku] = self._stock.get(sku, 0) + count

    def available(self, sku: str) -> int:
        held = sum(lines.get(sku, 0) for _, lines in self._reserved.values())
        return self._stock.get(sku, 0) - held

    def reserve(self, order_id: int, lines: list[Line]) -> None:
        for line in lines:
            if line.book.digital:
                continue
            if self.available(line.book.sku) < line.quantity:
                raise OutOfStock(line.book.sku)
        until = datetime.utcnow() + timedelta(minutes=RESERVATION_MINUTES)
        wanted = {line.book.sku: line.quantity for line in lines if not line.book.digital}
        with self._lock:
            self._reserved[order_id] = (until, wanted)

    def commit(self, order_id: int) -> None:
        with self._lock:
            _, lines = self._reserved.pop(order_id)
            for sku, count in lines.items():
                self._stock[sku] -= count

    def release(self, order_id: int) -> None:
        with self._lock:
            self._reserved.pop(order_id, None)

    def expire(self, engine: "orders.OrderEngine") -> int:
        now, gone = datetime.utcnow(), 0
        for order_id, (until, _) in list(self._reserved.items()):
            if until < now:
                order = engine.get(order_id)
                if order.state is OrderState.RESERVED:
                    engine.advance(order, OrderState.CANCELLED, actor="system")
                gone += 1
        return gone
