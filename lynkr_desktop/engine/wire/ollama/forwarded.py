"""A body of an Ollama client on its way to Ollama: as it came, but for what this engine must say itself."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from lynkr_desktop.engine.wire.fields import encode_json
from lynkr_desktop.engine.wire.ollama.outgoing import Think

_TEMPLATE_SIZE = 64
"""Bytes of a body that are no prompt."""


class ForwardedBody:
    """The body of POST /api/chat or /api/generate, as the client wrote it.

    Args:
        body: the client's bytes; they were decoded before, so they are an object.
        model: Ollama's name of the model.
    """

    def __init__(self, body: bytes, model: str) -> None:
        self._fields = msgspec.json.decode(body, type=dict[str, Raw])
        self._fields["model"] = Raw(encode_json(model))
        options = self._fields.get("options")
        self._options = msgspec.json.decode(options, type=dict[str, Raw] | None) or {} if options else {}
        self.prompt_size = max(0, len(body) - _TEMPLATE_SIZE)

    @property
    def num_ctx(self) -> int | None:
        """The window that the client asks for; what is no number is for Ollama to refuse."""
        try:
            return msgspec.json.decode(self._options.get("num_ctx", b"null"), type=int | None, strict=False)
        except msgspec.ValidationError:
            return None

    def encode(
        self, *, think: Think, num_ctx: int | None = None, keep_alive: str | float | None = None
    ) -> bytes:
        """The bytes to send; window and time to live are added only where the client named none."""
        fields = dict(self._fields)
        if "num_ctx" not in self._options and num_ctx is not None:
            fields["options"] = Raw(encode_json({"num_ctx": num_ctx, **self._options}))
            fields.setdefault("truncate", Raw(b"false"))
            fields.setdefault("shift", Raw(b"false"))
        if keep_alive is not None:
            fields.setdefault("keep_alive", Raw(encode_json(keep_alive)))
        fields.pop("think", None)
        if think is not None:
            fields["think"] = Raw(encode_json(think))
        return encode_json(fields)
