"""Amounts in cents."""

from dataclasses import dataclass

from .constants import DEFAULT_CURRENCY


@dataclass(frozen=True)
class Money:
    cents: int
    currency: str = DEFAULT_CURRENCY

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.cents + other.cents, self.currency)

    def times(self, factor: int) -> "Money":
        return Money(self.cents * factor, self.currency)

    def percent(self, share: int) -> "Money":
        return Money((self.cents * share + 50) // 100, self.currency)


def format_money(amount: Money) -> str:
    """For people: 12,50 EUR."""
    return f"{amount.cents // 100},{amount.cents % 100:02d} {amount.currency}"
