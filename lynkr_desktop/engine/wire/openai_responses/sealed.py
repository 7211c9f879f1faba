"""Reasoning of other vendors, in the items that Responses clients keep for OpenAI's own.

Clients send `encrypted_content` of reasoning items back as they got it. What a vendor signed or encrypted
travels there, so that the vendor can check it when it comes back. OpenAI itself must not see such items: it
refuses reasoning that it did not write.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from msgspec import Raw, Struct

from lynkr_desktop.engine.wire.canonical import RedactedThinking, Thinking

ID_PREFIX = "rs_lynkr"
"""What ids of reasoning begin with that did not come from OpenAI."""

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


class _Item(Struct):
    type: str = ""
    id: str | None = None
    encrypted_content: str | None = None


def without_foreign_reasoning(body: bytes) -> bytes:
    """A request's body without the reasoning items that were made here; the rest byte for byte."""
    if ID_PREFIX.encode() not in body and _PREFIX.encode() not in body:
        return body
    try:
        fields = msgspec.json.decode(body, type=dict[str, Raw])
        items = msgspec.json.decode(fields.get("input", b"[]"), type=list[Raw])
    except (msgspec.DecodeError, RecursionError):
        return body
    kept = [item for item in items if not _is_foreign(item)]
    if len(kept) == len(items):
        return body
    return msgspec.json.encode({**fields, "input": kept})


def _is_foreign(raw: Raw) -> bool:
    try:
        item = msgspec.json.decode(raw, type=_Item)
    except (msgspec.DecodeError, RecursionError):
        return False
    return item.type == "reasoning" and (
        (item.id or "").startswith(ID_PREFIX) or (item.encrypted_content or "").startswith(_PREFIX)
    )
