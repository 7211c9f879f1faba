"""From the configuration to the providers that it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import get_args

from lynkr_desktop.engine.config.schema import Config, ProviderKind, ProviderOptions
from lynkr_desktop.engine.providers.anthropic import AnthropicProvider
from lynkr_desktop.engine.providers.azure import AzureProvider
from lynkr_desktop.engine.providers.base import Provider
from lynkr_desktop.engine.providers.bedrock import BedrockProvider
from lynkr_desktop.engine.providers.embedded.provider import EmbeddedProvider
from lynkr_desktop.engine.providers.embedded.store import ModelStore
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


def build_providers(
    config: Config, tools: Tools, old_config: Config | None = None, old: Mapping[str, Provider] | None = None
) -> dict[str, Provider]:
    """Makes every provider that the configuration names or that its tiers use.

    A provider of `old` whose options did not change is kept, so that a reload unloads no model.
    """
    used = {name.partition("/")[0] for tier in config.routing.tiers.values() for name in tier.providers}
    names = sorted(used | set(config.providers) | {"ollama", "embedded"})
    return {
        name: old[name]
        if old_config is not None and old is not None and name in old and _same(name, config, old_config)
        else _build(name, config, tools)
        for name in names
    }


def _same(name: str, config: Config, old: Config) -> bool:
    return _options(name, config) == _options(name, old) and (
        kind_of(name, config) != "embedded" or config.embedded == old.embedded
    )


def _options(name: str, config: Config) -> ProviderOptions:
    return config.providers.get(name) or ProviderOptions()


def kind_of(name: str, config: Config) -> ProviderKind:
    """The kind of a provider: as configured, else its name."""
    kind = _options(name, config).kind
    if kind is not None:
        return kind
    kinds: tuple[ProviderKind, ...] = get_args(ProviderKind)
    return next((known for known in kinds if known == name), "openai_compatible")


def _build(name: str, config: Config, tools: Tools) -> Provider:
    options, kind = _options(name, config), kind_of(name, config)
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
                key=provider_key(name, options, tools),
            )
        case "azure":
            return AzureProvider(
                name=name,
                options=options,
                session=_session_for(
                    options.base_url or tools.environ.get("AZURE_OPENAI_ENDPOINT", ""), tools
                ),
                key=provider_key(name, options, tools),
                environ=tools.environ,
            )
        case "anthropic":
            return AnthropicProvider(
                name=name,
                options=options,
                session=_session_for(options.base_url or "", tools),
                key=provider_key(name, options, tools),
            )
        case "vertex":
            return VertexProvider(
                name=name,
                options=options,
                session=_session_for(options.base_url or "", tools),
                key=provider_key(name, options, tools),
                environ=tools.environ,
            )
        case "bedrock":
            return BedrockProvider(
                name=name,
                options=options,
                session=_session_for(
                    options.base_url or tools.environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", ""), tools
                ),
                key=provider_key(name, options, tools),
                environ=tools.environ,
            )


def _session_for(base_url: str, tools: Tools) -> SessionFactory:
    return tools.local_session if is_loopback(base_url) else tools.cloud_session


async def check_key(name: str, config: Config, tools: Tools) -> KeyCheck:
    """Asks a provider that is not in use whether it takes its key."""
    provider = _build(name, config, tools)
    try:
        return await provider.check_key()
    finally:
        await provider.close()


def provider_key(name: str, options: ProviderOptions, tools: Tools) -> ProviderKey:
    """The key of the provider `name`: from the OS keyring, else from the environment."""
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
