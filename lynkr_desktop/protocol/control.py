"""Bodies of the control API under /v1/admin, both directions. Times are Unix seconds, costs US dollars."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from lynkr_desktop.protocol.breakers import BreakerStatus
from lynkr_desktop.protocol.budgets import BudgetStatus
from lynkr_desktop.protocol.code import IndexStatus
from lynkr_desktop.protocol.lanes import LaneStatus
from lynkr_desktop.protocol.sessions import SessionPause
from lynkr_desktop.protocol.tiers import Tier

EngineState = Literal["starting", "running", "paused", "draining"]
CandidateState = Literal["ready", "loaded", "loading", "downloading", "unavailable", "unknown"]
LocalModelState = Literal["absent", "downloading", "installed", "loading", "loaded", "failed"]


class EngineRuntime(Struct, frozen=True, kw_only=True):
    """The file `engine.json`: which engine serves this home. Removed on a clean stop.

    `pid` together with `pid_started` (psutil's create_time) says whether it is still that process.
    """

    pid: int
    pid_started: float
    port: int
    version: str


class Candidate(Struct, frozen=True, kw_only=True):
    """One `provider/model` of a tier. `reason` says why it cannot be used, and what to do about it."""

    provider: str
    model: str
    local: bool
    state: CandidateState = "unknown"
    reason: str = ""

    @property
    def name(self) -> str:
        """`provider/model`, the form used in configuration and in the `model` field."""
        return f"{self.provider}/{self.model}"

    @property
    def usable(self) -> bool:
        """Whether a request may be sent to it now."""
        return self.state != "unavailable"


class TierStatus(Struct, frozen=True, kw_only=True):
    """A tier as it stands. `share_today` is the part of today's requests it answered, 0..1."""

    tier: Tier
    enabled: bool
    max_complexity: float
    candidates: tuple[Candidate, ...] = ()
    requests_today: int = 0
    share_today: float = 0.0


class ProviderStatus(Struct, frozen=True, kw_only=True):
    """A configured provider. `reason` is empty when it is available."""

    name: str
    kind: str
    local: bool
    available: bool
    reason: str = ""
    base_url: str = ""


class LocalModel(Struct, frozen=True, kw_only=True):
    """A model on this machine, or one that can be fetched. `received` counts while it is; sizes are bytes.

    Those of Ollama have `provider/name` as their id, the built-in ones a name alone. `context_length` is in
    tokens, 0 where it is unknown; `vram` is the part of a loaded model in graphics memory; `expires` is when
    a loaded one leaves the memory, as Unix seconds, 0 for never or unknown.
    """

    id: str
    title: str
    licence: str
    publisher: str
    size: int
    state: LocalModelState
    received: int = 0
    bytes_per_s: float = 0.0
    default: bool = False
    path: str = ""
    error: str = ""
    provider: str = "embedded"
    parameters: str = ""
    quantization: str = ""
    context_length: int = 0
    capabilities: tuple[str, ...] = ()
    vram: int = 0
    expires: float = 0.0


class LocalModelList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/models."""

    models: tuple[LocalModel, ...] = ()


class ModelFacts(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/models/{model}/show. Empty texts are unknown; `template` is how prompts are written."""

    model: LocalModel
    licence: str = ""
    options: str = ""
    template: str = ""
    system: str = ""


class LoadRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/admin/models/{model}/load. `keep_alive` is a duration such as `10m` or in seconds."""

    keep_alive: str | float | None = None


class UsageTotals(Struct, frozen=True, kw_only=True):
    """Sums over a range. `cost` covers the priced requests only; `unpriced` counts the others.

    `warnings` counts answers that something went wrong with, such as a prompt that was cut. `saved_tokens`
    are those that were taken off prompts.
    """

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    warnings: int = 0
    saved_tokens: int = 0


class RequestRow(Struct, frozen=True, kw_only=True):
    """One recorded request. `cost` None means that the price is unknown; `ttft_ms` None: no token came.

    `warning` says what went wrong although there is an answer: a prompt that was cut, for one.
    `saved_tokens` are those that the stages of the pipeline took off the prompt, by a count of our own.
    `key` is the name of the access key that it came with, empty for the machine's own token.
    """

    id: str
    at: float
    client: str
    protocol: str
    session: str = ""
    title: str = ""
    tier: Tier | None = None
    score: float | None = None
    reason: str = ""
    provider: str = ""
    model: str = ""
    requested_model: str = ""
    stream: bool = False
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False
    cost: float | None = None
    latency_ms: float = 0.0
    ttft_ms: float | None = None
    status: int = 0
    error: str = ""
    warning: str = ""
    saved_tokens: int = 0
    key: str = ""


class RequestList(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/requests, the newest first."""

    requests: tuple[RequestRow, ...] = ()


class ConfigStatus(Struct, frozen=True, kw_only=True):
    """Which configuration is in force. `error` tells why a newer file was not taken.

    `inactive` names options that were accepted and that nothing reads yet.
    """

    path: str
    exists: bool
    loaded_at: float
    error: str = ""
    inactive: tuple[str, ...] = ()


class ProfileStatus(Struct, frozen=True, kw_only=True):
    """A routing profile. `local_only`: nothing leaves this machine while it is in force."""

    name: str
    active: bool = False
    local_only: bool = False


class EngineStatus(Struct, frozen=True, kw_only=True):
    """GET /v1/admin/status, and the payload of each `status` event.

    `paused_until` is None unless paused for a limited time. `active` counts requests in flight.
    `totals` and `hours` are today's, by the local calendar; hours[h] covers h:00 to h:59. `workspaces` are
    those whose code was asked about, the latest first. `headroom` says how its sidecar is, and is empty
    where no stage needs one.
    """

    state: EngineState
    version: str
    pid: int
    started: float
    port: int
    openai_url: str
    anthropic_url: str
    paused_until: float | None = None
    active: int = 0
    tiers: tuple[TierStatus, ...] = ()
    providers: tuple[ProviderStatus, ...] = ()
    models: tuple[LocalModel, ...] = ()
    totals: UsageTotals = UsageTotals()
    hours: tuple[UsageTotals, ...] = ()
    config: ConfigStatus
    profiles: tuple[ProfileStatus, ...] = ()
    workspaces: tuple[IndexStatus, ...] = ()
    headroom: str = ""
    breakers: tuple[BreakerStatus, ...] = ()
    """The circuit breakers that are not closed."""
    lanes: tuple[LaneStatus, ...] = ()
    """The ways to endpoints on which requests wait, or which take none at the moment."""
    budgets: tuple[BudgetStatus, ...] = ()
    """Those of which budgets.warn_at is spent, or more: the fullest."""
    pressure: str = ""
    """Why requests are refused for the moment; empty while they are taken."""
    sessions_paused: tuple[SessionPause, ...] = ()
    """Those that do not run, the latest first, at most `MOST_SHOWN`."""

    @property
    def profile(self) -> ProfileStatus:
        """The profile in force."""
        return next((profile for profile in self.profiles if profile.active), ProfileStatus(name="default"))


class TierPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """PATCH /v1/admin/tiers/{tier}."""

    enabled: bool


class ProfilePatch(Struct, frozen=True, forbid_unknown_fields=True):
    """PATCH /v1/admin/profile."""

    name: str


class PauseRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/admin/pause. Without `seconds` it stays paused until POST /v1/admin/resume."""

    seconds: float | None = None


class ShutdownRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/admin/shutdown. Drains requests in flight unless `force`; answers at once with `active`."""

    force: bool = False


class ShutdownReply(Struct, frozen=True, kw_only=True):
    """How many requests are still in flight as the engine begins to stop."""

    active: int
    drain_timeout_s: float


class ControlError(Struct, frozen=True, kw_only=True):
    """Every error of the control API: a sentence for people and a stable code for programs."""

    error: str
    code: str = "invalid"
