"""Every option, declared once: its type, default and help. docs/configuration.md is generated from here.

An option marked `planned` is accepted, so that a file written for the whole system loads as it stands, and is
listed at start-up as not active yet.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from lynkr_desktop.engine.config.access import AccessOptions
from lynkr_desktop.engine.config.base import SECRET, Duration, OptionError, Options, Size
from lynkr_desktop.engine.config.budgets import BudgetOptions
from lynkr_desktop.engine.config.endpoints import MOST_ENDPOINTS, EndpointOptions, RateOptions, Url
from lynkr_desktop.engine.config.resilience import CircuitBreakerOptions, ResilienceOptions
from lynkr_desktop.engine.config.sessions import SessionOptions
from lynkr_desktop.engine.config.telemetry import OffOrDuration, OtlpOptions
from lynkr_desktop.protocol.optimization import StageName
from lynkr_desktop.protocol.tiers import TIERS, Tier

ProviderKind = Literal[
    "ollama",
    "embedded",
    "openai",
    "openrouter",
    "openai_compatible",
    "azure",
    "anthropic",
    "vertex",
    "bedrock",
]


PROVIDER_KINDS: tuple[str, ...] = get_args(ProviderKind)

WELL_KNOWN_PROVIDERS = tuple(kind for kind in PROVIDER_KINDS if kind != "openai_compatible")
"""Providers that a tier may name without listing them; an openai_compatible one needs its base_url."""


ProviderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
ProfileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=32)]


class AuthOptions(Options):
    """proxy.auth"""

    token: str | None = Field(
        None,
        min_length=8,
        description="The token that clients must send. Left out, one is generated at the first start and "
        "kept in the file `token` (mode 0600) of the home folder. LYNKR_TOKEN overrides both.",
        json_schema_extra=SECRET,
        repr=False,
    )
    ollama_without_token: bool = Field(
        False,
        description="Open /api/* without the token, for editors that know Ollama and cannot send one. Then "
        "every program and every user of this machine can use the models behind Lynkr, at your cost, and "
        "pull and delete those of Ollama; pages in a browser still cannot. Where the editor takes a URL with "
        "a password (http://any:TOKEN@127.0.0.1:8081), use that instead.",
    )


class ProxyOptions(Options):
    """proxy"""

    port: int = Field(8081, ge=0, le=65535, description="Port on 127.0.0.1; 0 takes a free one.")
    api_compat: tuple[Literal["anthropic_messages", "openai_chat", "openai_responses", "ollama"], ...] = (
        Field(
            ("anthropic_messages", "openai_chat", "openai_responses", "ollama"),
            description="Client protocols that are served. A list that names only the first two, as older "
            "files have it, serves the other two as well.",
        )
    )
    health_check: str = Field(
        "/v1/admin/health", pattern="^/", description="Path of the health check; it needs no token."
    )
    auth: AuthOptions = Field(default_factory=AuthOptions, description="Access.")
    max_body: Size = Field(
        32 * 1024**2, gt=0, description="Largest request body; a larger one is refused with 413."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Host names accepted beside 127.0.0.1, localhost and [::1] (against DNS rebinding)."
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="Web origins, such as https://app.example, whose pages may call the proxy."
    )
    drain_timeout: Duration = Field(
        30.0, ge=0, description="How long a stop waits for requests in flight before it ends them."
    )

    def serves(self, protocol: str) -> bool:
        """Whether a client protocol is served."""
        newer = {"openai_responses", "ollama"}
        return protocol in self.api_compat or (protocol in newer and newer.isdisjoint(self.api_compat))


class TierOptions(Options):
    """routing.tiers.<tier>"""

    providers: tuple[str, ...] = Field(
        (),
        description="Models that answer this tier, best first, each as `provider/model`. `ollama/auto` is "
        "the loaded or newest model of Ollama, `embedded/auto` the built-in one that fits this machine.",
    )
    max_complexity: float = Field(
        1.0, ge=0, le=1, description="Requests that score up to this, and above the tier below, belong here."
    )
    enabled: bool = Field(
        True, description="Off sends its requests to the nearest tier; the tray can switch it too."
    )


class GraphifyOptions(Options):
    """routing.analysis.graphify"""

    enabled: bool = Field(
        True, description="Index the code of workspaces; off, requests are scored by their words alone."
    )
    languages: tuple[Literal["typescript", "javascript", "python", "rust", "go", "java", "csharp"], ...] = (
        Field(
            ("typescript", "python", "rust", "go", "java", "csharp"),
            description="Languages that are read; javascript and tsx belong to typescript.",
        )
    )
    metrics: tuple[
        Literal["cyclomatic_complexity", "dependency_depth", "module_cohesion", "blast_radius"], ...
    ] = Field(
        ("cyclomatic_complexity", "dependency_depth", "module_cohesion", "blast_radius"),
        description="Structural metrics that enter the score.",
    )
    roots: tuple[str, ...] = Field(
        (),
        description="Folders whose code may be indexed, with all below them. Left out, every folder that you "
        "own may be, but for / and your home itself.",
    )
    max_files: int = Field(
        20_000, ge=1, le=200_000, description="Source files of one workspace that are indexed at most."
    )


class AnalysisOptions(Options):
    """routing.analysis"""

    graphify: GraphifyOptions = Field(default_factory=GraphifyOptions, description="Structure of the code.")


class StickyOptions(Options):
    """routing.sticky"""

    enabled: bool = Field(
        True,
        description="Keep the tier of a conversation while its task lasts, so that the provider's prompt "
        "cache stays warm. A harder turn still moves up at once.",
    )
    idle: Duration = Field(
        6 * 3600.0, gt=0, description="Silence after which a conversation's tier is forgotten."
    )


class ExperimentOptions(Options):
    """routing.experiment"""

    share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Part of the borderline requests that takes the tier on the other side of the threshold, "
        "so that `lynkr route calibrate` can compare the two; a session keeps its side. 0 is off.",
    )
    margin: float = Field(
        0.05, gt=0, le=0.2, description="How near to a threshold a score counts as borderline."
    )


PreferLocal = Literal["always", "when_loaded", "never"]
Policy = Literal["order", "cost", "latency", "round_robin"]

_PREFER_LOCAL = (
    "Whether models of this machine come first within a tier, those of Ollama before others: `always` where "
    "they are installed, `when_loaded` only while they are in memory, `never` leaves them where `policy` "
    "puts them."
)
_POLICY = (
    "How the models of a tier are ranked: `order` as they are listed, `cost` the cheapest first by the price "
    "list, `latency` the quickest to its first token so far, `round_robin` in turn by their `weights`."
)
DEFAULT_PROFILE = "default"


class ProfileOptions(Options):
    """routing.profiles.<name>"""

    local_only: bool = Field(
        False,
        description="Nothing leaves this machine: only models that run on it answer, and connections to "
        "other machines are refused, also for lists of models, checks of keys and downloads.",
    )
    tiers: tuple[Tier, ...] = Field(
        (), description="The tiers that take requests under this profile; left out, all that are switched on."
    )
    prefer_local: PreferLocal | None = Field(None, description="As routing.prefer_local, which it replaces.")
    policy: Policy | None = Field(None, description="As routing.policy, which it replaces.")
    pipeline: tuple[StageName, ...] | None = Field(
        None, description="As optimization.pipeline, which it replaces."
    )


def _built_in_profiles() -> dict[str, ProfileOptions]:
    return {DEFAULT_PROFILE: ProfileOptions(), "secure": ProfileOptions(local_only=True)}


def _default_tiers() -> dict[Tier, TierOptions]:
    local = ("ollama/auto", "embedded/auto")
    limits = {Tier.SIMPLE: 0.35, Tier.MEDIUM: 0.65, Tier.COMPLEX: 0.85, Tier.REASONING: 1.0}
    return {tier: TierOptions(providers=local, max_complexity=limit) for tier, limit in limits.items()}


class RoutingOptions(Options):
    """routing"""

    tiers: dict[Tier, TierOptions] = Field(
        default_factory=_default_tiers,
        description="The tiers simple, medium, complex and reasoning. Without any, all four use Ollama if it "
        "answers, else the built-in model, with max_complexity 0.35, 0.65, 0.85 and 1.",
    )
    disabled_tier: Literal["up", "down"] = Field(
        "up", description="Where the requests of a tier that is switched off go first."
    )
    prefer_local: PreferLocal = Field("always", description=_PREFER_LOCAL)
    policy: Policy = Field("order", description=_POLICY)
    weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default_factory=dict,
        description="round_robin: how often a `provider/model` is taken beside the others; 1 if not listed.",
    )
    profile: str = Field(
        DEFAULT_PROFILE,
        description="The profile in force at the start; the tray menu and `lynkr profile` switch it.",
    )
    profiles: dict[ProfileName, ProfileOptions] = Field(
        default_factory=dict,
        description="Profiles by name. `default`, which changes nothing, and `secure`, whose requests are "
        "answered on this machine alone, are there without being listed.",
    )
    workspace: str | None = Field(
        None,
        description="The folder of code that requests are about which name none; agents name theirs.",
    )
    sticky: StickyOptions = Field(
        default_factory=StickyOptions, description="How long a conversation keeps its tier."
    )
    analysis: AnalysisOptions = Field(default_factory=AnalysisOptions, description="What the score looks at.")
    experiment: ExperimentOptions = Field(
        default_factory=ExperimentOptions, description="Trying the neighbour tier near thresholds."
    )

    def profile_named(self, name: str) -> ProfileOptions | None:
        """A profile, listed or built in; None where there is none of that name."""
        return self.profiles.get(name) or _built_in_profiles().get(name)

    @property
    def profile_names(self) -> tuple[str, ...]:
        """Every profile, the built-in ones first."""
        return tuple(dict.fromkeys((*_built_in_profiles(), *self.profiles)))

    @model_validator(mode="after")
    def _profiles_are_known(self) -> RoutingOptions:
        """The profile at the start exists, and each profile leaves some tier."""
        if self.profile_named(self.profile) is None:
            raise OptionError(
                ("profile",),
                f"there is no profile '{self.profile}'; list it under routing.profiles to use it",
                choices=self.profile_names,
                written=self.profile,
            )
        for name, options in self.profiles.items():
            if options.tiers and not set(options.tiers) & set(self.tiers):
                raise OptionError(("profiles", name, "tiers"), "names no tier that is configured")
            if name == "secure" and not options.local_only:
                raise OptionError(("profiles", name, "local_only"), "must stay true; name another profile")
        listed = tuple(dict.fromkeys(name for tier in self.tiers.values() for name in tier.providers))
        for name in self.weights:
            if name not in listed:
                raise OptionError(("weights", name), f"no tier lists '{name}'", choices=listed, written=name)
        return self

    @model_validator(mode="after")
    def _thresholds_rise(self) -> RoutingOptions:
        """A tier whose limit lies below its predecessor's could never be reached."""
        if not self.tiers:
            raise OptionError(("tiers",), "at least one tier is needed")
        limits = [(tier, self.tiers[tier].max_complexity) for tier in TIERS if tier in self.tiers]
        for (low, a), (high, b) in pairwise(limits):
            if b <= a:
                raise OptionError(
                    ("tiers", high.value, "max_complexity"), f"{b:g} must be above {low}'s, which is {a:g}"
                )
        return self


