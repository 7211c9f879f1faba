"""Bodies that come compressed: unpacked step by step, so that a small one cannot become more than it may."""

from __future__ import annotations

import asyncio
import zlib

from lynkr_desktop.engine.wire.errors import InvalidRequest, WireError

_STEP = 256 * 1024
_MEMBERS = 1000
"""Parts that are joined to one gzip body at most; each takes a while, and empty ones are short."""
_SHORT = 4 * 1024
"""Bytes that are unpacked on the spot: at worst they become four million, in a few milliseconds."""

_GZIP, _ZLIB, _RAW = 31, 15, -15


class TooLarge(Exception):
    """It becomes more than the limit."""


async def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before it was compressed.

    Args:
        body: as it came.
        encoding: the Content-Encoding header.
        limit: bytes that it may become.

    Raises:
        TooLarge: it becomes more.
        WireError: 415 for another encoding, 400 for a body that is damaged.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            bits = _GZIP
        case "deflate":
            # Meant is zlib's format (RFC 9110, 8.4.1.2); some send what lies within it.
            bits = _ZLIB if _has_zlib_head(body) else _RAW
        case other:
            raise WireError(
                f"Bodies in the encoding {other[:40]!r} are not read here, only plain, gzip and deflate.",
                status=415,
                kind="invalid_request",
            )
    if len(body) > _SHORT:
        return await asyncio.to_thread(_unpack, body, bits, limit)
    return _unpack(body, bits, limit)


def _has_zlib_head(body: bytes) -> bool:
    """RFC 1950, 2.2: the method is 8, and the two bytes are a multiple of 31."""
    return len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0


def _unpack(body: bytes, bits: int, limit: int) -> bytes:
    out = bytearray()
    rest: bytes = body
    try:
        for _ in range(_MEMBERS):
            part = zlib.decompressobj(bits)
            while not part.eof:
                piece = part.decompress(rest, _STEP)
                rest = part.unconsumed_tail
                out += piece
                if len(out) > limit:
                    raise TooLarge
                if not piece and not rest and not part.eof:
                    raise InvalidRequest("The compressed body is cut off.")
            rest = part.unused_data
            if not rest:
                return bytes(out)
            if bits != _GZIP:
                break
    except zlib.error as error:
        raise InvalidRequest("The compressed body is damaged.") from error
    raise InvalidRequest("There is more behind the compressed body.")
