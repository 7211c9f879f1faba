"""Asks a provider whether it takes a key, by a call that costs nothing."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from lynkr_desktop.engine.providers.http import unreachable
from lynkr_desktop.protocol.keys import KeyCheck, KeyResult

_LONGEST_ERROR = 16 * 1024
_REFUSALS = (
    *(b"API_KEY_INVALID", b"invalid_api_key", b"Invalid API Key", b"Authentication failed"),
    *(b"UnrecognizedClient", b"InvalidClientTokenId", b"InvalidSignature", b"ExpiredToken"),
)
"""What Google and AWS say of a wrong key with the status 400 or 403."""

_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)


async def check_by_get(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], *, name: str, has_key: bool
) -> KeyCheck:
    """GETs a path that needs the key. Nothing of an error's text is passed on, since it may repeat the key.

    Args:
        session: the session for this provider.
        url: a path that answers 401 to a wrong key, such as `{base_url}/models`.
        headers: as the provider's requests have them, with the key.
        name: the provider's name, for the message.
        has_key: whether the headers hold a key.
    """
    try:
        async with session.get(url, headers=headers, timeout=_TIMEOUT, allow_redirects=False) as response:
            body = await response.content.read(_LONGEST_ERROR) if response.status in (400, 403) else b""
            status = 401 if any(mark in body for mark in _REFUSALS) else response.status
            result, message = _judged(status, has_key)
    except aiohttp.ClientConnectorError as error:
        why = error.os_error.strerror or "no connection"
        return KeyCheck(provider=name, result="unreachable", message=unreachable(name, url, why).message)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        kind = type(error).__name__
        return KeyCheck(provider=name, result="unreachable", message=f"{name} did not answer ({kind}).")
    return KeyCheck(provider=name, result=result, message=message.format(name=name, status=response.status))


def _judged(status: int, has_key: bool) -> tuple[KeyResult, str]:
    if status < 300:
        return ("valid", "{name} takes the key.") if has_key else ("none", "{name} answers without a key.")
    if status == 401:
        if not has_key:
            return "none", "{name} wants a key and has none. Store it with `lynkr keys set {name}`."
        return "refused", "{name} refused the key. Make a new one there and store it: lynkr keys set {name}"
    if status == 403:
        return (
            "unknown",
            "{name} knows the key and does not permit this call (403); it may be a restricted one.",
        )
    if status == 429:
        return "unknown", "{name} has had too many requests (429). Test again in a while."
    if status >= 500:
        return "unreachable", "{name} is out of order (status {status})."
    return "unknown", "{name} answered with status {status}. Check its base_url."
