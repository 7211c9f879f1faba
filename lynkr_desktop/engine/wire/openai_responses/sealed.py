"""Signed reasoning of other vendors, in the field that Responses clients keep for OpenAI's own.

Clients send `encrypted_content` of reasoning items back as they got it. What a vendor signed or encrypted
travels there, so that the vendor can check it when it comes back.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from lynkr_desktop.engine.wire.canonical import RedactedThinking, Thinking

_PREFIX = "lynkr.1."
_DECODER: msgspec.json.Decoder[Thinking | RedactedThinking] = msgspec.json.Decoder(
    Thinking | RedactedThinking
)


def seal(block: Thinking | RedactedThinking) -> str | None:
    """`encrypted_content` for a block; None where there is nothing that its vendor must see again."""
    if isinstance(block, Thinking) and not block.signature:
        return None
    return _PREFIX + base64.b64encode(msgspec.json.encode(block)).decode()


def unseal(text: str) -> Thinking | RedactedThinking | None:
    """The block; None for what others encrypted."""
    if not text.startswith(_PREFIX):
        return None
    try:
        return _DECODER.decode(base64.b64decode(text[len(_PREFIX) :], validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
