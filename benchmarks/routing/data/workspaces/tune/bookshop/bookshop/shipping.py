"""What a parcel costs and when it comes."""

from datetime import date, timedelta

from .constants import FREE_SHIPPING_FROM, SUPPORTED_COUNTRIES
from .errors import ShopError
from .models import Address, Line, Order
from .money import Money

_ZONES = {"DE": 1, "AT": 2, "CH": 4, "NL": 2, "BE": 2, "FR": 3, "IT": 3, "ES": 3, "PT": 3, "PL": 2}
_BASE = {1: 290, 2: 490, 3: 690, 4: 1290}


def weight(lines: list[Line]) -> int:
    return sum(line.book.weight_grams * line.quantity for line in lines if not line.book.digital)


def shipping_cost(lines: list[Line], address: Address, subtotal: Money) -> Money:
    if address.country not in SUPPORTED_COUNTRIES:
        raise ShopError(f"we do not deliver to {address.country}")
    grams = weight(lines)
    if grams == 0:
        return Money(0)
    zone = _ZONES[address.country]
    if subtotal.cents >= FREE_SHIPPING_FROM and zone < 4:
        return Money(0)
    steps = max(0, (grams - 1000 + 499) // 500)
    return Money(_BASE[zone] + steps * 80)


def estimate(order: Order, today: date) -> date:
    """When it will arrive."""
    zone = _ZONES.get(order.address.country, 4) if order.address else 1
    day = today + timedelta(days=zone)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return day
