"""The two shapes of a codec: what speaks to clients, and what speaks to providers.

A protocol that stands on both sides (OpenAI Chat) implements both. Stream coders are objects with state for
one reply; they take and give whatever arrives, split at any byte.
"""

from __future__ import annotations

from typing import Literal, Protocol

from lynkr_desktop.engine.wire.canonical import Event, Reply, Request
from lynkr_desktop.engine.wire.errors import WireError

Dialect = Literal["anthropic_messages", "openai_chat", "openai_responses", "ollama_chat", "ollama_generate"]
"""The client protocols."""

TURNS: dict[Dialect, str] = {
    "anthropic_messages": "messages",
    "openai_chat": "messages",
    "openai_responses": "input",
    "ollama_chat": "messages",
}
"""The field with the turns of a conversation, of the protocols that have turns."""


class StreamEncoder(Protocol):
    """Canonical events to a client's stream."""

    def encode(self, event: Event) -> bytes:
        """Bytes to send for this event; may be empty."""


class StreamDecoder(Protocol):
    """A provider's stream to canonical events."""

    def feed(self, chunk: bytes) -> list[tuple[bytes, list[Event]]]:
        """Takes the next bytes; gives (raw, events) per complete message of the stream."""

    def finish(self) -> list[Event]:
        """Tells that the stream has ended; gives `Failed` when it ended too early."""


class ClientCodec(Protocol):
    """One client protocol."""

    name: Dialect
    stream_type: str
    """Content type of its streams."""

    def decode_request(self, body: bytes) -> Request:
        """Raises `InvalidRequest` with the path of what is wrong."""

    def stream_encoder(self, request: Request) -> StreamEncoder:
        """A fresh encoder for one reply."""

    def encode_reply(self, reply: Reply, request: Request) -> bytes:
        """A reply that is not streamed."""

    def encode_error(self, error: WireError, request_id: str) -> bytes:
        """The body of an error response."""

    def encode_stream_error(self, error: WireError) -> bytes:
        """An error after the stream has begun."""


class ProviderCodec(Protocol):
    """One upstream protocol."""

    name: str

    def encode_request(self, request: Request, model: str) -> bytes:
        """The body to send for `model`.

        Raises:
            Unsupported: the answer depends on something that this protocol cannot say.
        """

    def dropped(self, request: Request) -> tuple[str, ...]:
        """Names of the fields that `encode_request` leaves out because the protocol has no word for them."""

    def decode_reply(self, body: bytes) -> list[Event]:
        """A reply that is not streamed, as events. Raises `WireError` when it is none."""

    def stream_decoder(self) -> StreamDecoder:
        """A fresh decoder for one reply."""

    def decode_error(self, status: int, body: bytes) -> WireError:
        """An error response, with its message."""
