"""The composition root: built from a configuration, started, reloaded, drained, stopped."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import msgspec

import lynkr_desktop
from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.cache.responses import ResponseCache
from lynkr_desktop.engine.code import workspaces_for
from lynkr_desktop.engine.config.loader import ConfigError, LoadedConfig, load_config
from lynkr_desktop.engine.config.options import Overrides
from lynkr_desktop.engine.config.schema import Config
from lynkr_desktop.engine.events import EventHub
from lynkr_desktop.engine.exchange import Exchange
from lynkr_desktop.engine.gate import Gate
from lynkr_desktop.engine.guards import Guard
from lynkr_desktop.engine.local_models import LocalModels
from lynkr_desktop.engine.memory.service import Memories
from lynkr_desktop.engine.optimization.optimizer import Optimizer
from lynkr_desktop.engine.optimization.stages import headroom_state, stage_makers
from lynkr_desktop.engine.passages.hook import Passages
from lynkr_desktop.engine.providers.base import ModelInfo, provider_of
from lynkr_desktop.engine.providers.connections import http_session
from lynkr_desktop.engine.providers.embedded.provider import EmbeddedProvider
from lynkr_desktop.engine.providers.embedded.store import ModelStore
from lynkr_desktop.engine.providers.endpoints import lane_limits
from lynkr_desktop.engine.providers.registry import (
    Tools,
    build_replicas,
    check_key,
    kind_of,
    named_check,
)
from lynkr_desktop.engine.recorder import Recorder
from lynkr_desktop.engine.resilience.breaker import Breakers
from lynkr_desktop.engine.resilience.budgets import Budgets
from lynkr_desktop.engine.resilience.guarded_sessions import GuardedSessions, name_of
from lynkr_desktop.engine.resilience.lanes import Lanes, Priority, QueueLimits
from lynkr_desktop.engine.resilience.priority import priority_of
from lynkr_desktop.engine.resilience.shedding import Pressure
from lynkr_desktop.engine.resilience.traffic import Traffic
from lynkr_desktop.engine.routing.router import Router
from lynkr_desktop.engine.routing.selection import Selection, Turns
from lynkr_desktop.engine.routing.sessions import Sessions
from lynkr_desktop.engine.routing.spread import Spread
from lynkr_desktop.engine.security.access import USED_EVERY, AccessKeys
from lynkr_desktop.engine.security.audit import Audit, AuditLog
from lynkr_desktop.engine.security.egress import Egress
from lynkr_desktop.engine.security.keys import KeyStore
from lynkr_desktop.engine.security.redaction import KNOWN, setup_logging
from lynkr_desktop.engine.security.token import resolve_token
from lynkr_desktop.engine.snapshot import Snapshot, known_models, status_of
from lynkr_desktop.engine.status import candidates_of, profile_statuses, provider_statuses, tier_statuses
from lynkr_desktop.engine.switches import Switches
from lynkr_desktop.engine.telemetry.database import database_path
from lynkr_desktop.engine.telemetry.metrics import Metrics
from lynkr_desktop.engine.telemetry.store import Records
from lynkr_desktop.engine.watch.config_file import ConfigFileWatcher
from lynkr_desktop.engine.wire.canonical import Usage
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.paths import Paths
from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetStatus
from lynkr_desktop.protocol.control import (
    ConfigStatus,
    EngineState,
    EngineStatus,
    LocalModel,
    ShutdownReply,
)
from lynkr_desktop.protocol.events import (
    BreakerChanged,
    BudgetChanged,
    ConfigReloaded,
    ModelPull,
    RequestFinished,
    RequestStarted,
    SessionChanged,
    StatusEvent,
)
from lynkr_desktop.protocol.keys import KeyCheck
from lynkr_desktop.protocol.life import Health, RestartReply
from lynkr_desktop.protocol.options import OptionOrigin
from lynkr_desktop.protocol.sessions import MOST_SHOWN, SessionAct, SessionPause
from lynkr_desktop.protocol.tiers import TIERS, Tier
from lynkr_desktop.tasks import Tasks

log = logging.getLogger(__name__)

_STATUS_PAUSE_S = 0.25
_STATUS_REFRESH_S = 5.0


class Engine:
    """Everything behind the HTTP side. Made once per process; `start` before use, `stop` at the end.

    Args:
        paths: where its files are.
        environ: the environment; read by this process's parts only through here.
        port: overrides proxy.port.
    """

    def __init__(
        self, paths: Paths, environ: Mapping[str, str] | None = None, port: int | None = None
    ) -> None:
        self.paths = paths
        self.started = time.time()
        # Clocks of computers are set, forwards and back.
        self._began = time.monotonic()
        self.hub = EventHub()
        self.egress = Egress()
        self.cache = ResponseCache(paths.cache)
        self.memories = Memories(paths.home)
        self.recorder = Recorder(
            lynkr_desktop.__version__,
            self.memories,
            lambda name: self._snapshot.providers.get(name),
            self.egress,
        )
        self.recorder.metrics.in_flight.set_function(lambda: self.gate.active)
        self.recorder.metrics.watch_cache(lambda: self.cache.count, lambda: self.cache.size)
        self.passages = Passages([self.memories])
        self.lanes = Lanes(waited=self.recorder.metrics.queued)
        self.recorder.metrics.watch_lanes(self.lanes.statuses)
        self.pressure = Pressure(lambda: self.gate.active, self._wait_for_providers)
        self.recorder.metrics.watch_pressure(
            lambda: self.pressure.lag, lambda: self.pressure.memory, self.pressure.shed
        )
        self.breakers = Breakers()
        self.breakers.on_change = self._breaker_changed
        self.recorder.metrics.watch_breakers(self.breakers.statuses)
        self.traffic = Traffic(self.breakers, self.lanes)
        self._turns = Turns()
        self.sessions = GuardedSessions(paths.sessions, self._session_changed)
        self.budgets = Budgets(
            paths.budgets,
            lambda: self.recorder.records,
            self.recorder.price,
            self._budget_changed,
            lambda name: self.access.budget_of(name),
        )
        self.recorder.metrics.watch_budgets(self.budgets.shares, self.budgets.refused)
        self._spread = Spread(self.lanes)
        self._sessions = Sessions()
        self.token = ""
        self.port = port
        self._port_given = port is not None
        self._environ = os.environ if environ is None else environ
        self._snapshot: Snapshot
        self._switches = Switches(paths.state)
        self.gate = Gate(self._switches, self.changed)
        self._secrets = KNOWN
        self.keys = KeyStore(self._environ, self._secrets.add)
        self.access = AccessKeys(paths.access)
        self.audit = Audit(AuditLog(paths.home))
        self._store = ModelStore(paths.models)
        self.models = LocalModels(lambda: self._snapshot, self.egress)
        self._tasks = Tasks()
        self._watcher: ConfigFileWatcher | None = None
        self._local_session: aiohttp.ClientSession
        self._cloud_session: aiohttp.ClientSession
        self._tools: Tools
        self._reloading = asyncio.Lock()
        self._dirty = asyncio.Event()
        self._models_told: tuple[LocalModel, ...] = ()
        self._settled = asyncio.Event()
        self.restarter: Callable[[], Awaitable[RestartReply]] | None = None
        """Has another engine take over; None where this one has no way to start it."""

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Loads the configuration and opens everything but the port.

        Raises:
            ConfigError: the file is wrong; at the first start there is no older one to keep.
            OSError: the home folder cannot be written.
        """
        loaded = load_config(self.paths.config)
        config = loaded.config
        self.paths.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.token = resolve_token(self.paths, config.proxy.auth.token, self._environ)
        self._secrets.add(self.token)
        setup_logging(self.paths, config.logging, self._secrets)
        await asyncio.to_thread(self.access.load)
        if self.port is None:
            self.port = config.proxy.port
        database = database_path(config.telemetry.storage, self.paths.home)
        await self.recorder.start(database, config.telemetry.retention)
        self._local_session = http_session(self.egress, trust_env=False)
        self._cloud_session = http_session(self.egress, trust_env=True)
        self._tools = Tools(
            local_session=lambda: self._local_session,
            cloud_session=lambda: self._cloud_session,
            store=self._store,
            on_change=self._local_models_changed,
            on_pull=self._pull_changed,
            environ=self._environ,
            keys=self.keys,
        )
        self._switches.load()
        self.sessions.load()
        self.budgets.load()
        if self._starts_shut(loaded.config):
            # Before anything is built: some providers look at once for what is there.
            self.egress.shut()
        self._snapshot = await self._build(loaded, None)
        self._take_effect()
        self.recorder.metrics.sessions_paused.set_function(lambda: len(self.sessions.stopped))
        self.pressure.start()
        self._watcher = ConfigFileWatcher(self.paths.config, self._file_changed)
        self._watcher.start()
        self._tasks.spawn(self._publish_status(), "status events")
        self._tasks.spawn(self._keep_use_of_keys(), "use of access keys")
        self._tasks.spawn(self.recorder.prices.warm(), "price table")
        self._tasks.spawn(self._snapshot.optimizer.warm(config.pipelines()), "stages")
        self._tasks.spawn(self._pull_if_needed(), "first model")
        self.gate.open()
        self.audit.note("engine", "started", f"version {lynkr_desktop.__version__}, process {self.pid}")
        for name in loaded.inactive:
            log.info("option %s is accepted and not active yet", name)

    async def stop(self, until: Awaitable[None] | None = None) -> None:
        """Waits within proxy.drain_timeout for the requests in flight; what is left then is told so.

        Args:
            until: what to wait for instead.
        """
        await self.gate.drain(self.snapshot.config.proxy.drain_timeout, until)
        self.hub.close()

    async def close(self) -> None:
        """Closes what is open; the HTTP side has ended by now."""
        if self._watcher is not None:
            await self._watcher.stop()
        await self.gate.close()
        self.pressure.stop()
        await self._tasks.close()
        if self.workspaces is not None:
            await self.workspaces.close()
        await self.cache.close()
        await self.sessions.close()
        await self.budgets.close()
        await self.memories.close()
        await asyncio.gather(*(provider.close() for provider in self._snapshot.every_provider))
        await self._store.close()
        self.egress.open()
        await self._local_session.close()
        await self._cloud_session.close()
        await self.recorder.close()
        await asyncio.to_thread(self.access.save_used)
        self.audit.note("engine", "stopped", f"process {self.pid}")
        await self.audit.close()

    def request_stop(self, *, force: bool = False) -> ShutdownReply:
        """Begins to stop; `force` ends the wait for requests in flight."""
        self.gate.ask_to_stop(force=force)
        return ShutdownReply(
            active=self.gate.active, drain_timeout_s=self.snapshot.config.proxy.drain_timeout
        )

    def hand_over(self) -> ShutdownReply:
        """Another engine serves the port: finishes what came here, and has clients connect to that one."""
        self.gate.handing_over = True
        self.sessions.let_go()
        told = self.request_stop()
        # Those who listen shall do so there.
        self.hub.close()
        return told

    def alone(self) -> None:
        """The engine that served before this one has ended: what it wrote last counts from now on."""
        self.recorder.records.recount()
        self.budgets.read_again()

    @property
    def stopping(self) -> bool:
        """Whether it is on its way out."""
        return self.gate.stopping.is_set()

    async def restart(self) -> RestartReply:
        """Has a new engine take over the port. Raises `WireError`: this one goes on as it was."""
        if self.restarter is None:
            raise WireError(
                "This engine cannot start another one. Stop it and start it again.",
                status=409,
                kind="conflict",
            )
        return await self.restarter()

    async def wait_for_stop(self) -> None:
        """Returns once somebody asked it to stop."""
        await self.gate.stopping.wait()

    async def settled(self) -> None:
        """Returns once it is known whether a first model must be downloaded."""
        await self._settled.wait()

    @property
    def pid(self) -> int:
        """This process."""
        return os.getpid()

    # ------------------------------------------------------------ configuration

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self._snapshot

    @property
    def workspaces(self) -> Workspaces | None:
        """The code that requests are about; None where none is indexed."""
        return self._snapshot.router.workspaces

    async def _build(self, loaded: LoadedConfig, old: Snapshot | None) -> Snapshot:
        config = loaded.config
        replicas = build_replicas(
            config, self._tools, old.config if old else None, old.replicas if old else None
        )
        kept = set(old.every_provider) if old else set()
        for provider in (each for endpoints in replicas.values() for each in endpoints):
            if provider not in kept:
                await provider.start()
        providers = {name: endpoints[0] for name, endpoints in replicas.items()}
        return Snapshot(
            config=config,
            status=status_of(loaded),
            guard=Guard(
                self.token,
                config.proxy.allowed_hosts,
                config.proxy.allowed_origins,
                open_path="/api/" if config.proxy.auth.ollama_without_token else "",
                keys=self.access,
                refused=self.audit.refused,
            ),
            router=Router(
                config.routing,
                frozenset(providers),
                known_models(config),
                self._switches,
                self._sessions,
                await self._workspaces_for(config, old),
            ),
            selection=Selection(
                providers,
                config.routing.weights,
                self.recorder.prices,
                self.recorder.quickness,
                self._turns,
                replicas,
                self._spread,
            ),
            providers=providers,
            replicas=replicas,
            optimizer=Optimizer(stage_makers(config.optimization, self.paths.cache)),
        )

    async def _workspaces_for(self, config: Config, old: Snapshot | None) -> Workspaces | None:
        """The indices of code: kept while their options stay, for they are costly to make."""
        graphify = config.routing.analysis.graphify
        if old is not None and old.config.routing.analysis.graphify == graphify:
            return old.router.workspaces
        made = workspaces_for(graphify, self.paths, self.changed, self.cache.files_changed)
        if made is not None:
            await made.start()
        return made

    def _starts_shut(self, config: Config) -> bool:
        return Router(config.routing, frozenset(), switches=self._switches).profile.local_only

    async def reload(self) -> ConfigStatus:
        """Takes the file as it is now, whole; a wrong one changes nothing and is told in `error`."""
        async with self._reloading:
            old = self._snapshot
            try:
                loaded = load_config(self.paths.config)
                self.token = resolve_token(self.paths, loaded.config.proxy.auth.token, self._environ)
                self._secrets.add(self.token)
                setup_logging(self.paths, loaded.config.logging, self._secrets)
                await asyncio.to_thread(self.access.load)
                self._snapshot = await self._build(loaded, old)
            except (ConfigError, OSError) as error:
                status = msgspec.structs.replace(old.status, error=str(error))
                self._snapshot = dataclasses.replace(old, status=status)
                log.warning("the configuration was not taken: %s", error)
            else:
                self._take_effect()
                status = self._snapshot.status
                log.info("the configuration was loaded from %s", loaded.path)
                self._tasks.spawn(self._close_old(old), "close old providers")
            self.hub.publish(ConfigReloaded(path=status.path, error=status.error))
            self.changed()
            return status

    def _take_effect(self) -> None:
        """Lets what outlives a configuration go by the one in force."""
        config = self.snapshot.config
        self._mind_the_gate()
        self.budgets.take(config.budgets)
        self.sessions.options = config.sessions.loop_guard
        self._sessions.forget_after = config.routing.sticky.idle
        self.cache.take(config.optimization.cache)
        queue = config.resilience.queue
        self.lanes.take(
            lane_limits(config, self.snapshot.replicas),
            QueueLimits(queue.max_waiting, queue.max_wait),
        )
        latency, providers = config.resilience.latency, config.providers
        limits = {name: each.p95_limit for name, each in providers.items() if each.p95_limit is not None}
        self.breakers.take(config.telemetry.circuit_breaker, latency.p95, limits)
        self.traffic.retry = config.resilience.retry
        self.pressure.options = config.resilience.shedding
        self.pressure.longest_wait = queue.max_wait
        self.memories.take(config.memory)
        self.recorder.go_by(config.telemetry)
        self.audit.files.options = config.access.audit

    async def _close_old(self, old: Snapshot) -> None:
        """Closes what the new configuration dropped; providers when nothing uses them any more."""
        indices = old.router.workspaces
        if indices is not None and indices is not self.workspaces:
            await indices.close()
        gone = set(old.every_provider) - set(self._snapshot.every_provider)
        if gone:
            for provider in gone:
                # Another address or key may have other limits, and may work.
                self.lanes.forget(provider.name)
                self.breakers.reset_provider(provider.name)
            await self.gate.idle.wait()
            await asyncio.gather(*(provider.close() for provider in gone))

    async def _file_changed(self) -> None:
        status = await self.reload()
        self.audit.note("file", "configuration reloaded", status.error or status.path)

    # ------------------------------------------------------------ switches

    async def switch_tier(self, tier: Tier, enabled: bool) -> None:
        """Switches a tier at once and for good. Raises `WireError` 404 when there is no such tier."""
        if tier not in self.snapshot.config.routing.tiers:
            raise WireError(f"The configuration has no tier {tier}.", status=404, kind="not_found")
        await asyncio.to_thread(self._switches.set_tier, tier, enabled)
        log.info("tier %s was switched %s", tier, "on" if enabled else "off")
        self.changed()

    async def switch_profile(self, name: str) -> None:
        """Puts a profile into force at once and for good. Raises `WireError` 404 when there is none such."""
        options = self.snapshot.config.routing
        if options.profile_named(name) is None:
            names = ", ".join(options.profile_names)
            message = f"There is no profile {name[:40]!r}. The profiles are {names}."
            raise WireError(message, status=404, kind="not_found")
        await asyncio.to_thread(self._switches.set_profile, name)
        self._mind_the_gate()
        log.info("the profile is now %s", name)
        self.changed()

    def _mind_the_gate(self) -> None:
        """Lets out what the profile in force lets out."""
        if self.snapshot.router.profile.local_only:
            self.egress.shut()
        else:
            self.egress.open()

    async def act_on_session(
        self, name: str, act: SessionAct, *, client: str = "", title: str = ""
    ) -> SessionPause:
        """Pauses, resumes, resets, ends or removes a session; see `GuardedSessions.act`."""
        first = self.sessions.first_ask(name)
        after = await self.sessions.act(name, act, client=client, title=title)
        if act == "reset":
            base = name.partition("~")[0]
            self._sessions.forget(lambda session: name_of(session, "") == base, first)
        return after

    def _budget_changed(self, budget: BudgetStatus) -> None:
        log.warning("the budget of %s %s is spent to %.0f %%", budget.scope, budget.name, 100 * budget.share)
        self.hub.publish(BudgetChanged(budget))
        self.changed()

    def _session_changed(self, session: SessionPause) -> None:
        if session.state == "paused":
            self.recorder.metrics.loop_pauses.labels(session.cause).inc()
        if session.state == "paused" and session.cause != "person":
            self.audit.note("engine", "session paused", f"id {session.id}; {session.detail}")
        self.hub.publish(SessionChanged(session))
        self.changed()

    @property
    def overrides(self) -> Overrides:
        """The options that the environment or the command line has set."""
        found: dict[str, tuple[OptionOrigin, Any]] = {}
        if self._port_given:
            found["proxy.port"] = ("command", self.port)
        if self._environ.get("LYNKR_TOKEN", "").strip():
            found["proxy.auth.token"] = ("environment", self.token)
        return found

    # ------------------------------------------------------------ keys

    async def _keep_use_of_keys(self) -> None:
        """Notes now and then on the disk when access keys were last used."""
        while True:
            await asyncio.sleep(USED_EVERY)
            if self.access.use_to_save:
                await asyncio.to_thread(self.access.save_used)

    def forget_key(self, provider: str) -> None:
        """A key was set or removed: the next request looks it up anew."""
        for found in self.snapshot.every_provider:
            if found.key is not None and found.key_name == provider:
                found.key.forget()
                self.lanes.forget(found.name)
                self.breakers.reset_provider(found.name)
        self.changed()

    async def check_key(self, provider: str) -> KeyCheck:
        """Asks a provider whether it takes its key, whether the configuration uses it or not."""
        for found in self.snapshot.every_provider:
            if found.key_name == provider:
                return await named_check(found, provider)
        return await check_key(provider, self.snapshot.config, self._tools)

    # ------------------------------------------------------------ requests (flow.Host)

    def enter(self, exchange: Exchange) -> None:
        """Counts a request in."""
        self.gate.enter(exchange.task)

    @property
    def cut_off(self) -> WireError | None:
        """What requests are told that the engine no longer waits for; None while it does."""
        return self.gate.cut_off

    def admit(self, exchange: Exchange) -> None:
        """Raises `WireError` 503 while paused or draining, 503 or 529 while overloaded."""
        if self.pressure.level:
            self._shed(exchange, None)
        self.gate.check()

    def spare(self, exchange: Exchange) -> None:
        """Raises `WireError` 503 or 529 where pressure leaves no room for what nobody waits for."""
        if self.pressure.level:
            self._shed(exchange, priority_of(exchange))

    def _shed(self, exchange: Exchange, priority: Priority | None) -> None:
        anthropic = exchange.codec.name == "anthropic_messages"
        error = self.pressure.refuse(priority, status=529 if anthropic else 503)
        if error is not None:
            raise error

    def _wait_for_providers(self) -> float:
        """Seconds for which a request has been waiting for a provider that is not on this machine."""
        providers = self.snapshot.providers
        waits = [0.0]
        for lane in self.lanes:
            provider = providers.get(provider_of(lane.name))
            if lane.waiting and provider is not None and not provider.on_this_machine:
                waits.append(lane.oldest_wait())
        return max(waits)

    def routed(self, exchange: Exchange) -> None:
        """Tells listeners where a request goes."""
        if self.hub.listening:
            self.hub.publish(RequestStarted(exchange.row()))
            self.changed()

    def price(self, exchange: Exchange, usage: Usage) -> float | None:
        """The cost of `usage` at the target of `exchange`, None when the price is unknown."""
        return self.recorder.price(exchange, usage)

    def leave(self, exchange: Exchange) -> None:
        """Counts a request out and records it."""
        self.gate.leave(exchange.task)
        for passage in exchange.passages:
            passage.close()
        exchange.passages = []
        if exchange.hold is not None:
            self.budgets.settle(exchange)
        self.recorder.take(exchange)
        if self.hub.listening:
            self.hub.publish(RequestFinished(exchange.row()))
            self.changed()

    @property
    def records(self) -> Records:
        """The records, with every request that has ended."""
        return self.recorder.records

    @property
    def metrics(self) -> Metrics:
        """The metrics, with every request that has ended."""
        return self.recorder.metrics

    # ------------------------------------------------------------ state

    @property
    def state(self) -> EngineState:
        """Whether it takes requests."""
        return self.gate.state

    def changed(self) -> None:
        """Something that `status` shows has changed."""
        self._dirty.set()

    def health(self) -> Health:
        """That it lives."""
        return Health(version=lynkr_desktop.__version__, uptime_s=round(time.monotonic() - self._began, 3))

    @property
    def embedded(self) -> EmbeddedProvider:
        """The built-in models."""
        provider = self.snapshot.providers["embedded"]
        if not isinstance(provider, EmbeddedProvider):
            raise WireError(
                "The provider embedded is configured as another kind.", status=404, kind="not_found"
            )
        return provider

    def local_models(self) -> tuple[LocalModel, ...]:
        """The built-in models as they stand."""
        provider = self.snapshot.providers.get("embedded")
        return provider.local_models() if isinstance(provider, EmbeddedProvider) else ()

    async def list_models(self) -> list[tuple[str, ModelInfo]]:
        """Every model that is there now, with its provider's name."""
        providers = list(self.snapshot.providers.values())
        lists = await asyncio.gather(*(provider.models() for provider in providers))
        return [
            (provider.name, model)
            for provider, models in zip(providers, lists, strict=True)
            for model in models
        ]

    async def status(self) -> EngineStatus:
        """The whole state."""
        snapshot, today = self.snapshot, self.records.today()
        providers, tiers = await asyncio.gather(
            provider_statuses(snapshot), tier_statuses(snapshot, today, self.breakers)
        )
        url = f"http://127.0.0.1:{self.port}"
        return EngineStatus(
            state=self.gate.state,
            version=lynkr_desktop.__version__,
            pid=self.pid,
            started=self.started,
            port=self.port or 0,
            openai_url=f"{url}/v1",
            anthropic_url=url,
            paused_until=self.gate.paused_until,
            active=self.gate.active,
            tiers=tiers,
            providers=providers,
            models=self.local_models(),
            totals=today.totals,
            hours=tuple(today.hours),
            config=snapshot.status,
            profiles=profile_statuses(snapshot),
            workspaces=self.workspaces.statuses() if self.workspaces is not None else (),
            budgets=self.budgets.fullest(),
            pressure=self.pressure.reason,
            breakers=self.breakers.troubled(),
            headroom=headroom_state(snapshot.config.optimization, self.paths.cache),
            lanes=tuple(lane for lane in self.lanes.statuses() if lane.held_up),
            sessions_paused=self.sessions.stopped[:MOST_SHOWN],
        )

    async def _publish_status(self) -> None:
        """Tells listeners of changes, also of those that nobody announces: an Ollama that went away."""
        last: EngineStatus | None = None
        while True:
            try:
                async with asyncio.timeout(_STATUS_REFRESH_S):
                    await self._dirty.wait()
            except TimeoutError:
                pass
            self._dirty.clear()
            if self.hub.listening:
                status = await self.status()
                if status != last:
                    self.hub.publish(StatusEvent(status))
                    last = status
            await asyncio.sleep(_STATUS_PAUSE_S)

    def _breaker_changed(self, breaker: BreakerStatus) -> None:
        log.warning("the breaker of %s is now %s. %s", breaker.name, breaker.state, breaker.reason)
        self.hub.publish(BreakerChanged(breaker))
        self.changed()

    def _pull_changed(self, model: LocalModel) -> None:
        self.hub.publish(ModelPull(model))
        self.changed()

    def _local_models_changed(self) -> None:
        models = self.local_models()
        for model in models:
            if model not in self._models_told:
                self.hub.publish(ModelPull(model))
        self._models_told = models
        self.changed()

    async def _pull_if_needed(self) -> None:
        """Downloads the built-in model when a tier names it and nothing else can answer."""
        config = self.snapshot.config
        try:
            if config.embedded.auto_pull:
                await self._pull_first(config)
        finally:
            self._settled.set()

    async def _pull_first(self, config: Config) -> None:
        tiers = [await candidates_of(self.snapshot, tier) for tier in TIERS]
        candidates = [candidate for found in tiers for candidate in found]
        if self.egress.is_shut or any(candidate.usable for candidate in candidates):
            return
        for candidate in candidates:
            if kind_of(candidate.provider, config) == "embedded":
                self.embedded.start_pull(candidate.model)
                return
