"""HTTP to providers: time limits, errors as `WireError`, and answers that end when they are closed."""

from __future__ import annotations

import email.utils
import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from yarl import URL

from lynkr_desktop.engine.config.schema import ProviderOptions
from lynkr_desktop.engine.providers.base import Answer
from lynkr_desktop.engine.providers.connections import last_was_reused
from lynkr_desktop.engine.security.redaction import redact
from lynkr_desktop.engine.wire.canonical import Event, Failed, Stopped
from lynkr_desktop.engine.wire.codec import Dialect, ProviderCodec, StreamDecoder
from lynkr_desktop.engine.wire.errors import WireError

_CUT = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})

MAX_REPLY = 64 * 1024 * 1024
"""Bytes of a reply that is not streamed, at most."""

LONGEST_WAIT = 86_400.0
"""Seconds; what a Retry-After says at most, whatever an upstream writes there."""

_RATE_LIMITS = ("anthropic-ratelimit-", "x-ratelimit-")

LINGER = 1.0
"""Seconds that a connection may stay open behind the end of its answer; one that ends by itself is reused."""

SessionFactory = Callable[[], aiohttp.ClientSession]


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of one provider, in seconds."""

    connect: float
    first_byte: float
    stall: float

    @classmethod
    def of(cls, options: ProviderOptions) -> Limits:
        """The limits that the configuration sets."""
        return cls(options.connect_timeout, options.first_byte_timeout, options.stall_timeout)


async def post(
    session: aiohttp.ClientSession,
    url: str | URL,
    body: bytes,
    *,
    name: str,
    headers: Mapping[str, str],
    limits: Limits,
    codec: ProviderCodec,
) -> aiohttp.ClientResponse:
    """Sends a JSON body and waits for a good status.

    Raises:
        WireError: the upstream's own error, or 503 unreachable, 502 broken, 504 too slow.
    """

    def request() -> Awaitable[aiohttp.ClientResponse]:
        return session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False)

    timeout = _timeout(limits)
    try:
        response = await send(request)
    except aiohttp.ConnectionTimeoutError as error:
        raise unreachable(name, url, f"no connection within {limits.connect:g} s") from error
    except TimeoutError as error:
        message = f"{name} sent nothing within {limits.first_byte:g} s."
        raise WireError(message, status=504, kind="timeout") from error
    except aiohttp.ClientConnectorError as error:
        raise unreachable(name, url, error.os_error.strerror or "no connection") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise WireError(f"{name} broke the connection before it answered.") from error
    if response.status == 200:
        return response
    raise await _error_of(response, name, codec, limits)


async def send(request: Callable[..., Awaitable[aiohttp.ClientResponse]]) -> aiohttp.ClientResponse:
    """Sends a request, and once more where it met a connection that its server had given up.

    A server that was restarted, or that closes an idle connection just as it is used again, has not taken the
    request up. One that dies on a fresh connection may have, so nothing is repeated there.
    """
    try:
        return await request()
    except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
        if not last_was_reused():
            raise
    except aiohttp.ClientOSError as error:
        if not last_was_reused() or error.errno not in _CUT:
            raise
    return await request()


@lru_cache(64)
def _timeout(limits: Limits) -> aiohttp.ClientTimeout:
    """aiohttp's own timer of the connection; a timeout around the request costs several times as much."""
    return aiohttp.ClientTimeout(
        total=None, connect=limits.first_byte, sock_connect=limits.connect, sock_read=limits.first_byte
    )


def _limit_silence(response: aiohttp.ClientResponse, seconds: float) -> None:
    """From now on, reading fails with `TimeoutError` where the upstream sends nothing for so long."""
    connection = response.connection
    if connection is not None and connection.protocol is not None:
        connection.protocol.read_timeout = seconds
        connection.protocol.start_timeout()


def unreachable(name: str, url: str | URL, why: str) -> WireError:
    """The error for a provider that does not take connections."""
    origin = "/".join(str(url).split("/", 3)[:3])
    return WireError(f"{name} cannot be reached at {origin}: {why}.", status=503, kind="unavailable")


