"""What the control API tells of the ways to providers' endpoints."""

from __future__ import annotations

from msgspec import Struct


class LaneStatus(Struct, frozen=True, kw_only=True):
    """The way to one endpoint.

    Attributes:
        name: the provider's, with `#2` and so on behind it for its further endpoints.
        in_flight: requests on their way.
        waiting: requests in the queue.
        max_concurrent: requests that may be on their way at once, as configured or learned; None: any number.
        oldest_wait_s: seconds for which the first of the queue has waited.
        expected_wait_s: seconds that another request would wait.
        limited_until: Unix seconds until which the endpoint takes nothing, None where it does.
        why: what it said.
        limited_models: the models that this is about; empty for all.
    """

    name: str
    in_flight: int = 0
    waiting: int = 0
    max_concurrent: int | None = None
    oldest_wait_s: float = 0.0
    expected_wait_s: float = 0.0
    limited_until: float | None = None
    why: str = ""
    limited_models: tuple[str, ...] = ()

    @property
    def held_up(self) -> bool:
        """Whether requests wait, or would have to."""
        return bool(self.waiting) or self.limited_until is not None


class LaneList(Struct, frozen=True):
    """All lanes, by name."""

    lanes: tuple[LaneStatus, ...]