class ProviderOptions(RateOptions):
    """providers.<name>"""

    kind: ProviderKind | None = Field(
        None, description="What it speaks; left out, the provider's name is taken as its kind."
    )
    base_url: Url | None = Field(None, description="Where it answers, for instance http://127.0.0.1:1234/v1.")
    key_env: str | None = Field(
        None, description="Environment variable that holds the key where the OS keyring has none."
    )
    models: tuple[str, ...] = Field(
        (), description="Model names that a client may use without the provider's name before them."
    )
    free: bool | None = Field(
        None,
        description="Whether its answers cost nothing. Left out, Ollama, the built-in models, and lmstudio, "
        "vllm, llamacpp and their like on this machine are free; of others the price list decides.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="Headers added to each request; never keys.",
        json_schema_extra=SECRET,
        repr=False,
    )
    connect_timeout: Duration = Field(5.0, gt=0, description="Longest wait for a connection.")
    first_byte_timeout: Duration = Field(
        600.0, gt=0, description="Longest wait for the first byte of an answer."
    )
    stall_timeout: Duration = Field(120.0, gt=0, description="Longest silence within an answer.")
    p95_limit: Duration | None = Field(
        None,
        gt=0,
        description="As resilience.latency.p95, which it overrides for the models of this provider.",
    )
    region: str | None = Field(
        None,
        pattern="^[a-z0-9-]+$",
        description="bedrock: the AWS region; left out, it is found as AWS tools find it (AWS_REGION, the "
        "profile).",
    )
    project: str | None = Field(
        None,
        description="vertex: the project; left out, GOOGLE_CLOUD_PROJECT or that of the credentials.",
    )
    location: str | None = Field(
        None, description="vertex: the location; left out, GOOGLE_CLOUD_LOCATION, else `global`."
    )
    api_version: str | None = Field(
        None,
        pattern=r"^(v1|\d{4}-\d{2}-\d{2}(-preview)?)$",
        description="azure: a dated version, such as 2024-10-21, asks deployments by their own paths; left "
        "out or `v1`, the resource's path /openai/v1 is used.",
    )
    responses: bool | None = Field(
        None,
        description="openai, openrouter, openai_compatible: whether the server has OpenAI Responses beside "
        "Chat Completions. Left out, only the kind openai is taken to have it.",
    )
    keep_alive: Annotated[str, Field(coerce_numbers_to_str=True)] | None = Field(
        None, description="ollama: how long a model stays loaded after its last use, such as `10m` or `-1`."
    )
    warm_up: tuple[str, ...] = Field(
        (), description="ollama: models that are loaded when the engine starts, so that they answer at once."
    )
    max_context: int = Field(
        32768, ge=512, description="ollama: upper bound of num_ctx; the memory that it takes grows with it."
    )
    endpoints: tuple[EndpointOptions, ...] = Field(
        (),
        max_length=MOST_ENDPOINTS,
        description="Several endpoints or keys of this one provider, over which requests are spread. Each "
        "has the options below, and the provider's for what it leaves out. A conversation stays at its "
        "endpoint for the sake of its prompt cache, while that one answers.",
    )


