from bookshop.money import Money, format_money


def test_format() -> None:
    assert format_money(Money(1250)) == "12,50 EUR"


def test_percent_rounds_to_the_nearest_cent() -> None:
    assert Money(333).percent(50) == Money(167)
