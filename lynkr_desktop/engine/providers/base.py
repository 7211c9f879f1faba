"""What every provider is to the engine. One file per provider beside this one; `registry.py` makes them."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from msgspec import Struct

from lynkr_desktop.engine.providers.key import ProviderKey
from lynkr_desktop.engine.security.egress import is_loopback
from lynkr_desktop.engine.wire.canonical import EmbeddingRequest, Embeddings, Event, Need, Request
from lynkr_desktop.engine.wire.codec import Dialect
from lynkr_desktop.engine.wire.errors import Unsupported
from lynkr_desktop.protocol.control import Candidate, CandidateState
from lynkr_desktop.protocol.keys import KeyCheck


@dataclass(slots=True)
class Call:
    """One request on its way to one model.

    Attributes:
        request: the canonical request.
        model: the provider's own name of the model.
        dialect: the client's protocol; None when nobody's bytes stand behind the request.
        body: the client's own bytes; a provider that speaks the dialect forwards them, changed only where
            needed.
        headers: the client's own headers, for versions and betas; never to be forwarded as a whole.
        credential: the client's own header for the provider (`authorization` or `x-api-key`) and its value,
            where it is not this engine's token. Never to be logged.
        query: what stands behind the question mark of the client's address.
    """

    request: Request
    model: str
    dialect: Dialect | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    credential: tuple[str, str] | None = field(default=None, repr=False)
    query: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a provider has now. Unknown facts are None, empty or 0.

    `size` and `vram`, the part of a loaded model in graphics memory, are bytes; `created` and `expires`, when
    a loaded one leaves the memory, are Unix seconds.
    """

    id: str
    context_length: int | None = None
    capabilities: frozenset[str] = frozenset()
    size: int | None = None
    loaded: bool = False
    created: float = 0.0
    family: str = ""
    parameters: str = ""
    quantization: str = ""
    digest: str = ""
    vram: int = 0
    expires: float = 0.0


class Availability(Struct, frozen=True):
    """Whether a provider, or one model of it, can be used. `reason` says why not and what to do."""

    state: CandidateState
    reason: str = ""
    model: str = ""
    """The concrete model where the asked one was a wildcard such as `auto`."""
    missing: bool = False
    """The provider answers, but has no such model."""
    own_key_helps: bool = False
    """It has no key, and one that the client brings would do."""
    remote: bool = False
    """The provider is on this machine and lets another one answer for this model."""
    capabilities: frozenset[Need] | None = None
    """What the model can do of what requests need; None where that is not known."""
    context_length: int | None = None
    """Tokens that the model takes at most; None where that is not known."""

    @property
    def usable(self) -> bool:
        """False only when it is known to be of no use."""
        return self.state != "unavailable"


class Answer(abc.ABC):
    """An upstream reply whose status was good: read it to the end or close it.

    `headers` are those of the upstream that its clients go by: what is left of rate limits, its request id.
    Iterating gives (raw, events) pairs. `raw` are the upstream's own bytes of these events; they mean
    something to the client only when `dialect` is the client's protocol. The last event is `Stopped` or
    `Failed`, always. `dropped` names request fields that the provider could not express; `warning` says,
    at the end at the latest, what went wrong although there is an answer.
    """

    dialect: Dialect | None = None
    content_type: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    dropped: tuple[str, ...] = ()
    warning: str = ""

    @abc.abstractmethod
    def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        """The reply, piece by piece, as it arrives."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Ends it at once: closes the upstream connection if the reply is not complete."""


def lane_name(provider: str, endpoint: int) -> str:
    """The name under which an endpoint is measured."""
    return provider if endpoint == 1 else f"{provider}#{endpoint}"


def provider_of(name: str) -> str:
    """The provider of a lane, or of a model there: `openai` of `openai#2` and of `openai#2/gpt-4o`."""
    return name.partition("/")[0].partition("#")[0]


