"""Ollama: whether it answers, has the models that tiers name, and reads prompts that are long enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from lynkr_desktop.doctor.check import NO_CONFIGURATION, Check, Found, note, ok, problem, skipped
from lynkr_desktop.doctor.environment import without_password

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look
    from lynkr_desktop.engine.providers.ollama import OllamaProvider
    from lynkr_desktop.engine.providers.ollama_catalog import Installed, Snapshot

_AGENT_PROMPT = 24_000
"""Tokens. The first request of a coding agent with its tools has about 20,000, and its answer needs room."""

_SHOWN = 3
_ASK = aiohttp.ClientTimeout(total=5)
_LONGEST_VERSION = 64 * 1024


def ollama_checks(look: Look) -> list[Check]:
    """Two checks for each Ollama: whether it has what the tiers name, and how much its models can read."""
    from lynkr_desktop.engine.providers.registry import kind_of

    config = look.config
    names = sorted({*config.providers, "ollama"}, key=lambda name: (name != "ollama", name))
    names = [name for name in names if kind_of(name, config) == "ollama"]
    subjects = ["" if name == "ollama" else name for name in names]
    return [
        *(
            Check("ollama", "Models", partial(_ollama, name), subject, 10.0)
            for name, subject in zip(names, subjects, strict=True)
        ),
        *(
            Check("ollama context", "Models", partial(_context, name), subject, 10.0, "note")
            for name, subject in zip(names, subjects, strict=True)
        ),
    ]


# ---------------------------------------------------------------- Ollama


def _ollama(name: str, look: Look) -> Found:
    """Whether a server answers and has the models that tiers name."""
    if why := _unasked(name, look):
        return skipped(why)
    return asyncio.run(_look_at(name, look))


async def _look_at(name: str, look: Look) -> Found:
    wanted = wanted_models(name, look)
    async with _opened(name, look) as (provider, session):
        snapshot = await provider.catalog.snapshot()
        if snapshot.problem:
            what, _, todo = snapshot.problem.partition(". ")
            if not wanted:
                return skipped(f"{what}. No tier names models of it.")
            return lacking(name, look, f"{what}.", todo)
        missing = [
            (model, found.reason)
            for model in wanted
            if not (found := await provider.availability(model)).usable
        ]
        version = await _version(session, provider.base_url)
    if missing:
        what, _, todo = missing[0][1].partition(". ")
        return lacking(name, look, f"{what.rstrip('.')}.", todo, {model for model, _ in missing})
    return ok(f"{version} answers at {without_password(provider.base_url)} {_described(snapshot)}.")


def lacking(name: str, look: Look, text: str, todo: str, models: set[str] | None = None) -> Found:
    """What is missing is a problem where a tier has nothing else."""
    alone = [
        tier
        for tier, options in look.config.routing.tiers.items()
        if options.enabled
        and options.providers
        and all(_is_of(one, name, models) for one in options.providers)
    ]
    if alone:
        return problem(f"{text} The tier {alone[0]} has no other model.", todo)
    return note(f"{text} The tiers that name it have other models too.", todo)


def _is_of(written: str, provider: str, models: set[str] | None) -> bool:
    own, _, model = written.partition("/")
    return own == provider and (models is None or model in models)


def wanted_models(name: str, look: Look) -> list[str]:
    """The models of a provider that tiers name."""
    written = (one.partition("/") for tier in look.config.routing.tiers.values() for one in tier.providers)
    return list(dict.fromkeys(model for provider, _, model in written if provider == name))


def _described(snapshot: Snapshot) -> str:
    from lynkr_desktop.engine.providers.ollama_catalog import short_name

    count = len(snapshot.installed)
    text = f"with {count} model{'' if count == 1 else 's'}"
    if not snapshot.loaded:
        return f"{text}, none of them in memory"
    loaded = [
        short_name(model) + (f" ({window:,} tokens)" if window else "")
        for model, window in snapshot.loaded.items()
    ]
    more = f" and {len(loaded) - _SHOWN} more" if len(loaded) > _SHOWN else ""
    return f"{text}; in memory: {', '.join(loaded[:_SHOWN])}{more}"


async def _version(session: aiohttp.ClientSession, base_url: str) -> str:
    """The name of what answers; the version is left out where it does not tell."""
    try:
        async with session.get(f"{base_url}/api/version", timeout=_ASK, allow_redirects=False) as response:
            told = msgspec.json.decode(await response.content.read(_LONGEST_VERSION), type=_Version)
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError):
        return "Ollama"
    return f"Ollama {told.version[:40]}".rstrip()


class _Version(msgspec.Struct):
    version: str = ""


def _context(name: str, look: Look) -> Found:
    """Whether the models that tiers name can read the prompts of agents, and call their tools."""
    if why := NO_CONFIGURATION if look.loaded is None else _unasked(name, look):
        return skipped(why)
    return asyncio.run(_look_at_context(name, look))


async def _look_at_context(name: str, look: Look) -> Found:
    from lynkr_desktop.engine.providers.ollama_catalog import short_name

    wanted = wanted_models(name, look)
    if not wanted:
        return skipped("No tier names models of it.")
    async with _opened(name, look) as (provider, _):
        snapshot = await provider.catalog.snapshot()
        if snapshot.problem:
            return skipped("It does not answer.")
        models: dict[str, Installed] = {}
        for model in wanted:
            available = await provider.availability(model)
            found = snapshot.find(available.model or model)
            if available.usable and found is not None:
                models[found.name] = found
        facts = {model: await provider.catalog.facts(installed) for model, installed in models.items()}
    options = look.config.providers.get(name)
    limit = options.max_context if options is not None else _default_limit()
    if not models:
        return skipped("None of the models that tiers name is installed.")
    if limit < _AGENT_PROMPT:
        return note(
            f"Prompts of more than {limit:,} tokens are refused (providers.{name}.max_context); agents send "
            "about 20,000 at once.",
            f"Raise it where memory allows: lynkr config set providers.{name}.max_context 32768",
        )
    for model, known in facts.items():
        length = known.context_length
        if length is not None and length < _AGENT_PROMPT:
            return note(
                f"{short_name(model)} reads {length:,} tokens at most; agents send about 20,000 at once.",
                "Let tiers that agents use name a model that reads more.",
            )
        if not known.can("tools"):
            return note(
                f"{short_name(model)} cannot call tools, which agents need.",
                "Let tiers that agents use name a model that can; `ollama show NAME` lists what a model can.",
            )
    for model in models:
        window = snapshot.loaded.get(model, 0)
        if 0 < window < _AGENT_PROMPT:
            return note(
                f"{short_name(model)} is in memory with {window:,} tokens; the first longer prompt loads it "
                "anew.",
                f"Nothing needs to be done; to be spared the wait, list it in providers.{name}.warm_up.",
            )
    lengths = [known.context_length for known in facts.values() if known.context_length is not None]
    return ok(f"Up to {min([limit, *lengths]):,} tokens are read.")


def _default_limit() -> int:
    from lynkr_desktop.engine.config.schema import ProviderOptions

    return ProviderOptions().max_context


def _unasked(name: str, look: Look) -> str:
    """Why a server is not asked; empty where it is."""
    from lynkr_desktop.doctor.keys import CLOSED
    from lynkr_desktop.engine.security.egress import is_loopback

    if look.local_only and not is_loopback(_url(name, look)):
        return CLOSED
    return ""


def _url(name: str, look: Look) -> str:
    """Where the engine that runs asks it, else where one that is started here would."""
    from lynkr_desktop.engine.providers.registry import ollama_url

    if look.status is not None:
        for provider in look.status.providers:
            if provider.name == name and provider.base_url:
                return provider.base_url
    options = look.config.providers.get(name)
    return (options.base_url if options is not None else None) or ollama_url(look.environ)


@asynccontextmanager
async def _opened(name: str, look: Look) -> AsyncIterator[tuple[OllamaProvider, aiohttp.ClientSession]]:
    from lynkr_desktop.engine.config.schema import ProviderOptions
    from lynkr_desktop.engine.providers.connections import http_session
    from lynkr_desktop.engine.providers.ollama import OllamaProvider
    from lynkr_desktop.engine.security.egress import Egress

    options = look.config.providers.get(name) or ProviderOptions()
    async with http_session(Egress(), trust_env=False) as session:
        provider = OllamaProvider(
            name=name, base_url=_url(name, look), options=options, session=lambda: session
        )
        try:
            yield provider, session
        finally:
            await provider.close()