def _has_url(options: ProviderOptions) -> bool:
    everywhere = bool(options.endpoints) and all(endpoint.base_url for endpoint in options.endpoints)
    return bool(options.base_url) or everywhere


class EmbeddedOptions(Options):
    """embedded"""

    model: str = Field(
        "auto",
        description="The built-in model: `auto` takes qwen2.5-coder-1.5b where memory and disk allow and "
        "gemma-3-270m else; or one of these names, or the path of a GGUF file.",
    )
    auto_pull: bool = Field(
        True,
        description="Download the built-in model at start when no other candidate of a tier is available.",
    )
    context: int = Field(32768, ge=512, description="Context window in tokens.")
    threads: int = Field(0, ge=0, description="Processor threads; 0 takes one per physical core.")
    idle_timeout: Duration = Field(
        900.0, ge=0, description="Unload the model after this silence; 0 never does."
    )


class CacheOptions(Options):
    """optimization.cache"""

    ttl: Duration = Field(86400.0, gt=0, description="A reply that is older is not given again.")
    max_size: Size = Field(
        256 * 1024**2,
        ge=1024**2,
        description="Bytes of all stored replies; those that were not used for longest go first. One reply "
        "takes a quarter of it at most.",
    )
    max_temperature: float = Field(
        0.3,
        ge=0,
        le=2,
        description="Requests that ask for a higher temperature want another answer each time: they are "
        "neither looked up nor are their replies stored. Those that name none are. Claude Code asks for 1: "
        "raise it to that to have its replies stored.",
    )


