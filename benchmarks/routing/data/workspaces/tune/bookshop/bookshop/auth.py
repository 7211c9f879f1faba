"""Who is asking."""

import hashlib
import hmac
import secrets
import time

from .errors import NotAllowed

_ROUNDS = 200_000


def hash_password(password: str, salt: bytes | None = None) -> str:
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    return f"{salt.hex()}${digest.hex()}"


def verify_password(password: str, stored: str) -> bool:
    salt, digest = stored.split("$")
    fresh = hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), _ROUNDS)
    return hmac.compare_digest(fresh.hex(), digest)


class Sessions:
    def __init__(self, lifetime: float = 3600) -> None:
        self._lifetime = lifetime
        self._open: dict[str, tuple[int, float]] = {}

    def start(self, customer_id: int) -> str:
        token = secrets.token_urlsafe(24)
        self._open[token] = (customer_id, time.time() + self._lifetime)
        return token

    def customer(self, token: str) -> int:
        customer_id, until = self._open.get(token, (0, 0.0))
        if until < time.time():
            self._open.pop(token, None)
            raise NotAllowed("please log in again")
        return customer_id
