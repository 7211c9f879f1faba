"""What can go wrong."""


class ShopError(Exception):
    """Base of all errors of the shop."""


class OutOfStock(ShopError):
    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} is out of stock")
        self.sku = sku


class PaymentDeclined(ShopError):
    """The provider said no."""


class IllegalTransition(ShopError):
    def __init__(self, old: str, new: str) -> None:
        super().__init__(f"an order cannot go from {old} to {new}")


class NotAllowed(ShopError):
    """The person may not do this."""
