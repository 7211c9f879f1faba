"""From a request to the models that may answer it, tier by tier, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lynkr_desktop.engine.analysis.index import Touched
from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.config.schema import RoutingOptions
from lynkr_desktop.engine.routing.ask import Ask, read_ask
from lynkr_desktop.engine.routing.decision import Decision, Grounds, Target
from lynkr_desktop.engine.routing.experiment import draw
from lynkr_desktop.engine.routing.mentions import look_up
from lynkr_desktop.engine.routing.metrics import only
from lynkr_desktop.engine.routing.profile import Profile, for_request, profiles_of
from lynkr_desktop.engine.routing.score import score
from lynkr_desktop.engine.routing.sessions import Sessions
from lynkr_desktop.engine.routing.side import side_request
from lynkr_desktop.engine.routing.workspace import workspace_of
from lynkr_desktop.engine.switches import Switches
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.routing import ExperimentArm
from lynkr_desktop.protocol.tiers import TIERS, Tier

AUTO = "auto-route"

_NO_ARM: ExperimentArm = ""
_ALL: frozenset[Tier] = frozenset()


class Asking(NamedTuple):
    """A request with what is known of it beside its body.

    Attributes:
        request: the request.
        headers: the client's own: `x-lynkr-tier` pins a tier, `x-lynkr-profile` names a profile,
            `x-lynkr-workspace` a folder.
        session: the client's own name for the conversation, empty where it gives none.
        id: of the request; empty where nothing is asked in earnest: then nothing is remembered of it.
        tiers: that the caller's access key may use; empty for all.
    """

    request: Request
    headers: Mapping[str, str] = MappingProxyType({})
    session: str = ""
    id: str = ""
    tiers: frozenset[Tier] = _ALL


class _Plan(NamedTuple):
    """The first tier that takes requests, None where none does, and the models to try, each once."""

    tier: Tier | None
    steps: tuple[tuple[Target, ...], ...]


@dataclass(slots=True)
class Router:
    """Decides by the score, the tiers of the configuration, and what a person switched off.

    Attributes:
        options: the routing part of the configuration.
        known: bare model names that clients may use, to the provider that has them.
        providers: the names of the configured providers.
        switches: what a person switched, over the configuration's own setting.
        sessions: the tiers of the conversations.
        workspaces: the code that requests are about, None where none is indexed.
    """

    options: RoutingOptions
    providers: frozenset[str]
    known: Mapping[str, str] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    sessions: Sessions = field(default_factory=Sessions)
    workspaces: Workspaces | None = None
    _plans: dict[tuple[object, ...], _Plan] = field(default_factory=dict, init=False)
    _profiles: dict[str, Profile] = field(init=False)
    _limits: tuple[tuple[Tier, float], ...] = field(init=False)
    """The highest score of each configured tier, the weakest first."""
    _workspace: Path | None = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        self._profiles = profiles_of(options)
        tiers = [tier for tier in TIERS if tier in options.tiers]
        self._limits = tuple((tier, options.tiers[tier].max_complexity) for tier in tiers)
        self._workspace = Path(options.workspace).expanduser() if options.workspace else None

    @property
    def profile(self) -> Profile:
        """The profile in force: the one that a person chose, if it is there, else the configured one."""
        return self._profiles.get(self.switches.profile) or self._profiles[self.options.profile]

    def enabled(self, tier: Tier, profile: Profile | None = None, only: frozenset[Tier] = _ALL) -> bool:
        """Whether the tier takes requests, under the profile in force or another.

        Args:
            tier: in question.
            profile: None for the one in force.
            only: the tiers that the caller may use; empty for all.
        """
        options = self.options.tiers.get(tier)
        if options is None or not self.switches.tiers.get(tier, options.enabled):
            return False
        tiers = (profile or self.profile).tiers
        return (not tiers or tier in tiers) and (not only or tier in only)

    def decide(self, asking: Asking) -> Decision:
        """Decides for a request. Takes a few milliseconds at most, and waits for nothing.

        Raises:
            WireError: 400 for a tier or profile that does not exist, 403 for a model that the caller may not
                use, 503 when every tier is switched off.
        """
        model = asking.request.model
        profile = self.profile_for(asking.headers)
        pinned = asking.headers.get("x-lynkr-tier", "")
        if pinned or model.startswith("tier:"):
            asked = _tier(pinned or model.removeprefix("tier:"))
            why = f"the client asked for tier {asked}"
            return self._from(asked, why, profile, pinned=asked, only=asking.tiers)
        if (target := self.concrete(model)) is not None:
            return self.named(target, asking.headers, asking.tiers)
        return self._by_score(asking, profile)

    def named(self, target: Target, headers: Mapping[str, str], only: frozenset[Tier] = _ALL) -> Decision:
        """The decision for a model that the client named itself. Raises `WireError` as `decide`."""
        tiers = self.options.tiers
        if only and not self._stands_in(target, only):
            names = ", ".join(tier for tier in TIERS if tier in only)
            raise WireError(
                f"This access key may use the models of the tiers {names}, and {target.name} is none of "
                f"them. Ask for one that is, or for {AUTO}.",
                status=403,
                kind="permission",
                param="model",
            )
        wanted = next(
            (tier for tier in TIERS if tier in tiers and target.name in tiers[tier].providers), None
        )
        reason = f"the client asked for {target.name}"
        return Decision(None, ((target,),), reason, self.profile_for(headers), wanted=wanted)

    def _stands_in(self, target: Target, only: frozenset[Tier]) -> bool:
        """Whether a model is one of these tiers; `auto` stands for every model of its provider."""
        names = {target.name, f"{target.provider}/auto"}
        tiers = self.options.tiers
        return any(not names.isdisjoint(tiers[tier].providers) for tier in only if tier in tiers)

    def profile_for(self, headers: Mapping[str, str]) -> Profile:
        """The profile of a request, which `x-lynkr-profile` may name. Raises `WireError` 400."""
        asked = headers.get("x-lynkr-profile")
        return for_request(self._profiles, self.profile, asked) if asked else self.profile

    def concrete(self, model: str) -> Target | None:
        """The target of a concrete model name, None when the name asks for routing."""
        provider, slash, rest = model.partition("/")
        if slash and rest and provider in self.providers:
            return Target(provider, rest, None)
        if model in self.known:
            return Target(self.known[model], model, None)
        return None

    # ------------------------------------------------------------ by the score

    def _by_score(self, asking: Asking, profile: Profile) -> Decision:
        """The tier of the score, unless the experiment or what the conversation is at says otherwise."""
        request = asking.request
        side = side_request(request)
        ask = read_ask(request)
        if side is not None:
            return self._from(side.tier, side.why, profile, Grounds(ask=ask, side=side), only=asking.tiers)
        workspace, touched = self._touched(asking, ask)
        measured = score(ask, touched)
        scored = self._tier_of(measured.value)
        reason = f"score {measured.value:.2f}: {measured.reason}"
        options = self.options
        taken, propensity, arm, sticky = scored, 1.0, _NO_ARM, ""
        if options.experiment.share:
            limits = [
                (tier, options.tiers[tier].max_complexity)
                for tier in TIERS
                if self.enabled(tier, profile, asking.tiers)
            ]
            key = asking.session or ask.first or asking.id
            drawn = draw(measured.value, limits, options.experiment.share, options.experiment.margin, key)
            taken, propensity, arm = drawn.tier, drawn.propensity, drawn.arm
        if options.sticky.enabled:
            settle = self.sessions.settle if asking.id else self.sessions.peek
            settled = settle(asking.session, ask, taken)
            sticky = settled.why
            if settled.tier is not taken:
                taken, propensity, arm = settled.tier, 1.0, _NO_ARM
        if taken is not scored:
            reason += f"; {sticky}" if sticky else f"; {taken} by the experiment"
        grounds = Grounds(
            ask=ask,
            score=measured,
            scored_tier=scored,
            workspace=workspace,
            touched=touched,
            sticky=sticky,
            propensity=propensity,
            arm=arm,
        )
        return self._from(taken, reason, profile, grounds, only=asking.tiers)

    def _touched(self, asking: Asking, ask: Ask) -> tuple[str, Touched | None]:
        """The workspace of a request, and the code of it that the request names."""
        found = workspace_of(asking.request, asking.headers, self._workspace)
        if found is None:
            return "", None
        path = found.path
        index = self.workspaces.at(path) if self.workspaces is not None and path is not None else None
        if index is None:
            return found.folder, None
        touched = look_up(index, asking.request, ask)
        return found.folder, only(touched, self.options.analysis.graphify.metrics)

    def _tier_of(self, value: float) -> Tier:
        for tier, limit in self._limits:
            if value <= limit:
                return tier
        return self._limits[-1][0]  # the schema wants at least one tier

    # ------------------------------------------------------------ tiers

    def _from(
        self,
        wanted: Tier,
        why: str,
        profile: Profile,
        grounds: Grounds | None = None,
        pinned: Tier | None = None,
        only: frozenset[Tier] = _ALL,
    ) -> Decision:
        plan = self._plan(wanted, profile, only)
        if plan.tier is None:
            if only:
                raise WireError(
                    f"None of the tiers that this access key may use ({', '.join(sorted(only))}) takes "
                    "requests now: they are switched off, not configured, or not in the profile.",
                    status=403,
                    kind="permission",
                )
            raise WireError(
                "Every tier is switched off. Switch one on in the tray menu.", status=503, kind="unavailable"
            )
        if plan.tier is not wanted:
            why = f"{why}; {wanted} is {self._why_not(wanted, profile, only)}, so {plan.tier}"
        return Decision(plan.tier, plan.steps, why, profile, grounds, pinned)

    def _why_not(self, tier: Tier, profile: Profile, only: frozenset[Tier]) -> str:
        if tier not in self.options.tiers:
            return "not configured"
        if profile.tiers and tier not in profile.tiers:
            return f"not in the profile {profile.name}"
        if only and tier not in only:
            return "not open to this access key"
        return "switched off"

    def _plan(self, wanted: Tier, profile: Profile, only: frozenset[Tier]) -> _Plan:
        """The tiers in their order with their models; few plans exist, so they are kept."""
        key = (wanted, profile.name, only, *self.switches.tiers.items())
        if (known := self._plans.get(key)) is not None:
            return known
        order = self._order(wanted, profile, only)
        seen: set[str] = set()
        steps: list[tuple[Target, ...]] = []
        for tier in order:
            named = [name for name in self.options.tiers[tier].providers if name not in seen]
            seen.update(named)
            targets = [Target(*_split(name), tier) for name in dict.fromkeys(named)]
            if targets:
                steps.append(tuple(targets))
        plan = self._plans[key] = _Plan(order[0] if order else None, tuple(steps))
        return plan

    def _order(self, wanted: Tier, profile: Profile, only: frozenset[Tier]) -> tuple[Tier, ...]:
        """The enabled tiers: the wanted one, then up, then down; a switched-off one leans as configured."""
        rank = wanted.rank
        up, down = TIERS[rank + 1 :], tuple(reversed(TIERS[:rank]))
        lean: Sequence[Tier] = up + down
        if not self.enabled(wanted, profile, only) and self.options.disabled_tier == "down":
            lean = down + up
        return tuple(tier for tier in (wanted, *lean) if self.enabled(tier, profile, only))


def _split(name: str) -> tuple[str, str]:
    provider, _, model = name.partition("/")
    return provider, model


def _tier(name: str) -> Tier:
    try:
        return Tier(name.strip().lower())
    except ValueError as error:
        all_names = ", ".join(TIERS)
        message = f"There is no tier {name.strip()[:40]!r}. The tiers are {all_names}."
        raise WireError(message, status=400, kind="invalid_request", param="model") from error
