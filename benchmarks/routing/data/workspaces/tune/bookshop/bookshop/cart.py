"""What somebody is about to buy."""

from .catalog import Catalog
from .constants import GIFT_WRAP_FEE, MAX_CART_LINES
from .errors import OutOfStock, ShopError
from .models import Line
from .money import Money


class Cart:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lines: dict[str, Line] = {}

    def add(self, sku: str, quantity: int = 1) -> None:
        if quantity < 1:
            raise ShopError("a quantity must be at least 1")
        book = self._catalog.get(sku)
        if book is None:
            raise OutOfStock(sku)
        line = self._lines.get(sku)
        if line is not None:
            line.quantity += quantity
        elif len(self._lines) >= MAX_CART_LINES:
            raise ShopError("the cart is full")
        else:
            self._lines[sku] = Line(book, quantity)

    def remove(self, sku: str) -> None:
        self._lines.pop(sku, None)

    def wrap(self, sku: str) -> None:
        self._lines[sku].gift_wrap = True

    @property
    def lines(self) -> list[Line]:
        return list(self._lines.values())

    def subtotal(self) -> Money:
        total = Money(0)
        for line in self._lines.values():
            total = total + line.book.price.times(line.quantity)
            if line.gift_wrap:
                total = total + Money(GIFT_WRAP_FEE)
        return total