class HeadroomOptions(Options):
    """optimization.headroom"""

    command: str = Field(
        "headroom",
        min_length=1,
        description="The program of the package `headroom-ai[proxy]`: its name, or its path where it is "
        "installed in an environment of its own. It is started when it is first needed, offline and on "
        "127.0.0.1 alone, and ended with Lynkr.",
    )
    timeout: Duration = Field(
        0.25,
        gt=0,
        le=0.4,
        description="How long it may take for one request; results that are not shortened by then stay "
        "as they are.",
    )


class OptimizationOptions(Options):
    """optimization"""

    pipeline: tuple[StageName, ...] = Field(
        (),
        description="What shortens prompts, in order; nothing does unless it is listed. A request may choose "
        "others by the header x-lynkr-optimize: `off`, or some stages parted by commas.",
    )
    cache: CacheOptions = Field(
        default_factory=CacheOptions,
        description="Replies that are given again to the same request (sha256_lru_cache), while the commit "
        "and the files that it is about are the same. The header x-lynkr-cache may say `refresh` "
        "(ask anew, and store), `no-store` (look up, and store nothing) or `bypass` (neither).",
    )
    headroom: HeadroomOptions = Field(
        default_factory=HeadroomOptions,
        description="The program that shortens results of tools under ml_headroom_sidecar.",
    )


