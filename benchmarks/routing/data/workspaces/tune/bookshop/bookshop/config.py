"""Settings from the environment."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    database: str
    payment_url: str
    payment_secret: str
    mail_from: str
    debug: bool


def load_settings() -> Settings:
    return Settings(
        database=os.environ.get("SHOP_DATABASE", "shop.sqlite"),
        payment_url=os.environ.get("SHOP_PAYMENT_URL", "https://pay.example.com/v2"),
        payment_secret=os.environ["SHOP_PAYMENT_SECRET"],
        mail_from=os.environ.get("SHOP_MAIL_FROM", "orders@example.com"),
        debug=os.environ.get("SHOP_DEBUG") == "1",
    )
