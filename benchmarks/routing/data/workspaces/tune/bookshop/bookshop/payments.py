"""Talking to the payment provider."""

import hashlib
import hmac
import json
import urllib.request

from . import orders
from .config import Settings
from .errors import PaymentDeclined
from .models import Order, OrderState
from .money import Money


class Payments:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: set[str] = set()

    def _post(self, path: str, body: dict) -> dict:
        data = json.dumps(body).encode()
        request = urllib.request.Request(self._settings.payment_url + path, data=data, method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("X-Signature", self.sign(data))
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    def sign(self, data: bytes) -> str:
        return hmac.new(self._settings.payment_secret.encode(), data, hashlib.sha256).hexdigest()

    def charge(self, order: Order, token: str) -> str:
        reply = self._post("/charges", {"amount": order.total.cents, "token": token, "order": order.id})
        if reply["status"] != "ok":
            raise PaymentDeclined(reply.get("reason", "declined"))
        return reply["id"]

    def refund(self, order: Order, amount: Money) -> str:
        reply = self._post("/refunds", {"amount": amount.cents, "order": order.id})
        return reply["id"]

    def webhook(self, raw: bytes, signature: str, engine: "orders.OrderEngine") -> bool:
        if self.sign(raw) != signature:
            return False
        event = json.loads(raw)
        if event["id"] in self._seen:
            return True
        order = engine.get(event["order"])
        if event["type"] == "charge.succeeded":
            order.paid = order.paid + Money(event["amount"])
            engine.advance(order, OrderState.PAID, actor="provider")
        elif event["type"] == "refund.succeeded":
            order.paid = order.paid + Money(-event["amount"])
        self._seen.add(event["id"])
        return True
