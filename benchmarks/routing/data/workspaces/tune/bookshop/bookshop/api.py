"""HTTP handlers."""

from .auth import Sessions
from .cart import Cart
from .catalog import Catalog
from .errors import NotAllowed, OutOfStock, ShopError
from .models import Address, OrderState
from .money import format_money
from .orders import OrderEngine, label


class Api:
    def __init__(self, catalog: Catalog, engine: OrderEngine, sessions: Sessions) -> None:
        self._catalog = catalog
        self._engine = engine
        self._sessions = sessions
        self._carts: dict[int, Cart] = {}

    def handle(self, method: str, path: str, token: str, body: dict) -> tuple[int, dict]:
        try:
            customer_id = self._sessions.customer(token)
            if method == "GET" and path == "/books":
                books = self._catalog.search(body.get("q", ""), page=int(body.get("page", 1)))
                return 200, {"books": [{"sku": b.sku, "title": b.title} for b in books]}
            if method == "POST" and path == "/cart":
                self._cart(customer_id).add(body["sku"], int(body.get("quantity", 1)))
                return 200, {"subtotal": format_money(self._cart(customer_id).subtotal())}
            if method == "POST" and path == "/orders":
                return self._order(customer_id, body)
            if method == "DELETE" and path.startswith("/orders/"):
                order = self._engine.get(int(path.rsplit("/", 1)[1]))
                self._engine.advance(order, OrderState.CANCELLED, actor="customer")
                return 200, {"order": label(order)}
        except OutOfStock as problem:
            return 409, {"error": str(problem)}
        except NotAllowed as problem:
            return 403, {"error": str(problem)}
        except (ShopError, ValueError) as problem:
            return 400, {"error": str(problem)}
        return 404, {"error": "not found"}

    def _cart(self, customer_id: int) -> Cart:
        return self._carts.setdefault(customer_id, Cart(self._catalog))

    def _order(self, customer_id: int, body: dict) -> tuple[int, dict]:
        address = Address(**body["address"]) if "address" in body else None
        customer = self._engine.customers[customer_id]
        order = self._engine.create(self._cart(customer_id), customer, address, body.get("coupon"))
        self._engine.checkout(order, body["token"])
        del self._carts[customer_id]
        return 201, {"order": label(order), "total": format_money(order.total)}
