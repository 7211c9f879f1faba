"""What a fake Ollama holds: its models, and the requests that it got."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class FakeModel:
    """An installed model. `load_seconds` is how long its first request waits.

    `think_levels` is whether it takes levels of thinking; `remote` ones are answered by ollama.com.
    """

    name: str
    capabilities: tuple[str, ...] | None = ("completion", "tools")
    context_length: int = 131072
    architecture: str = "llama"
    parameter_size: str = "3.2B"
    quantization: str = "Q4_K_M"
    size: int = 2_019_393_189
    modified: float = 1_746_000_000.0
    num_ctx: int | None = None
    load_seconds: float = 0.0
    think_levels: bool = True
    bytes_per_token: float = 4.0
    remote: bool = False

    def __post_init__(self) -> None:
        if ":" not in self.name:
            self.name += ":latest"

    @classmethod
    def parse(cls, value: str) -> FakeModel:
        """`name`, `name@context` or `name@context@capability,capability`."""
        name, _, rest = value.partition("@")
        context, _, capabilities = rest.partition("@")
        model = cls(name, context_length=int(context or 131072))
        if capabilities:
            model.capabilities = tuple(capabilities.split(","))
        return model

    @property
    def digest(self) -> str:
        """Changes with what the model is, as a content hash does."""
        identity = f"{self.name}{self.capabilities}{self.context_length}{self.size}"
        return hashlib.sha256(identity.encode()).hexdigest()

    def can(self, capability: str) -> bool:
        """Whether it has a capability; None stands for a server that does not list them."""
        return self.capabilities is None or capability in self.capabilities

    @property
    def details(self) -> Json:
        """The `details` object."""
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.architecture,
            "families": [self.architecture],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }


@dataclass(slots=True)
class Loaded:
    """A model in memory."""

    num_ctx: int
    expires: float


@dataclass(slots=True)
class Received:
    """One request that the server got, and what became of it.

    Attributes:
        body: the decoded JSON, or the raw bytes where it is none.
        prompt_tokens: tokens of the prompt as it came; `evaluated` of what the window left of it.
        ended: set when the reply is over; `outcome` then is done, cut (by us), gone (by the client) or error.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    prompt_tokens: int = 0
    evaluated: int = 0
    outcome: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, outcome: str) -> None:
        """Notes the outcome, once."""
        if not self.outcome:
            self.outcome = outcome
            self.ended.set()