class Provider(abc.ABC):
    """A source of models."""

    name: str
    kind: str
    local: bool = False
    base_url: str = ""
    free: bool = False
    """Whether its answers cost nothing."""
    text_tool_calls: bool = False
    """Whether its models may write tool calls as text, so that they are looked for."""
    key: ProviderKey | None = None
    """Its key, None where it takes none; `key.forget()` lets a changed one take effect."""
    endpoint: int = 1
    """Which of the provider's endpoints it is, from 1."""
    weight: float = 1.0
    """How much of the requests it gets beside the other endpoints."""
    key_name: str = ""
    """The name under which its key is kept."""

    @property
    def lane(self) -> str:
        """The name under which it is measured: the provider's, with `#2` and so on for further endpoints."""
        return lane_name(self.name, self.endpoint)

    @property
    def on_this_machine(self) -> bool:
        """Whether what it is sent stays here."""
        return self.local and (not self.base_url or is_loopback(self.base_url))

    async def start(self) -> None:  # noqa: B027 - not every provider has something to start
        """Called once when the configuration comes into force; must not wait for the network."""

    def speaks(self, dialect: Dialect, model: str) -> bool:
        """Whether bodies of this client protocol go to `model` as they are, and come back so."""
        return False

    @abc.abstractmethod
    async def availability(self, model: str = "", needs: frozenset[Need] = frozenset()) -> Availability:
        """Whether `model` can be used, from what is known (cached for a few seconds). Never raises.

        A wildcard such as `auto` stands for a model that can do what `needs` names.
        """

    @abc.abstractmethod
    async def models(self) -> list[ModelInfo]:
        """The models that are there now; an unreachable provider has none. Never raises."""

    @abc.abstractmethod
    async def send(self, call: Call) -> Answer:
        """Sends a request and waits for the upstream's status.

        Raises:
            WireError: with the upstream's status, or 502 (broken), 503 (unreachable), 504 (too slow).
        """

    async def load(self, model: str, keep_alive: str | float | None = None) -> None:
        """Gets `model` ready to answer at once. Nothing to do where models are not kept in memory here.

        Args:
            model: the provider's own name of it.
            keep_alive: how long it shall stay, as a duration such as `10m` or in seconds; None: as usual.

        Raises:
            WireError: as `send`.
        """
        return

    async def unload(self, model: str) -> None:
        """Frees the memory that `model` takes. Raises `WireError` as `send`."""
        return

    async def embed(self, request: EmbeddingRequest, model: str) -> Embeddings:
        """Turns texts into vectors.

        Raises:
            Unsupported: it has no models for that.
            WireError: as `send`.
        """
        raise Unsupported(f"{self.name} cannot make embeddings.", "model")

    async def count_tokens(self, call: Call) -> int | None:
        """The tokens of a prompt as the provider counts them, None where it does not. Never raises."""
        return None

    @abc.abstractmethod
    async def close(self) -> None:
        """Ends connections and child processes."""

    async def check_key(self) -> KeyCheck:
        """Asks whether the provider takes its key, by a call that costs nothing. Never raises."""
        if self.key is None:
            return KeyCheck(provider=self.name, result="none", message=f"{self.name} takes no key.")
        if not await self.key.get():
            return KeyCheck(
                provider=self.name, result="none", message=f"{self.name} has no key. {self.key.hint}"
            )
        message = f"{self.name} has a key; only a request can tell whether it is good."
        return KeyCheck(provider=self.name, result="unknown", message=message)

    async def candidate(self, model: str) -> Candidate:
        """`model` of this provider as it stands."""
        found = await self.availability(model)
        return Candidate(
            provider=self.name,
            model=found.model or model,
            local=self.local,
            state=found.state,
            reason=found.reason,
        )


@dataclass(slots=True)
class EventAnswer(Answer):
    """An answer made of ready events; for replies that came whole."""

    events: list[Event]
    raw: bytes = b""
    dialect: Dialect | None = None
    content_type: str = "application/json"
    dropped: tuple[str, ...] = field(default=())
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __aiter__(self) -> AsyncIterator[tuple[bytes, list[Event]]]:
        """All at once."""
        yield self.raw, self.events

    async def close(self) -> None:
        """Nothing is open."""