class MemoryOptions(Options):
    """memory"""

    enabled: bool = Field(
        False,
        description="Remember what is said for later sessions of the same project: preferences, "
        "decisions, facts "
        "and fixes. Nothing is kept or put into prompts while it is off; what is there stays until "
        "it is forgotten.",
    )
    storage: str = Field(
        "sqlite://./lynkr.db",
        pattern="^sqlite://.+",
        description="Where memories are kept. A relative path starts at the home folder.",
    )
    scoring: tuple[Literal["surprise", "recency", "relevance"], ...] = Field(
        ("surprise", "recency", "relevance"),
        description="What ranks a memory: how new it was, how long ago it was said, how well it fits "
        "the ask.",
    )
    injection: Literal["context_window_slice", "off"] = Field(
        "context_window_slice",
        description="How memories enter a prompt: `context_window_slice` puts the best few before "
        "the ask, in its "
        "turn, so that prompt caches go on serving; `off` only keeps them.",
    )
    budget: int = Field(400, ge=60, le=8000, description="Tokens that the memories of one ask may take.")
    half_life: Duration = Field(
        30 * 86400.0,
        gt=0,
        description="After this time without being said again, a memory is half as recent.",
    )
    floor: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Surprise below which nothing is kept; 1 keeps only what contradicts a memory.",
    )
    limit: int = Field(
        100_000, ge=100, description="Memories that are kept; beyond it the oldest go, pinned ones last."
    )


class TelemetryOptions(Options):
    """telemetry"""

    storage: str = Field(
        "sqlite://./lynkr.db",
        pattern="^sqlite://.+",
        description="The records of requests. A relative path starts at the home folder.",
    )
    retention: Duration = Field(90 * 86400.0, gt=0, description="Records older than this are deleted.")
    prompts: OffOrDuration = Field(
        None,
        gt=0,
        description="For how long the prompts of requests are stored on the disk, for `lynkr show`: a "
        "duration such as `7d`, or `off`, which deletes those that are there. Secrets are taken out of them.",
    )
    prompts_size: Size = Field(
        256 * 1024**2,
        ge=1024**2,
        description="Bytes of all stored prompts, compressed; the oldest go first.",
    )
    metrics: str = Field("/metrics", pattern="^/", description="Path of the Prometheus metrics.")
    otlp: OtlpOptions = Field(default_factory=OtlpOptions, description="Spans for OpenTelemetry.")
    circuit_breaker: CircuitBreakerOptions = Field(
        default_factory=CircuitBreakerOptions, description="Protection against failing and slow models."
    )
    reload: str = Field(
        "POST /v1/admin/reload", pattern="^POST /", description="Method and path that reload this file."
    )


