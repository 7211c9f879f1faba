"""From the configuration to the providers that it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import get_args

import msgspec

from lynkr_desktop.engine.config.schema import Config, ProviderKind, ProviderOptions
from lynkr_desktop.engine.providers.anthropic import AnthropicProvider
from lynkr_desktop.engine.providers.azure import AzureProvider
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.providers.bedrock import BedrockProvider
from lynkr_desktop.engine.providers.embedded.provider import EmbeddedProvider
from lynkr_desktop.engine.providers.embedded.store import ModelStore
from lynkr_desktop.engine.providers.endpoints import Endpoint, endpoint_with_key, endpoints_of
from lynkr_desktop.engine.providers.http import SessionFactory
from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.providers.ollama import OllamaProvider
from lynkr_desktop.engine.providers.openai_compatible import BASE_URLS, OpenAICompatibleProvider
from lynkr_desktop.engine.providers.vertex import VertexProvider
from lynkr_desktop.engine.security.egress import is_loopback
from lynkr_desktop.engine.security.keys import KeyStore, usual_variables
from lynkr_desktop.protocol.control import LocalModel
from lynkr_desktop.protocol.keys import KeyCheck

OLLAMA_URL = "http://127.0.0.1:11434"


@dataclass(frozen=True, slots=True)
class Tools:
    """What providers are made with.

    Attributes:
        local_session: HTTP to this machine; no proxy of the environment applies.
        cloud_session: HTTP to elsewhere; proxies of the environment apply.
        store: the models of the embedded provider.
        on_change: to be called when the state of a built-in model changes.
        on_pull: to be called with a model of Ollama that is being fetched.
        environ: the environment, read here and nowhere else.
        keys: the keys of providers.
    """

    local_session: SessionFactory
    cloud_session: SessionFactory
    store: ModelStore
    on_change: Callable[[], None]
    environ: Mapping[str, str]
    keys: KeyStore
    on_pull: Callable[[LocalModel], None] = lambda _: None


Replicas = Mapping[str, tuple[Provider, ...]]
"""Providers by name, each with one for every endpoint."""


def build_providers(config: Config, tools: Tools) -> dict[str, Provider]:
    """The first endpoint of every provider that the configuration names or that its tiers use."""
    return {name: _build(endpoints_of(name, config)[0], config, tools) for name in _names(config)}


def build_replicas(
    config: Config, tools: Tools, old_config: Config | None = None, old: Replicas | None = None
) -> dict[str, tuple[Provider, ...]]:
    """Makes every endpoint of every provider that the configuration names or that its tiers use.

    An endpoint of `old` whose options did not change is kept, so that a reload unloads no model.
    """
    made: dict[str, tuple[Provider, ...]] = {}
    for name in _names(config):
        known: dict[int, tuple[Endpoint, Provider]] = {}
        if old_config is not None and old is not None and _same_kind(name, config, old_config):
            olds = zip(endpoints_of(name, old_config), old.get(name, ()), strict=False)
            known = {endpoint.number: (endpoint, provider) for endpoint, provider in olds}
        made[name] = tuple(
            known[endpoint.number][1]
            if endpoint.number in known and endpoint.made_as(known[endpoint.number][0])
            else _build(endpoint, config, tools)
            for endpoint in endpoints_of(name, config)
        )
    return made


def _names(config: Config) -> list[str]:
    used = {name.partition("/")[0] for tier in config.routing.tiers.values() for name in tier.providers}
    return sorted(used | set(config.providers) | {"ollama", "embedded"})


def _same_kind(name: str, config: Config, old: Config) -> bool:
    kind = kind_of(name, config)
    return kind == kind_of(name, old) and (kind != "embedded" or config.embedded == old.embedded)


def _options(name: str, config: Config) -> ProviderOptions:
    return config.providers.get(name) or ProviderOptions()


def kind_of(name: str, config: Config) -> ProviderKind:
    """The kind of a provider: as configured, else its name."""
    kind = _options(name, config).kind
    if kind is not None:
        return kind
    kinds: tuple[ProviderKind, ...] = get_args(ProviderKind)
    return next((known for known in kinds if known == name), "openai_compatible")


def _build(endpoint: Endpoint, config: Config, tools: Tools) -> Provider:
    provider = _made(endpoint, config, tools)
    provider.endpoint, provider.weight = endpoint.number, endpoint.weight
    provider.key_name = endpoint.key
    return provider


def _made(endpoint: Endpoint, config: Config, tools: Tools) -> Provider:
    name, options = endpoint.provider, endpoint.options
    kind = kind_of(name, config)
    key = provider_key(endpoint.key, options, tools)
    match kind:
        case "ollama":
            url = options.base_url or ollama_url(tools.environ)
            return OllamaProvider(
                name=name,
                base_url=url,
                options=options,
                session=tools.local_session,
                on_pull=tools.on_pull,
            )
        case "embedded":
            return EmbeddedProvider(
                options=config.embedded,
                store=tools.store,
                session=tools.local_session,
                on_change=tools.on_change,
            )
        case "openai" | "openrouter" | "openai_compatible":
            on_this_machine = is_loopback(options.base_url or BASE_URLS.get(kind, ""))
            return OpenAICompatibleProvider(
                name=name,
                kind=kind,
                options=options,
                session=tools.local_session if on_this_machine else tools.cloud_session,
                key=key,
            )
        case "azure":
            return AzureProvider(
                name=name,
                options=options,
                session=_session_for(
                    options.base_url or tools.environ.get("AZURE_OPENAI_ENDPOINT", ""), tools
                ),
                key=key,
                environ=tools.environ,
            )
        case "anthropic":
            return AnthropicProvider(
                name=name,
                options=options,
                session=_session_for(options.base_url or "", tools),
                key=key,
            )
        case "vertex":
            return VertexProvider(
                name=name,
                options=options,
                session=_session_for(options.base_url or "", tools),
                key=key,
                environ=tools.environ,
            )
        case "bedrock":
            return BedrockProvider(
                name=name,
                options=options,
                session=_session_for(
                    options.base_url or tools.environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", ""), tools
                ),
                key=key,
                environ=tools.environ,
            )


def _session_for(base_url: str, tools: Tools) -> SessionFactory:
    return tools.local_session if is_loopback(base_url) else tools.cloud_session


async def check_key(name: str, config: Config, tools: Tools) -> KeyCheck:
    """Asks a provider that is not in use whether it takes its key, which is kept under `name`."""
    endpoint = endpoint_with_key(name, config) or endpoints_of(name, config)[0]
    provider = _build(endpoint, config, tools)
    try:
        return await named_check(provider, name)
    finally:
        await provider.close()


async def named_check(provider: Provider, name: str) -> KeyCheck:
    """What an endpoint says of its key, which is kept under `name`."""
    return msgspec.structs.replace(await provider.check_key(), provider=name)


def provider_key(name: str, options: ProviderOptions, tools: Tools) -> ProviderKey:
    """The key that is kept under `name`: from the OS keyring, else from the environment."""
    variable = options.key_env or next(iter(usual_variables(name)), "")
    return ProviderKey(
        partial(tools.keys.find, name, options.key_env),
        f"Store it with `lynkr keys set {name}`, or set {variable}.",
    )


def ollama_url(environ: Mapping[str, str] = os.environ) -> str:
    """Where Ollama answers: OLLAMA_HOST as Ollama itself reads it, else its default."""
    host = environ.get("OLLAMA_HOST", "").strip().rstrip("/")
    if not host:
        return OLLAMA_URL
    scheme, mark, rest = host.partition("://")
    if not mark:
        scheme, rest = "http", host
    if rest.startswith(":"):
        rest = f"127.0.0.1{rest}"
    # A server told to listen everywhere is reached on this machine.
    rest = rest.replace("0.0.0.0", "127.0.0.1", 1) if rest.startswith("0.0.0.0") else rest
    if rest.rpartition(":")[2].isdigit() and not rest.endswith("]"):
        return f"{scheme}://{rest}"
    port = {"http": 80, "https": 443}.get(scheme, 11434) if mark else 11434
    return f"{scheme}://{rest}:{port}"
