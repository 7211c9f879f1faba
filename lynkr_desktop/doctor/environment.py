"""What stands in the environment: where agents are sent, and proxies that would catch what stays here."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lynkr_desktop.doctor.check import Found, note, ok, problem, skipped

if TYPE_CHECKING:
    from lynkr_desktop.doctor.look import Look

_BASE_URLS = {
    "ANTHROPIC_BASE_URL": "",
    "OPENAI_BASE_URL": "/v1",
    "OPENAI_API_BASE": "/v1",
    "LITELLM_BASE_URL": "/v1",
}
"""Variables that send agents somewhere, and the path that they need to reach Lynkr."""

_ELSEWHERE = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Vertex AI",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
}
"""Variables with which Claude Code asks a cloud by itself, whatever its base URL says."""

_OFF = ("", "0", "false", "no", "off")


def agents(look: Look) -> Found:
    """Whether agents that are started here would reach Lynkr."""
    if look.port == 0:
        return skipped("The engine takes another port at each start (proxy.port is 0).")
    notes = [*_misdirected(look), *_own_ways(look.environ)]
    if notes:
        return note(
            "; ".join(notes) + ".", "Unset or correct what you did not mean, and restart your agents."
        )
    if names := [name for name in _BASE_URLS if look.environ.get(name, "").strip()]:
        return ok(f"{' and '.join(names)} lead{'s' if len(names) == 1 else ''} to Lynkr.")
    return ok("No variable leads agents elsewhere.")


def _misdirected(look: Look) -> Iterator[str]:
    for name, path in _BASE_URLS.items():
        url = look.environ.get(name, "").strip()
        if not url:
            continue
        if not is_ours(url, look.port):
            yield f"{name} leads to {without_password(url)}, not to Lynkr"
            continue
        given = urlsplit(url).path.rstrip("/")
        if given != path:
            yield f"{name} has the path {given or '/'} where it needs {path or 'none'}"


def _own_ways(environ: Mapping[str, str]) -> Iterator[str]:
    for name, cloud in _ELSEWHERE.items():
        if environ.get(name, "").strip().lower() not in _OFF:
            yield f"{name} has Claude Code ask {cloud} by itself"


def loops(look: Look) -> Found:
    """Whether Lynkr would ask itself for models."""
    for name, url in _provider_urls(look):
        if is_ours(url, look.port):
            options = look.config.providers.get(name)
            by_variable = options is None or options.base_url is None
            return problem(
                f"The provider {name} has Lynkr's own address, {without_password(url)}: it would ask itself.",
                f"{'Start Lynkr without OLLAMA_HOST, or set' if by_variable else 'Set'} "
                f"providers.{name}.base_url to the server that has the models.",
            )
    return ok("No provider leads back to Lynkr.")


def _provider_urls(look: Look) -> Iterator[tuple[str, str]]:
    from lynkr_desktop.engine.providers.registry import kind_of, ollama_url

    if look.status is not None:
        for provider in look.status.providers:
            yield provider.name, provider.base_url
        return
    for name in {**look.config.providers, "ollama": None}:
        options = look.config.providers.get(name)
        if options is not None and options.base_url:
            yield name, options.base_url
        elif kind_of(name, look.config) == "ollama":
            yield name, ollama_url(look.environ)


def proxies(look: Look) -> Found:
    """Whether a proxy of the environment would get the requests that agents send to this machine."""
    given = {
        scheme: url
        for scheme in ("http", "all")
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
        if (url := look.environ.get(name, "").strip())
    }
    if not given:
        if look.environ.get("HTTPS_PROXY", look.environ.get("https_proxy", "")).strip():
            return ok("A proxy is used for other machines alone.")
        return ok("There is none.")
    no_proxy = look.environ.get("no_proxy", look.environ.get("NO_PROXY", ""))
    caught = [host for host in ("127.0.0.1", "localhost") if not _spared(host, look.port, no_proxy)]
    if caught:
        scheme, url = next(iter(given.items()))
        return problem(
            f"Agents that are started here ask {' and '.join(caught)} by the proxy {without_password(url)} "
            f"({scheme.upper()}_PROXY).",
            "Add to NO_PROXY: 127.0.0.1,localhost. Lynkr itself does not use it for this machine.",
        )
    return ok("The proxy is used for other machines alone.")


def _spared(host: str, port: int, no_proxy: str) -> bool:
    return bool(
        urllib.request.proxy_bypass_environment(f"{host}:{port}", {"no": no_proxy})  # type: ignore[attr-defined]
    )


def is_ours(url: str, port: int) -> bool:
    """Whether a URL is Lynkr's own address."""
    from lynkr_desktop.engine.security.egress import is_this_machine

    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        given = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return False
    return port != 0 and given == port and is_this_machine(parts.hostname or "")


def without_password(url: str) -> str:
    """A URL as it may be shown: scheme, host and port alone."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname or "?", parts.port
    except ValueError:
        return "something that is no URL"
    if ":" in host:
        host = f"[{host}]"
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")