class LoggingOptions(Options):
    """logging"""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is written."
    )
    max_size: Size = Field(5 * 1024**2, gt=0, description="Size at which the log file is rotated.")
    keep: int = Field(3, ge=1, description="Rotated files that are kept.")


class Config(Options):
    """The whole file."""

    proxy: ProxyOptions = Field(default_factory=ProxyOptions, description="The endpoint.")
    routing: RoutingOptions = Field(default_factory=RoutingOptions, description="Which model answers what.")
    providers: dict[ProviderName, ProviderOptions] = Field(
        default_factory=dict,
        description="Providers by name. The names ollama, embedded, openai, openrouter, azure, anthropic, "
        "vertex and bedrock are there without being listed.",
    )
    embedded: EmbeddedOptions = Field(
        default_factory=EmbeddedOptions, description="The built-in local model."
    )
    optimization: OptimizationOptions = Field(
        default_factory=OptimizationOptions, description="Smaller prompts."
    )
    memory: MemoryOptions = Field(default_factory=MemoryOptions, description="What is remembered.")
    resilience: ResilienceOptions = Field(
        default_factory=ResilienceOptions, description="What is done where providers fail or are slow."
    )
    access: AccessOptions = Field(default_factory=AccessOptions, description="Shared use.")
    budgets: BudgetOptions = Field(
        default_factory=BudgetOptions, description="What may be used and spent; docs/budgets.md."
    )
    sessions: SessionOptions = Field(default_factory=SessionOptions, description="Sessions of agents.")
    telemetry: TelemetryOptions = Field(default_factory=TelemetryOptions, description="Records and metrics.")
    logging: LoggingOptions = Field(default_factory=LoggingOptions, description="The engine's log.")

    def pipeline_for(self, own: tuple[StageName, ...] | None) -> tuple[StageName, ...]:
        """The stages of a profile: its own, or where it has none those of the general option."""
        return self.optimization.pipeline if own is None else own

    def pipelines(self) -> set[tuple[StageName, ...]]:
        """The stages of all profiles."""
        return {
            self.pipeline_for(None),
            *(self.pipeline_for(each.pipeline) for each in self.routing.profiles.values()),
        }

    @model_validator(mode="after")
    def _providers_are_known(self) -> Config:
        """Every provider has a kind, and every model of a tier names a provider that is there."""
        for name, options in self.providers.items():
            kind = options.kind or name
            if kind not in PROVIDER_KINDS:
                raise OptionError(
                    ("providers", name),
                    f"'{name}' needs a `kind`, for instance openai_compatible, since its name is not one",
                    choices=PROVIDER_KINDS,
                    written=name,
                )
            if kind == "embedded" and options.endpoints:
                raise OptionError(("providers", name, "endpoints"), "the built-in models have one endpoint")
            if kind == "openai_compatible" and not _has_url(options):
                raise OptionError(("providers", name), "an openai_compatible provider needs its `base_url`")
        known = tuple(dict.fromkeys((*self.providers, *WELL_KNOWN_PROVIDERS)))
        for tier, tier_options in self.routing.tiers.items():
            for index, written in enumerate(tier_options.providers):
                loc = ("routing", "tiers", tier.value, "providers", index)
                provider, slash, model = written.partition("/")
                if not (provider and slash and model.strip() == model and model):
                    raise OptionError(
                        loc, f"'{written}' must have the form provider/model, as in ollama/auto"
                    )
                if provider not in known:
                    raise OptionError(
                        loc,
                        f"unknown provider '{provider}' in '{written}'; list it under providers to use it",
                        choices=known,
                        written=provider,
                    )
        return self
