"""All checks, in the order in which they are shown."""

from __future__ import annotations

from lynkr_desktop.doctor import (
    access,
    builtin,
    docker,
    environment,
    keys,
    ollama,
    service,
    storage,
    system,
    watches,
)
from lynkr_desktop.doctor.check import Check
from lynkr_desktop.doctor.look import Look


def checks_for(look: Look) -> list[Check]:
    """The checks that a home needs: some are there once for each of its providers."""
    return [
        Check("engine", "Lynkr", service.engine),
        Check("configuration", "Lynkr", service.configuration),
        Check("port", "Lynkr", service.port),
        Check("token", "Lynkr", service.token),
        Check("access keys", "Lynkr", access.access_keys),
        Check("python", "Lynkr", system.python),
        Check("home", "Files", storage.home),
        Check("logs", "Files", storage.logs, worst="note"),
        Check("disk", "Files", storage.disk),
        Check("records", "Files", storage.records, seconds=20.0),
        Check("memories", "Files", storage.memories, seconds=20.0),
        Check("cache", "Files", storage.cache, seconds=20.0, worst="note"),
        Check("audit log", "Files", access.audit_log, seconds=20.0),
        Check("keyring", "Keys", keys.keyring, seconds=8.0, worst="note"),
        *keys.key_checks(look),
        *ollama.ollama_checks(look),
        Check("built-in model", "Models", builtin.built_in),
        Check("tiers", "Models", builtin.tiers, seconds=12.0),
        Check("clock", "System", keys.clock, seconds=10.0, worst="note"),
        Check("watch limits", "System", watches.watches, seconds=15.0, worst="note"),
        Check("open files", "System", system.open_files),
        Check("headroom", "System", system.headroom, worst="note"),
        Check("autostart", "System", system.autostart, worst="note"),
        Check("docker", "System", docker.docker, worst="note"),
        Check("agents", "Environment", environment.agents),
        Check("loops", "Environment", environment.loops),
        Check("proxies", "Environment", environment.proxies),
    ]
