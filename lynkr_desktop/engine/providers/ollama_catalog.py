"""What an Ollama server has: installed models, loaded ones, and what each can do.

Asked by /api/tags, /api/ps and /api/show, and remembered: lists for seconds, a model's facts as long as its
digest is the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import msgspec
from msgspec import Struct

from lynkr_desktop.engine.providers.http import SessionFactory

_FRESH_FOR = 2.0
_RECENT_FOR = 30.0
_ASK_TIMEOUT = 5.0

_Answer = TypeVar("_Answer")


class _Details(Struct):
    family: str = ""
    parameter_size: str = ""
    quantization_level: str = ""


class _Listed(Struct):
    name: str
    modified_at: str = ""
    size: int = 0
    digest: str = ""
    remote_host: str = ""
    details: _Details | None = None


class _Tags(Struct):
    models: list[_Listed]


class _Running(Struct):
    name: str
    context_length: int = 0
    size_vram: int = 0
    expires_at: str = ""


class _Ps(Struct):
    models: list[_Running]


class _Show(Struct):
    model_info: dict[str, Any] = {}
    capabilities: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Installed:
    """A model of /api/tags. `remote` ones are answered by ollama.com, not by this server."""

    name: str
    size: int
    digest: str
    modified: float
    remote: bool
    family: str = ""
    parameters: str = ""
    quantization: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What /api/show says. None: the server does not say, as older versions do not."""

    context_length: int | None = None
    capabilities: frozenset[str] | None = None

    def can(self, capability: str) -> bool:
        """False only when the model is known not to have the capability."""
        return self.capabilities is None or capability in self.capabilities


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server at one moment.

    Attributes:
        installed: newest first, by name.
        loaded: models in memory with their window in tokens (0: not told), those used last first.
        memory: for each of these, the bytes in graphics memory and the Unix second at which it leaves.
        problem: why nothing is known: empty when the server answered.
    """

    installed: dict[str, Installed] = field(default_factory=dict)
    loaded: dict[str, int] = field(default_factory=dict)
    memory: dict[str, tuple[int, float]] = field(default_factory=dict)
    problem: str = ""

    def find(self, name: str) -> Installed | None:
        """An installed model; `:latest` may be left off and the case does not matter, as in Ollama."""
        wanted = full_name(name)
        return self.installed.get(wanted) or next(
            (model for known, model in self.installed.items() if known.casefold() == wanted.casefold()), None
        )


class OllamaCatalog:
    """Asks one server, not more often than needed.

    Args:
        base_url: where it answers.
        session: gives the shared HTTP session.
        headers: sent with each request.
        connect_timeout: longest wait for a connection, in seconds.
    """

    def __init__(
        self,
        base_url: str,
        session: SessionFactory,
        *,
        headers: Mapping[str, str],
        connect_timeout: float,
    ) -> None:
        self._base_url = base_url
        self._session = session
        self._headers = headers
        self._timeout = aiohttp.ClientTimeout(total=_ASK_TIMEOUT, sock_connect=connect_timeout)
        self._snapshot = Snapshot()
        self._refresh: asyncio.Task[Snapshot] | None = None
        self._taken = float("-inf")
        self._asking = asyncio.Lock()
        self._facts: dict[tuple[str, str], Facts] = {}
        self._showing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def snapshot(self) -> Snapshot:
        """The server now, at most two seconds old. Never raises."""
        async with self._asking:
            if time.monotonic() - self._taken >= _FRESH_FOR:
                self._snapshot = await self._ask()
                self._taken = time.monotonic()
        return self._snapshot

    @property
    def latest(self) -> Snapshot:
        """What was last seen, however old; empty before the first look."""
        return self._snapshot

    @property
    def looked(self) -> bool:
        """Whether it has been asked since the start, and since something is known to have changed."""
        return self._taken > float("-inf")

    def recent(self) -> Snapshot:
        """What was last seen; where that was long ago, another look is taken in the background."""
        old = time.monotonic() - self._taken >= (_FRESH_FOR if self._snapshot.problem else _RECENT_FOR)
        if old and (self._refresh is None or self._refresh.done()):
            self._refresh = asyncio.create_task(self.snapshot(), name=f"models of {self._base_url}")
        return self._snapshot

    async def close(self) -> None:
        """Ends a look that is being taken."""
        if self._refresh is not None:
            self._refresh.cancel()
            await asyncio.gather(self._refresh, return_exceptions=True)

    def forget(self) -> None:
        """Makes the next `snapshot` ask again."""
        self._taken = float("-inf")

    async def facts(self, model: Installed) -> Facts:
        """What `model` can do; nothing is known where the server does not answer. Never raises."""
        key = (model.name, model.digest)
        if key in self._facts:
            return self._facts[key]
        async with self._showing[model.name]:
            if key not in self._facts:
                try:
                    shown = await self._fetch("/api/show", _Show, {"model": model.name})
                except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, ValueError):
                    return Facts()
                # The digest changes when the model is pulled anew: what was known of the old one goes.
                self._facts = {known: facts for known, facts in self._facts.items() if known[0] != model.name}
                self._facts[key] = _read_facts(shown)
            return self._facts[key]

    async def _ask(self) -> Snapshot:
        try:
            tags, running = await asyncio.gather(
                self._fetch("/api/tags", _Tags), self._fetch("/api/ps", _Ps), return_exceptions=True
            )
            if isinstance(tags, BaseException):
                raise tags
        except (aiohttp.ClientConnectionError, TimeoutError):
            return Snapshot(problem=unanswered(self._base_url))
        except (aiohttp.ClientError, msgspec.DecodeError, ValueError):
            return Snapshot(
                problem=f"What answers at {self._base_url} is not Ollama, or is broken. Check the URL."
            )
        installed = [_installed(model) for model in tags.models]
        installed.sort(key=lambda model: model.modified, reverse=True)
        # A server that lists its models but fails to say which are loaded is still of use.
        held = [] if isinstance(running, BaseException) else running.models
        return Snapshot(
            {model.name: model for model in installed},
            {full_name(model.name): model.context_length for model in held},
            {full_name(model.name): (model.size_vram, _seconds(model.expires_at)) for model in held},
        )

    async def _fetch(self, path: str, kind: type[_Answer], body: dict[str, str] | None = None) -> _Answer:
        url = self._base_url + path
        call = self._session().request(
            "GET" if body is None else "POST",
            url,
            json=body,
            headers=self._headers,
            timeout=self._timeout,
            allow_redirects=False,
        )
        async with call as response:
            response.raise_for_status()
            return msgspec.json.decode(await response.read(), type=kind)


def unanswered(base_url: str) -> str:
    """What to tell when nothing takes connections."""
    return f"Ollama does not answer at {base_url}. Start it with `ollama serve`."


def full_name(name: str) -> str:
    """A model's name with its tag: `llama3.2` is `llama3.2:latest`."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def short_name(name: str) -> str:
    """A model's name as people write it: `llama3.2:latest` is `llama3.2`."""
    return name.removesuffix(":latest")


def _installed(model: _Listed) -> Installed:
    details = model.details or _Details()
    return Installed(
        name=full_name(model.name),
        size=model.size,
        digest=model.digest,
        modified=_seconds(model.modified_at),
        remote=bool(model.remote_host),
        family=details.family,
        parameters=details.parameter_size,
        quantization=details.quantization_level,
    )


def _read_facts(shown: _Show) -> Facts:
    info = shown.model_info
    architecture = info.get("general.architecture")
    length = info.get(f"{architecture}.context_length")
    return Facts(
        context_length=length if isinstance(length, int) and length > 0 else None,
        capabilities=None if shown.capabilities is None else frozenset(shown.capabilities),
    )


def _seconds(timestamp: str) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0
