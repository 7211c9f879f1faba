"""One request on its way through the engine: what is known of it so far, and the record it becomes."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct, field

from lynkr_desktop.engine.cache.recording import Recording
from lynkr_desktop.engine.optimization import tokens
from lynkr_desktop.engine.passages.asks import Asked
from lynkr_desktop.engine.routing.clean import clean_text
from lynkr_desktop.engine.routing.decision import Decision, Target
from lynkr_desktop.engine.routing.selection import Skipped
from lynkr_desktop.engine.security.caller import OWNER, Caller
from lynkr_desktop.engine.security.redaction import KNOWN, redact
from lynkr_desktop.engine.wire.canonical import Request, Usage
from lynkr_desktop.engine.wire.codec import ClientCodec
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.engine.wire.ids import timed_id
from lynkr_desktop.protocol.cache import CacheResult
from lynkr_desktop.protocol.control import RequestRow
from lynkr_desktop.protocol.optimization import Receipt, StageName, saved_tokens

if TYPE_CHECKING:
    from lynkr_desktop.engine.resilience.budgets import Hold
    from lynkr_desktop.engine.resilience.traffic import Passage

_CLIENTS = (
    ("claude-cli", "Claude Code"),
    ("claude-code", "Claude Code"),
    ("codex", "Codex"),
    ("openhands", "OpenHands"),
    ("litellm", "LiteLLM"),
    ("cursor", "Cursor"),
    ("cline", "Cline"),
    ("aider", "aider"),
    ("continue", "Continue"),
    ("opencode", "opencode"),
    ("anthropic/", "Anthropic SDK"),
    ("openai/", "OpenAI SDK"),
    ("ollama-", "Ollama SDK"),
    ("curl/", "curl"),
)
_SESSION_HEADERS = ("x-lynkr-session", "x-litellm-session-id", "x-claude-code-session-id", "session-id")
_SESSION_IN_USER = re.compile(r"session_(?:id\W+)?([0-9a-fA-F-]{8,64})")
_AGENT = 500
_TITLE = 100
_SHORT = 200
_LONG = 1_000
"""Characters of a text in the record."""


def new_id() -> str:
    """An id for a request."""
    return timed_id("req_", 13)


class Exchange(Struct, kw_only=True, eq=False):
    """The state of one request. Steps fill it in, in order; `row()` can be asked for at any time."""

    codec: ClientCodec
    headers: Mapping[str, str]
    task: asyncio.Task[None] | None = None
    """That answers it."""
    id: str = field(default_factory=new_id)
    at: float = field(default_factory=time.time)
    began: float = field(default_factory=time.perf_counter)
    body: bytes = b""
    caller: Caller = OWNER
    hold: Hold | None = None
    """What it has reserved of budgets."""
    credential: tuple[str, str] | None = None
    request: Request | None = None
    decision: Decision | None = None
    target: Target | None = None
    free: bool = False
    answered: bool = False
    """An upstream began to answer, so that something may have been spent."""
    told_model: str = ""
    """The model that the upstream says it is; behind a deployment's name it may be any."""
    usage: Usage | None = None
    cost: float | None = None
    first_token_at: float | None = None
    ended: float | None = None
    delivered: bool = False
    """The client got the end of a stream; some then leave without waiting for the connection's."""
    status: int = 0
    error: str = ""
    query: str = ""
    skipped: list[Skipped] = []
    """The models that were passed over or did not answer, each with the reason."""
    upstream_headers: Mapping[str, str] = {}
    dropped: tuple[str, ...] = ()
    warning: str = ""
    stages: tuple[StageName, ...] = ()
    """Those that shorten its prompt, in order."""
    sent: Request | None = None
    """As it went to the model, where stages ran."""
    receipts: tuple[Receipt, ...] = ()
    asked: Asked | None = None
    """What a person asks in it, for passages that are put there; None where none may be."""
    came: Request | None = None
    """As the client sent it, where passages were put in."""
    told: Mapping[str, str] = {}
    """Headers that say how many of its asks have passages before them."""
    added: tuple[Receipt, ...] = ()
    """Of the passages that were put in, by their sources."""
    cache: CacheResult = "bypass"
    recording: Recording | None = None
    """Takes the reply where it may be stored."""
    inner_calls: list[str] = []
    """Tools that the model called and the engine answered."""
    passages: list[Passage] = []
    """Its ways to models."""
    conversation: str = ""
    """What people call its session, also where its client has no name for it."""
    protocol: str = ""
    """What is asked, where it is not the codec's own protocol: embeddings."""
    _session: str | None = None

    def __repr__(self) -> str:
        """Without what it holds: bodies are long, and credentials are nobody's business."""
        return f"<Exchange {self.id}>"

    def mark_first_token(self) -> None:
        """Notes that the first content arrived."""
        self.first_token_at = time.perf_counter()

    def finish(self) -> None:
        """Notes that it is over. Its bytes are needed no more."""
        self.ended = time.perf_counter()
        self.body = b""
        self.recording = None
        for skipped in self.skipped:
            # Else the error and the frames that it came through hold each other, with an upstream's answer
            # of any size, until the garbage collector comes by, which is seldom.
            skipped.error.forget()

    def fail(self, error: WireError) -> None:
        """Notes how it ended badly."""
        self.status = error.status
        self.error = error.message
        # An answer that broke off or did not come in time may be on the bill all the same.
        if not self.answered and error.status not in (502, 504):
            self.cost = 0.0

    @property
    def client(self) -> str:
        """Which program asks, by its User-Agent."""
        return _client_of(self.headers.get("user-agent", "")[:_AGENT])

    @property
    def session(self) -> str:
        """The client's own name for the conversation, empty where it gives none."""
        if self._session is None or self.request is None:
            self._session = self._stated_session()
        return self._session

    def _stated_session(self) -> str:
        for header in _SESSION_HEADERS:
            if value := self.headers.get(header):
                return value[:_SHORT]
        user = self.request.user if self.request is not None else ""
        found = _SESSION_IN_USER.search(user) if user else None
        return found.group(1) if found else ""

    @property
    def title(self) -> str:
        """The first line of what a person asked last, without secrets that were pasted there."""
        if self.request is None:
            return ""
        text = self._asked(self.request)
        return _title_of(text.split("\n", 1)[0].strip()[: 10 * _TITLE], KNOWN.count) if text else ""

    def _asked(self, request: Request) -> str:
        """What a person asked last, as it was read for the decision where there is one."""
        if self.decision is not None and self.decision.grounds is not None:
            return self.decision.grounds.ask.text
        turns = (message for message in reversed(request.messages) if message.role == "user")
        return next(filter(None, map(clean_text, turns)), "")

    @property
    def reason(self) -> str:
        """Why it went where it did, in one line."""
        decision, target = self.decision, self.target
        if decision is None:
            return ""
        reason = decision.reason
        if target is not None and target.tier != decision.tier:
            reason += f"; no model of {decision.tier} could answer, so {target.tier}"
        return f"{reason}; the same was asked before, so from the cache" if self.cache == "hit" else reason

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt as it went to the model, for a provider that reports none.

        They are counted where stages changed the prompt, else estimated from its bytes.
        """
        if self.sent is None or self.sent is self.request:
            return estimate_tokens(self.body)
        return tokens.of_request(self.sent)

    @property
    def saved_tokens(self) -> int:
        """Tokens that the stages took off the prompt."""
        return max(0, saved_tokens(self.receipts)) if self.receipts else 0

    def row(self) -> RequestRow:
        """The record of it as it stands."""
        now = self.ended or time.perf_counter()
        request, decision, target = self.request, self.decision, self.target
        usage = self.usage or Usage()
        return RequestRow(
            id=self.id,
            at=self.at,
            client=self.client,
            protocol=self.protocol or self.codec.name,
            session=self.session or self.conversation,
            title=self.title,
            tier=(target.tier if target is not None else None) or (decision.tier if decision else None),
            score=decision.score.value if decision and decision.score else None,
            reason=self.reason[:_LONG],
            provider=target.provider if target else "",
            model=target.model[:_LONG] if target else "",
            requested_model=request.model[:_SHORT] if request else "",
            stream=request.stream if request else False,
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            estimated=usage.estimated,
            cost=self.cost,
            latency_ms=(now - self.began) * 1e3,
            ttft_ms=(self.first_token_at - self.began) * 1e3 if self.first_token_at else None,
            status=self.status,
            error=self.error[:_LONG],
            warning=self.warning[:_LONG],
            saved_tokens=self.saved_tokens,
            key=self.caller.name,
        )


@lru_cache(256)
def _client_of(agent: str) -> str:
    agent = agent.lower()
    for mark, name in _CLIENTS:
        if mark in agent:
            return name
    return agent.split("/", 1)[0][:40] or "unknown"


@lru_cache(256)
def _title_of(line: str, _known: int) -> str:
    """A line without secrets, cut to the length of a title. Looking for them takes time; turns repeat it.

    What was remembered before another secret became known is looked at anew.
    """
    line = redact(line)
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def response_headers(exchange: Exchange) -> dict[str, str]:
    """The headers that tell a client what was decided."""
    headers = {
        **exchange.upstream_headers,
        "x-request-id": exchange.id,
        "x-lynkr-cache": exchange.cache,
        "x-lynkr-tokens-saved": str(exchange.saved_tokens),
        **exchange.told,
    }
    decision, target = exchange.decision, exchange.target
    if decision is not None:
        if decision.score is not None:
            headers["x-lynkr-complexity-score"] = f"{decision.score.value:.4f}"
        headers["x-lynkr-route-reason"] = header_text(exchange.reason)
    if target is not None:
        headers["x-lynkr-provider"] = header_text(target.provider)
        headers["x-lynkr-model"] = header_text(target.model)
        tier = target.tier or (decision.tier if decision else None)
        if tier is not None:
            headers["x-lynkr-tier"] = tier.upper()
    if exchange.cost is not None:
        headers["x-litellm-response-cost"] = f"{exchange.cost:.10f}".rstrip("0").rstrip(".")
    headers["x-lynkr-cost"] = _how_known(exchange)
    if exchange.warning:
        headers["x-lynkr-warning"] = header_text(exchange.warning)
    if exchange.dropped:
        headers["x-lynkr-dropped"] = header_text(", ".join(exchange.dropped))
    return headers


def _how_known(exchange: Exchange) -> str:
    """How good `x-litellm-response-cost` is; the head of a stream goes out before its cost is known."""
    if exchange.cost is None:
        return "unknown"
    usage = exchange.usage
    guessed = usage is not None and usage.estimated and not exchange.free
    return "estimate" if guessed else "exact"


@lru_cache(256)
def header_text(text: str) -> str:
    """Text that may stand in a header: printable ASCII, one line, bounded."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(char if " " <= char <= "~" else "?" for char in text)
    return text[:500]


def estimate_tokens(body: bytes) -> int:
    """A rough count for a provider that reports none: JSON of code and prose is about 3.6 bytes a token."""
    return max(1, round(len(body) / 3.6))


def output_estimate(characters: int) -> int:
    """Tokens in an answer of so many characters, roughly."""
    return round(characters / 3.6)
