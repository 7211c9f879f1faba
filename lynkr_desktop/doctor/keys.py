"""The keyring, the keys of the configured providers, and the clock that signatures depend on."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import lynkr_desktop
from lynkr_desktop.doctor.check import NO_CONFIGURATION, Check, Found, note, ok, problem, skipped

if TYPE_CHECKING:
    from email.message import Message

    from lynkr_desktop.doctor.look import Look
    from lynkr_desktop.engine.providers.endpoints import Endpoint
    from lynkr_desktop.protocol.keys import KeyInfo

OFFLINE = "Other machines are asked only with --online."
CLOSED = "The profile in force lets nothing leave this machine."

_OWN_CREDENTIALS = {"bedrock": "AWS's", "vertex": "Google's"}
"""Kinds that do without a key where the machine has credentials of the vendor's own."""

_NEED_KEYS = frozenset(("openai", "openrouter", "anthropic", "azure"))
_FAR_OFF_S = 300.0
"""Seconds by which AWS and Google let a signature's time be off."""

_OFF_S = 60.0
_DAY_S = 86400.0


def keyring(look: Look) -> Found:
    """Whether there is a keyring, and whether it is unlocked."""
    keys = look.keys()
    if isinstance(keys, str):
        return skipped(f"The keys could not be listed: {keys}")
    if keys.keyring.problem:
        what, _, todo = keys.keyring.problem.partition(". ")
        return note(f"{what}.", todo or "Put keys into the environment variables of their providers.")
    return ok(f"{keys.keyring.name} answers and is unlocked.")


def key_checks(look: Look) -> list[Check]:
    """A check for each configured provider that takes a key; one that says so where there is none."""
    if look.loaded is None:
        return [Check("key", "Keys", lambda _: skipped(NO_CONFIGURATION))]
    names = _key_names(look)
    if not names:
        return [Check("key", "Keys", lambda _: ok("No provider that takes a key is configured."))]
    seconds = 25.0 if look.online else 8.0
    return [Check("key", "Keys", partial(_key, name), name, seconds) for name in names]


def _configured(look: Look) -> list[str]:
    from lynkr_desktop.engine.providers.registry import kind_of

    used = {
        model.partition("/")[0] for tier in look.config.routing.tiers.values() for model in tier.providers
    }
    names = sorted({*look.config.providers, *used})
    return [name for name in names if kind_of(name, look.config) not in ("ollama", "embedded")]


def _key_names(look: Look) -> list[str]:
    """The names under which the keys of configured providers and of their endpoints are kept."""
    from lynkr_desktop.engine.providers.endpoints import endpoints_of

    return sorted({each.key for name in _configured(look) for each in endpoints_of(name, look.config)})


def _owner(key: str, look: Look) -> Endpoint | None:
    from lynkr_desktop.engine.providers.endpoints import endpoint_with_key

    return endpoint_with_key(key, look.config)


def _key(name: str, look: Look) -> Found:
    """Whether a provider has its key; with --online, whether it takes it."""
    keys = look.keys()
    if isinstance(keys, str):
        return skipped(f"The keys could not be listed: {keys}")
    info = next((info for info in keys.keys if info.provider == name), None)
    if info is None:
        return note(
            "The engine that runs does not know this provider.", "Reload its configuration, or restart it."
        )
    if not look.online:
        return _place(info, look)
    if look.local_only and not _is_here(name, look):
        found = _place(info, look)
        return replace(found, text=f"{found.text} It was not tested. {CLOSED}")
    return _tested(info, look)


def _place(info: KeyInfo, look: Look) -> Found:
    match info.source:
        case "keyring":
            return ok("It is in the OS keyring.")
        case "environment":
            return ok(f"It is in {info.variable}.")
    name = info.provider
    store = f"Store it with `lynkr keys set {name}`, or set {info.variable}."
    if look.environ.get(info.variable, "").strip():
        if look.runtime is not None:
            return _missing(
                info,
                look,
                f"{info.variable} is set here, and the engine was started without it.",
                f"Store it with `lynkr keys set {name}`, or restart the engine from here.",
            )
        return _missing(
            info,
            look,
            f"What is in {info.variable} cannot be a key: it has blanks or other odd characters.",
            store,
        )
    if vendor := _OWN_CREDENTIALS.get(info.kind):
        return note(
            f"There is none; {vendor} own credentials of this machine are used where there are any.",
            f"See whether they are taken: lynkr keys test {name}",
        )
    if info.kind not in _NEED_KEYS or _is_here(name, look):
        return ok("There is none, and its server may need none.")
    return _missing(info, look, "There is none.", store)