async def _error_of(
    response: aiohttp.ClientResponse, name: str, codec: ProviderCodec, limits: Limits
) -> WireError:
    _limit_silence(response, limits.stall)
    try:
        body = await response.content.read(64 * 1024)
    except (aiohttp.ClientError, TimeoutError):
        body = b""
    finally:
        response.close()
    status = response.status if response.status >= 400 else 502
    error = codec.decode_error(status, body)
    error.message = f"{name} answered {response.status}: {error.message}"
    if (seconds := retry_after(response.headers)) is not None:
        error.retry_after = seconds
    error.headers = kept_headers(response.headers)
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: seconds or a date), None without one.

    The milliseconds that Azure and OpenAI send beside it are closer.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if milliseconds.isdecimal() and len(milliseconds) < 16:
        return min(int(milliseconds) / 1000, LONGEST_WAIT)
    value = headers.get("retry-after", "")
    if value.strip().replace(".", "", 1).isdecimal():
        return min(float(value), LONGEST_WAIT)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), LONGEST_WAIT)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of an upstream that its clients go by; none where one of them repeats a secret."""
    lowered = ((name.lower(), value) for name, value in headers.items())
    kept = {name: value for name, value in lowered if name == "request-id" or name.startswith(_RATE_LIMITS)}
    if kept:
        told = " ".join(kept.values())
        return kept if redact(told) == told else {}
    return kept


class StreamedAnswer(Answer):
    """A streamed reply, decoded as it arrives. A stream that breaks or stalls ends with `Failed`."""

    content_type = "text/event-stream"

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: StreamDecoder,
        *,
        name: str,
        dialect: Dialect | None = None,
        stall: float,
    ) -> None:
        self._response = response
        self._decoder = decoder
        self._name = name
        self._stall = stall
        self._complete = False
        self.dialect = dialect
        self.headers = kept_headers(response.headers)

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        """The reply, piece by piece."""
        ended = False
        content = self._response.content
        _limit_silence(self._response, self._stall)
        try:
            while chunk := await content.readany():
                # What arrived together goes on together: under load that is what keeps streams in time.
                if pieces := self._decoder.feed(chunk):
                    raw, events = self._joined(pieces)
                    if not ended and events and isinstance(events[-1], Stopped):
                        ended = True
                        _limit_silence(self._response, min(LINGER, self._stall))
                    yield raw, events
        except (TimeoutError, aiohttp.ClientError, WireError) as error:
            # The answer was complete: how its connection ends is nobody's concern.
            if not ended:
                yield b"", [self._broken(error)]
            return
        self._complete = True
        rest = self._decoder.finish()
        if rest:
            yield b"", rest

    def _broken(self, error: TimeoutError | aiohttp.ClientError | WireError) -> Failed:
        match error:
            case TimeoutError():
                return Failed(f"{self._name} sent nothing for {self._stall:g} s.", 504, "timeout")
            case WireError():
                return Failed(f"{self._name}: {error.message}", error.status, error.kind)
        return Failed(f"{self._name} broke the connection before its answer was complete.")

    def _joined(self, pieces: list[tuple[bytes, list[Event]]]) -> tuple[bytes, list[Event]]:
        if len(pieces) == 1:
            return pieces[0]
        return b"".join([raw for raw, _ in pieces]), [event for _, events in pieces for event in events]

    async def close(self) -> None:
        """Closes the connection, unless the reply was read to its end: then it is kept for reuse."""
        if self._complete:
            self._response.release()
        else:
            self._response.close()


async def read_all(response: aiohttp.ClientResponse, name: str, stall: float) -> bytes:
    """The whole body of a reply that is not streamed. Raises `WireError`."""
    content = response.content
    if content.is_eof() and content.exception() is None and content.total_bytes <= MAX_REPLY:
        # A short answer has come whole with its head: there is nothing to wait for.
        whole = content.read_nowait()
        response.release()
        return whole
    _limit_silence(response, stall)
    parts = bytearray()
    try:
        while not content.at_eof():
            parts += await content.readany()
            if len(parts) > MAX_REPLY:
                raise WireError(f"{name} answered with more than 64 MB.")
    except TimeoutError as error:
        raise WireError(f"{name} sent nothing for {stall:g} s.", status=504, kind="timeout") from error
    except aiohttp.ClientError as error:
        raise WireError(f"{name} broke the connection before its answer was complete.") from error
    finally:
        response.release() if content.at_eof() else response.close()
    return bytes(parts)


def decode_whole(body: bytes, codec: ProviderCodec, name: str) -> list[Event]:
    """The events of a body that came whole. Raises `WireError` when it is no answer.

    Some gateways send a stream under another type; such a one is understood too, at its end.
    """
    try:
        if not body.lstrip().startswith((b"data:", b"event:", b":")):
            return codec.decode_reply(body)
        decoder = codec.stream_decoder()
        return [event for _, events in decoder.feed(body) for event in events] + decoder.finish()
    except WireError as error:
        error.message = f"{name}: {error.message}"
        raise
