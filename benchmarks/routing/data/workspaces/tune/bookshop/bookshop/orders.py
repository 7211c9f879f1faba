"""Orders from the cart to the return: prices, states, money, stock, mail."""

from datetime import datetime, timedelta

from . import inventory, notifications, payments
from .cart import Cart
from .constants import GIFT_WRAP_FEE, RETURN_WINDOW_DAYS
from .errors import IllegalTransition, NotAllowed, PaymentDeclined, ShopError
from .models import Address, Customer, Line, Order, OrderState
from .money import Money, format_money
from .shipping import shipping_cost

_COUPONS = {"WELCOME10": 10, "STAFF30": 30, "SUMMER15": 15}


def label(order: Order) -> str:
    return f"Order {order.id} of {order.created:%Y-%m-%d}"


class OrderEngine:
    def __init__(
        self,
        stock: "inventory.Inventory",
        pay: "payments.Payments",
        mail: "notifications.Notifier",
        customers: dict[int, Customer],
    ) -> None:
        self.stock = stock
        self.pay = pay
        self.mail = mail
        self.customers = customers
        self.orders: dict[int, Order] = {}
        self.next_id = 1
        self.daily_totals: dict[str, int] = {}
        self.failed_mails: list[int] = []
        self.suspicious: set[int] = set()

    def get(self, order_id: int) -> Order:
        try:
            return self.orders[order_id]
        except KeyError:
            raise ShopError(f"no order {order_id}") from None

    def price(self, lines: list[Line], customer: Customer, address: Address | None, coupon: str | None) -> Money:
        subtotal = Money(0)
        discounted = 0
        for line in lines:
            amount = line.book.price.times(line.quantity)
            if line.book.digital:
                if customer.level == "gold":
                    amount = amount.percent(90)
                    discounted += 1
                elif customer.level == "silver" and line.quantity > 1:
                    amount = amount.percent(95)
                    discounted += 1
            elif line.quantity >= 10:
                if customer.level in ("gold", "silver") or coupon is None:
                    amount = amount.percent(88)
                else:
                    amount = amount.percent(92)
                discounted += 1
            if line.gift_wrap and not line.book.digital:
                amount = amount + Money(GIFT_WRAP_FEE)
            subtotal = subtotal + amount
        if coupon:
            share = _COUPONS.get(coupon)
            if share is None:
                raise ShopError(f"unknown coupon {coupon}")
            if coupon.startswith("STAFF") and not customer.email.endswith("@example.com"):
                raise NotAllowed("this coupon is for staff")
            if coupon == "WELCOME10" and any(o.customer_id == customer.id for o in self.orders.values()):
                raise NotAllowed("this coupon is for the first order")
            if discounted and share < 20:
                share = share // 2
            subtotal = subtotal.percent(100 - share)
        elif customer.level == "gold" and not discounted and subtotal.cents > 10000:
            subtotal = subtotal.percent(97)
        if address is None:
            if any(not line.book.digital for line in lines):
                raise ShopError("an address is needed")
            return subtotal
        return subtotal + shipping_cost(lines, address, subtotal)

    def create(self, cart: Cart, customer: Customer, address: Address | None, coupon: str | None = None) -> Order:
        if customer.blocked:
            raise NotAllowed("this account is blocked")
        if not cart.lines:
            raise ShopError("the cart is empty")
        order = Order(self.next_id, customer.id, cart.lines, address, coupon=coupon)
        order.total = self.price(cart.lines, customer, address, coupon)
        self.next_id += 1
        self.orders[order.id] = order
        try:
            self.stock.reserve(order.id, order.lines)
        except ShopError:
            order.history.append("reservation failed")
            order.state = OrderState.CANCELLED
            raise
        order.state = OrderState.RESERVED
        return order

    def advance(self, order: Order, new: OrderState, actor: str, note: str = "") -> None:
        """Takes an order to its next state, with all that follows from it."""
        old = order.state
        customer = self.customers[order.customer_id]
        now = datetime.utcnow()
        if new is OrderState.PAID:
            if old is not OrderState.RESERVED:
                if old is OrderState.CANCELLED and order.paid.cents > 0:
                    self.pay.refund(order, order.paid)
                    order.history.append("paid after cancellation, refunded")
                    return
                if old is OrderState.PAID:
                    order.history.append("paid twice")
                    self.suspicious.add(order.id)
                    return
                raise IllegalTransition(old.value, new.value)
            if order.paid.cents < order.total.cents:
                if actor == "provider":
                    order.history.append(f"partial payment {format_money(order.paid)}")
                    return
                if actor != "staff":
                    raise NotAllowed("only staff may accept less")
                order.history.append("accepted with less")
            self.stock.commit(order.id)
            day = f"{now:%Y-%m-%d}"
            self.daily_totals[day] = self.daily_totals.get(day, 0) + order.paid.cents
            if all(line.book.digital for line in order.lines):
                order.state = OrderState.DELIVERED
            else:
                order.state = OrderState.PAID
        elif new is OrderState.PACKED:
            if old is not OrderState.PAID:
                raise IllegalTransition(old.value, new.value)
            if actor not in ("staff", "system"):
                raise NotAllowed("only staff may pack")
            order.state = OrderState.PACKED
        elif new is OrderState.SHIPPED:
            if old is OrderState.PAID and actor == "staff":
                order.history.append("shipped without packing")
            elif old is not OrderState.PACKED:
                raise IllegalTransition(old.value, new.value)
            if order.id in self.suspicious and actor != "staff":
                raise NotAllowed("held for review")
            order.state = OrderState.SHIPPED
        elif new is OrderState.DELIVERED:
            if old is not OrderState.SHIPPED:
                raise IllegalTransition(old.value, new.value)
            order.state = OrderState.DELIVERED
        elif new is OrderState.RETURNED:
            if old not in (OrderState.SHIPPED, OrderState.DELIVERED):
                raise IllegalTransition(old.value, new.value)
            if now - order.created > timedelta(days=RETURN_WINDOW_DAYS) and actor != "staff":
                raise NotAllowed("the return window is over")
            refundable = order.paid
            for line in order.lines:
                if line.book.digital:
                    refundable = refundable + line.book.price.times(-line.quantity)
                else:
                    self.stock.put(line.book.sku, line.quantity)
            if refundable.cents > 0:
                self.pay.refund(order, refundable)
            order.state = OrderState.RETURNED
        elif new is OrderState.CANCELLED:
            if old in (OrderState.SHIPPED, OrderState.DELIVERED, OrderState.RETURNED):
                raise IllegalTransition(old.value, new.value)
            if old is OrderState.RESERVED:
                self.stock.release(order.id)
            elif old in (OrderState.PAID, OrderState.PACKED):
                if actor == "customer" and old is OrderState.PACKED:
                    raise NotAllowed("it is packed already")
                for line in order.lines:
                    if not line.book.digital:
                        self.stock.put(line.book.sku, line.quantity)
                self.pay.refund(order, order.paid)
            order.state = OrderState.CANCELLED
        else:
            raise IllegalTransition(old.value, new.value)
        order.history.append(f"{now:%Y-%m-%d %H:%M} {old.value} -> {order.state.value} by {actor} {note}".strip())
        if order.state in (OrderState.PAID, OrderState.SHIPPED, OrderState.CANCELLED, OrderState.RETURNED):
            try:
                self.mail.send(customer, order)
            except OSError:
                self.failed_mails.append(order.id)

    def checkout(self, order: Order, token: str) -> str:
        for attempt in range(3):
            try:
                charge = self.pay.charge(order, token)
            except PaymentDeclined:
                self.advance(order, OrderState.CANCELLED, actor="system", note="declined")
                raise
            except OSError:
                if attempt == 2:
                    raise
                continue
            order.paid = order.total
            self.advance(order, OrderState.PAID, actor="customer")
            return charge
        raise ShopError("the payment provider cannot be reached")