def _missing(info: KeyInfo, look: Look, text: str, todo: str) -> Found:
    """A key that is not there matters where a tier names the provider."""
    owner = _owner(info.provider, look)
    provider = info.provider if owner is None else owner.provider
    tiers = [tier for tier, options in look.config.routing.tiers.items() if _names(options, provider)]
    if tiers:
        return problem(f"{text} The tier {tiers[0]} names models of it.", todo)
    return note(text, todo)


def _names(options: Any, provider: str) -> bool:
    return any(model.partition("/")[0] == provider for model in options.providers)


def _tested(info: KeyInfo, look: Look) -> Found:
    from lynkr_desktop.cli.key_access import KeyFailure

    name = info.provider
    try:
        check = look.key_access().test(name)
    except KeyFailure as error:
        return problem(str(error), f"Try it by itself: lynkr keys test {name}")
    what, _, todo = check.message.partition(". ")
    text = f"{what.rstrip('.')}."
    match check.result:
        case "valid":
            return ok(text)
        case "refused":
            return problem(text, todo or f"Make a new one there and store it: lynkr keys set {name}")
        case "unreachable":
            return problem(text, todo or "Check the network, and providers." + name + ".base_url.")
        case "none" if not todo:
            return ok(text)
        case "none":
            return _missing(info, look, text, todo)
        case _:
            return note(text, todo or f"Try it by itself: lynkr keys test {name}")


def _is_here(name: str, look: Look) -> bool:
    from lynkr_desktop.engine.security.egress import is_loopback

    owner = _owner(name, look)
    url = None if owner is None else owner.options.base_url
    return url is not None and is_loopback(url)


# ---------------------------------------------------------------- clock


def clock(look: Look) -> Found:
    """Whether the clock is right: beside a provider's where that may be asked, else beside our own files."""
    now = time.time()
    installed = Path(lynkr_desktop.__file__).stat().st_mtime
    if now < installed - _DAY_S:
        return problem(
            f"It shows {_day(now)}, which is before Lynkr was installed ({_day(installed)}).",
            "Set the clock: certificates count as not valid yet, and records get wrong days.",
        )
    if not look.online:
        return skipped(f"{OFFLINE} Then it is held against a provider's clock.")
    url = _clock_of(look)
    if url is None:
        return skipped("No provider is configured whose clock could be asked.")
    if look.local_only and not _loopback(url):
        return skipped(CLOSED)
    host = urlsplit(url).hostname or ""
    try:
        theirs, ours = _date_of(url)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return note(
                f"It shows {_day(now)}; the certificate of {host} does not count as valid here.",
                "Set the clock if the day is wrong; else something between here and there answers for it.",
            )
        return skipped(f"{host} did not tell the time ({type(reason).__name__}).")
    off = ours - theirs
    text = f"It is {abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the clock of {host}."
    if abs(off) >= _FAR_OFF_S:
        return problem(text, "Set it, or switch on time synchronisation: signed requests are refused so.")
    if abs(off) >= _OFF_S:
        return note(text, "Switch on time synchronisation of your system.")
    return ok(f"It agrees with that of {host}.")


def _clock_of(look: Look) -> str | None:
    """The address of the first configured provider that has a clock of its own."""
    from lynkr_desktop.engine.providers import anthropic, bedrock, openai_compatible, vertex
    from lynkr_desktop.engine.providers.registry import kind_of

    environ = look.environ
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    usual = {
        **openai_compatible.BASE_URLS,
        "anthropic": anthropic.BASE_URL,
        "azure": environ.get("AZURE_OPENAI_ENDPOINT"),
        "bedrock": bedrock.endpoint(region),
        "vertex": vertex.GEMINI_API,
    }
    for name in _configured(look):
        options = look.config.providers.get(name)
        url = options.base_url if options is not None else None
        if found := url or usual.get(kind_of(name, look.config)):
            return found
    return None


def _date_of(url: str) -> tuple[float, float]:
    """What a server says the time is, and what it is here in the middle of asking, in Unix seconds.

    Raises:
        OSError: it does not answer.
        ValueError: it does not say.
    """
    from lynkr_desktop.cli.client import NoRedirect

    handlers: list[urllib.request.BaseHandler] = [NoRedirect()]  # the first server's clock will do
    if _loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "lynkr-doctor"})
    began = time.time()
    headers: Message
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=8) as response:
            headers = response.headers
    except urllib.error.HTTPError as error:
        with error:
            headers = error.headers
    date = headers.get("Date", "")
    return parsedate_to_datetime(date).timestamp(), (began + time.time()) / 2


def _loopback(url: str) -> bool:
    from lynkr_desktop.engine.security.egress import is_loopback

    return is_loopback(url)


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))
