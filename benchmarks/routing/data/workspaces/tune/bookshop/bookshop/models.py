"""Records."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from .money import Money


class OrderState(Enum):
    DRAFT = "draft"
    RESERVED = "reserved"
    PAID = "paid"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    CANCELLED = "cancelled"


@dataclass
class Book:
    sku: str
    title: str
    author: str
    price: Money
    weight_grams: int = 300
    digital: bool = False


@dataclass
class Address:
    name: str
    street: str
    city: str
    postcode: str
    country: str


@dataclass
class Line:
    book: Book
    quantity: int
    gift_wrap: bool = False


@dataclass
class Order:
    id: int
    customer_id: int
    lines: list[Line]
    address: Address | None
    state: OrderState = OrderState.DRAFT
    coupon: str | None = None
    total: Money = field(default_factory=lambda: Money(0))
    paid: Money = field(default_factory=lambda: Money(0))
    created: datetime = field(default_factory=datetime.utcnow)
    history: list[str] = field(default_factory=list)


@dataclass
class Customer:
    id: int
    email: str
    level: str = "basic"
    blocked: bool = False
