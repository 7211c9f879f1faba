"""The configuration in force, with everything that was made from it. Never changed, only replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.engine.guards import Guard
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.routing.router import Router
from lynkr_desktop.protocol.control import ConfigStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Requests hold the snapshot that they began with, so a reload never changes one in flight."""

    config: Config
    status: ConfigStatus
    guard: Guard
    router: Router
    providers: Mapping[str, Provider]
