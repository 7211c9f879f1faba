"""Whether something can answer: the built-in model, and each tier with all its models."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lynkr_desktop.doctor.check import NO_CONFIGURATION, Found, note, ok, problem, skipped
from lynkr_desktop.doctor.ollama import lacking, wanted_models
from lynkr_desktop.protocol.control import Candidate
from lynkr_desktop.protocol.tiers import TIERS

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look
    from lynkr_desktop.engine.providers.base import Provider
    from lynkr_desktop.engine.providers.embedded.store import ModelStore
    from lynkr_desktop.protocol.control import LocalModel
    from lynkr_desktop.protocol.tiers import Tier


def tiers(look: Look) -> Found:
    """Whether each tier that takes requests has a model that can answer."""
    if look.loaded is None and look.status is None:
        return skipped(NO_CONFIGURATION)
    if look.status is not None:
        found = {tier.tier: tier.candidates for tier in look.status.tiers if tier.enabled}
    else:
        found = asyncio.run(_candidates(look))
    here = look.local_only
    empty = [
        tier
        for tier in TIERS
        if tier in found and not any(one.usable and (one.local or not here) for one in found[tier])
    ]
    if not empty:
        return ok(f"Each of the {len(found)} tiers has a model that can answer.")
    which = ", ".join(empty)
    if look.status is None and _will_download(look, found):
        return note(
            f"No model can answer {which} yet; Lynkr downloads the built-in one when it starts.",
            "Start Lynkr, or get it now: lynkr models pull",
        )
    text = f"No model {'of this machine ' if here else ''}can answer {which}."
    if len(empty) < len(found):
        return note(
            f"{text} Other tiers answer such requests.", "See `lynkr status` for the cause of each model."
        )
    reasons = [one.reason for candidates in found.values() for one in candidates if one.reason]
    return problem(
        f"{text} {reasons[0]}" if reasons else text,
        "Get one model to work: start Ollama, store a key, or run `lynkr models pull`.",
    )


def _will_download(look: Look, found: dict[Tier, tuple[Candidate, ...]]) -> bool:
    from lynkr_desktop.engine.providers.embedded.process import llama_installed
    from lynkr_desktop.engine.providers.registry import kind_of

    if look.local_only or not look.config.embedded.auto_pull or not llama_installed():
        return False
    candidates = [one for of_tier in found.values() for one in of_tier]
    return not any(one.usable for one in candidates) and any(
        kind_of(one.provider, look.config) == "embedded" for one in candidates
    )


async def _candidates(look: Look) -> dict[Tier, tuple[Candidate, ...]]:
    """The models of each tier as an engine that started now would find them; nothing leaves the machine."""
    from lynkr_desktop.engine.providers.connections import http_session
    from lynkr_desktop.engine.providers.embedded.store import ModelStore
    from lynkr_desktop.engine.providers.registry import Tools, build_providers
    from lynkr_desktop.engine.security.egress import Egress
    from lynkr_desktop.engine.security.keys import KeyStore
    from lynkr_desktop.engine.security.redaction import KNOWN

    async with http_session(Egress(), trust_env=False) as session:
        tools = Tools(
            local_session=lambda: session,
            cloud_session=lambda: session,
            store=ModelStore(look.paths.models),
            on_change=lambda: None,
            environ=look.environ,
            keys=KeyStore(look.environ, KNOWN.add),
        )
        providers = build_providers(look.config, tools)
        try:
            found: dict[Tier, tuple[Candidate, ...]] = {}
            for tier, options in look.config.routing.tiers.items():
                if options.enabled:
                    names = [written.partition("/") for written in options.providers]
                    found[tier] = tuple(
                        [await _candidate(providers[name], model) for name, _, model in names]
                    )
            return found
        finally:
            for provider in providers.values():
                await provider.close()


async def _candidate(provider: Provider, model: str) -> Candidate:
    """Those that would ask their vendor for credentials first count as usable: their keys are checked."""
    if provider.kind in ("vertex", "bedrock"):
        return Candidate(provider=provider.name, model=model, local=False)
    return await provider.candidate(model)


def built_in(look: Look) -> Found:
    """Whether llama.cpp is there, and the file of the model whole."""
    from lynkr_desktop.engine.providers.embedded.errors import ModelError
    from lynkr_desktop.engine.providers.embedded.process import MISSING, llama_installed
    from lynkr_desktop.engine.providers.embedded.store import AUTO, ModelStore

    if look.loaded is None:
        return skipped(NO_CONFIGURATION)
    wanted = wanted_models("embedded", look)
    if not wanted:
        return skipped("No tier names it.")
    if not llama_installed():
        what, _, todo = MISSING.partition(". ")
        return lacking("embedded", look, f"{what}, which is not installed.", todo)
    store = ModelStore(look.paths.models)
    told = ""
    for written in wanted:
        try:
            target = store.resolve(look.config.embedded.model if written == AUTO else written)
        except ModelError as error:
            what, _, todo = error.message.partition(". ")
            return problem(f"{what}.", todo or "Correct embedded.model.")
        if isinstance(target, Path):
            found = _own_file(target)
        else:
            found = _of_catalog(store, store.describe(target), look)
        if found.result != "ok":
            return found
        told = told or found.text
    return ok(told)


def _own_file(path: Path) -> Found:
    from lynkr_desktop.cli.progress import size

    if not path.is_file():
        return _no_file(path)
    if not _is_gguf(path):
        return problem(
            f"{path} is no GGUF file.", "Fetch it anew, or set embedded.model to auto for a built-in model."
        )
    return ok(f"{path} is there ({size(path.stat().st_size)}).")


def _no_file(path: Path) -> Found:
    return problem(f"There is no file {path}.", "Put it there, or set embedded.model to auto.")


def _of_catalog(store: ModelStore, model: LocalModel, look: Look) -> Found:
    from lynkr_desktop.cli.progress import size

    file = store.models_dir / f"{model.id}.gguf"
    if model.state == "downloading":
        return ok(f"{model.id} is being downloaded ({model.received / model.size:.0%}).")
    if model.path:
        if _is_gguf(file):
            return ok(f"{model.id} is complete ({size(model.size)}).")
        return problem(f"{file} is no model, although it has the size of one.", _anew(model.id))
    if os.path.lexists(file):
        return problem(
            f"{file} is not complete: it has {size(file.lstat().st_size)} of {size(model.size)}.",
            _anew(model.id),
        )
    kept = f"; {size(model.received)} of it are here" if model.received else ""
    text = f"{model.id} is not downloaded yet ({size(model.size)}{kept})."
    todo = f"Get it now: lynkr models pull {model.id}"
    if look.config.embedded.auto_pull and not look.local_only:
        return note(text, f"{todo}. Else Lynkr does so when it starts and no other model can answer.")
    return lacking("embedded", look, text, todo)


def _anew(model: str) -> str:
    return f"Fetch it anew: lynkr models remove {model} --yes && lynkr models pull {model}"


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"
