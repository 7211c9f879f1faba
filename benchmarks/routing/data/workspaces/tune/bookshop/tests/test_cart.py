import pytest

from bookshop.cart import Cart
from bookshop.catalog import Catalog
from bookshop.errors import OutOfStock
from bookshop.models import Book
from bookshop.money import Money


@pytest.fixture
def cart() -> Cart:
    return Cart(Catalog([Book("a", "Ubik", "Dick", Money(900)), Book("b", "Solaris", "Lem", Money(1100))]))


def test_adds_up(cart: Cart) -> None:
    cart.add("a", 2)
    cart.add("b")
    assert cart.subtotal() == Money(2900)


def test_unknown_book(cart: Cart) -> None:
    with pytest.raises(OutOfStock):
        cart.add("c")
