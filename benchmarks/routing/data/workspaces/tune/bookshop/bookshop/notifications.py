"""Mail to customers."""

import smtplib
from email.message import EmailMessage

from . import orders
from .config import Settings
from .models import Customer, Order
from .money import format_money

_SUBJECTS = {
    "paid": "Thank you for your order",
    "shipped": "Your books are on their way",
    "cancelled": "Your order was cancelled",
    "returned": "We got your parcel",
}


class Notifier:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def compose(self, customer: Customer, order: Order) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._settings.mail_from
        mail["To"] = customer.email
        mail["Subject"] = _SUBJECTS.get(order.state.value, "News about your order")
        lines = [f"{line.quantity} x {line.book.title}" for line in order.lines]
        mail.set_content("\n".join([orders.label(order), *lines, format_money(order.total)]))
        return mail

    def send(self, customer: Customer, order: Order) -> None:
        with smtplib.SMTP("localhost") as server:
            server.send_message(self.compose(customer, order))
