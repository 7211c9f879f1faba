from unittest.mock import Mock

from bookshop.cart import Cart
from bookshop.catalog import Catalog
from bookshop.inventory import Inventory
from bookshop.models import Book, Customer, OrderState
from bookshop.money import Money
from bookshop.orders import OrderEngine


def test_a_digital_order_is_delivered_at_once() -> None:
    customer = Customer(1, "ann@example.org")
    engine = OrderEngine(Inventory(), Mock(), Mock(), {1: customer})
    cart = Cart(Catalog([Book("e", "Kindred", "Butler", Money(700), digital=True)]))
    cart.add("e")
    order = engine.create(cart, customer, None)
    engine.checkout(order, "tok")
    assert order.state is OrderState.DELIVERED
