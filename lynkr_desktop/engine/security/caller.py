"""Who calls: the machine's own token, or an access key with what its holder may do."""

from __future__ import annotations

from msgspec import Struct

from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.access import Role
from lynkr_desktop.protocol.tiers import Tier

ADMIN: frozenset[Role] = frozenset({"admin"})
READERS: frozenset[Role] = frozenset({"admin", "viewer"})
"""Who may read what others did."""

MODELS: frozenset[Role] = frozenset({"admin", "user"})
"""Who may use models."""

EVERYONE: frozenset[Role] = frozenset({"admin", "user", "viewer"})

MACHINE = "machine"
"""What the log of the audit calls who has the machine's own token."""


class DailyBudget(Struct, frozen=True):
    """What may be spent in a local day; None for no limit. Dollars are US dollars."""

    tokens: int | None = None
    dollars: float | None = None


UNLIMITED = DailyBudget()


class Caller(Struct, frozen=True):
    """Who sent a request.

    Attributes:
        name: of the access key; empty for the machine's own token.
        role: what its holder may do.
        tiers: those that may answer; empty for all.
        budget: of the key, for a day.
    """

    name: str = ""
    role: Role = "admin"
    tiers: frozenset[Tier] = frozenset()
    budget: DailyBudget = DailyBudget()

    @property
    def limited(self) -> bool:
        """Whether its key has a budget of its own."""
        return self.budget != UNLIMITED

    @property
    def known_as(self) -> str:
        """The name for people."""
        return self.name or MACHINE

    @property
    def only(self) -> str | None:
        """The name whose data alone it may read; None where it may read that of all."""
        return self.name if self.role == "user" else None

    def must_be(self, roles: frozenset[Role]) -> None:
        """Raises `WireError` 403 unless its role is one of these."""
        if self.role not in roles:
            needed = " or ".join(sorted(roles))
            raise WireError(
                f"The access key {self.name} has the role {self.role}, and this needs {needed}. Who runs "
                f"Lynkr can add such a key: `lynkr access add NAME --role {sorted(roles)[-1]}`.",
                status=403,
                kind="permission",
            )


OWNER = Caller()
"""Who has the machine's own token."""

NOBODY = Caller("nobody", "viewer")
"""Who has shown neither token nor key."""
