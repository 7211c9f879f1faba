"""Options of shared use: what is kept of who did what."""

from __future__ import annotations

from pydantic import Field

from lynkr_desktop.engine.config.base import Duration, Options, Size

_DAY = 86400.0


class AuditOptions(Options):
    """access.audit"""

    retention: Duration = Field(
        365 * _DAY,
        ge=_DAY,
        le=100 * 366 * _DAY,
        description="Entries of the audit log older than this are deleted, a file of them at a time.",
    )
    size: Size = Field(
        64 * 1024**2,
        ge=256 * 1024,
        le=16 * 1024**3,
        description="The most that the audit log takes on the disk; beyond it the oldest entries go.",
    )


class AccessOptions(Options):
    """access"""

    audit: AuditOptions = Field(
        default_factory=AuditOptions,
        description="The log of who changed what, which `lynkr audit` shows and verifies.",
    )
