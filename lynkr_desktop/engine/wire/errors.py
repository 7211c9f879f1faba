"""Errors that reach a client, free of any protocol's shape; each client codec gives them its own."""

from __future__ import annotations

from collections.abc import Mapping


class WireError(Exception):
    """An error with an HTTP status and a message that a client may see.

    Args:
        message: what failed and what to do; never a secret, never a traceback.
        status: the HTTP status to answer with.
        kind: a short stable word (invalid_request, authentication, permission, not_found, too_large,
            rate_limit, upstream_error, unavailable, timeout, overloaded).
        param: the field of the request that is wrong, as a path such as `messages[0].content`.
        retry_after: seconds, for the Retry-After header.

    Attributes:
        headers: of the upstream that said so, for clients that go by them.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 502,
        kind: str = "upstream_error",
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.retry_after = retry_after
        self.headers: Mapping[str, str] = {}

    def forget(self) -> None:
        """Drops where it was raised and why: with that it holds whatever was being read there."""
        self.__traceback__ = self.__cause__ = self.__context__ = None


class InvalidRequest(WireError):
    """The client's request cannot be understood or cannot be expressed."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, status=400, kind="invalid_request", param=param)


class Unsupported(InvalidRequest):
    """One target cannot do what the request asks; another may."""


KIND_BY_STATUS: dict[int, str] = {
    400: "invalid_request",
    401: "authentication",
    403: "permission",
    404: "not_found",
    405: "invalid_request",
    408: "timeout",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limit",
    500: "internal",
    502: "upstream_error",
    503: "unavailable",
    504: "timeout",
    529: "overloaded",
}


def kind_of(status: int) -> str:
    """The error kind that goes with an HTTP status."""
    return KIND_BY_STATUS.get(status, "invalid_request" if 400 <= status < 500 else "upstream_error")
