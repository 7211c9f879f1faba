"""Routing and the index of code as an engine of this home would have them, without one: for commands."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.code import workspaces_for
from lynkr_desktop.engine.config.loader import LoadedConfig
from lynkr_desktop.engine.guards import Guard
from lynkr_desktop.engine.optimization.optimizer import Optimizer
from lynkr_desktop.engine.providers.connections import http_session
from lynkr_desktop.engine.providers.embedded.store import ModelStore
from lynkr_desktop.engine.providers.registry import Tools, build_providers
from lynkr_desktop.engine.routing.router import Router
from lynkr_desktop.engine.routing.selection import Quickness, Selection, Turns
from lynkr_desktop.engine.security.egress import Egress
from lynkr_desktop.engine.security.keys import KeyStore
from lynkr_desktop.engine.security.redaction import KNOWN
from lynkr_desktop.engine.snapshot import Snapshot, known_models, status_of
from lynkr_desktop.engine.switches import Switches
from lynkr_desktop.engine.telemetry.prices import Prices
from lynkr_desktop.paths import Paths


@dataclass(frozen=True, slots=True)
class Offline:
    """What decides, without what answers: no port, no records, no models that are loaded."""

    snapshot: Snapshot
    workspaces: Workspaces | None
    egress: Egress


@asynccontextmanager
async def open_workspaces(loaded: LoadedConfig, paths: Paths) -> AsyncIterator[Workspaces | None]:
    """The indices of code until the block ends; what they find is stored for the next time."""
    workspaces = workspaces_for(loaded.config.routing.analysis.graphify, paths, lambda: None)
    if workspaces is None:
        yield None
        return
    await workspaces.start()
    try:
        yield workspaces
    finally:
        await workspaces.close()


@asynccontextmanager
async def open_offline(
    loaded: LoadedConfig, paths: Paths, environ: Mapping[str, str]
) -> AsyncIterator[Offline]:
    """All that a decision needs, until the block ends."""
    # Nobody reads a log here, and what goes wrong is told by the status of what it concerns.
    logging.getLogger("lynkr_desktop").addHandler(logging.NullHandler())
    config, egress = loaded.config, Egress()
    switches = Switches(paths.state)
    switches.load()
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(http_session(egress, trust_env=False))
        cloud = await stack.enter_async_context(http_session(egress, trust_env=True))
        store = ModelStore(paths.models)
        stack.push_async_callback(store.close)
        tools = Tools(
            local_session=lambda: local,
            cloud_session=lambda: cloud,
            store=store,
            on_change=lambda: None,
            environ=environ,
            keys=KeyStore(environ, KNOWN.add),
        )
        providers = build_providers(config, tools)
        for provider in providers.values():
            stack.push_async_callback(provider.close)
        workspaces = await stack.enter_async_context(open_workspaces(loaded, paths))
        router = Router(
            config.routing, frozenset(providers), known_models(config), switches, workspaces=workspaces
        )
        if router.profile.local_only:
            egress.shut()
            stack.callback(egress.open)
        snapshot = Snapshot(
            config=config,
            status=status_of(loaded),
            guard=Guard(""),
            router=router,
            selection=Selection(providers, config.routing.weights, Prices(), Quickness(), Turns()),
            providers=providers,
            optimizer=Optimizer({}),
        )
        yield Offline(snapshot, workspaces, egress)
