"""From a request to the models that may answer it, in order, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lynkr_desktop.engine.config.schema import RoutingOptions
from lynkr_desktop.engine.routing.decision import Decision, Target
from lynkr_desktop.engine.routing.profile import Profile, for_request, profile_of
from lynkr_desktop.engine.routing.score import Score, score
from lynkr_desktop.engine.switches import Switches
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.tiers import TIERS, Tier

AUTO = "auto-route"


@dataclass(slots=True)
class Router:
    """Decides by the score, the tiers of the configuration, and what a person switched off.

    Attributes:
        options: the routing part of the configuration.
        known: bare model names that clients may use, to the provider that has them.
        providers: the names of the configured providers.
        switches: what a person switched, over the configuration's own setting.
    """

    options: RoutingOptions
    providers: frozenset[str]
    known: Mapping[str, str] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    _plans: dict[tuple[object, ...], tuple[tuple[Tier, ...], tuple[Target, ...]]] = field(
        default_factory=dict, init=False
    )

    @property
    def profile(self) -> Profile:
        """The profile in force: the one that a person switched to, if it is there, else the configured one."""
        found = profile_of(self.options, self.switches.profile) if self.switches.profile else None
        found = found or profile_of(self.options, self.options.profile)
        assert found is not None  # the schema has checked it
        return found

    def enabled(self, tier: Tier, profile: Profile | None = None) -> bool:
        """Whether the tier takes requests, under the profile in force or another."""
        options = self.options.tiers.get(tier)
        if options is None or not self.switches.tiers.get(tier, options.enabled):
            return False
        tiers = (profile or self.profile).tiers
        return not tiers or tier in tiers

    def decide(self, request: Request, headers: Mapping[str, str]) -> Decision:
        """Decides for a request.

        Args:
            request: the request.
            headers: the client's own; `x-lynkr-tier` pins a tier, `x-lynkr-profile` names a profile.

        Raises:
            WireError: 400 for a tier or profile that does not exist, 503 when every tier is switched off.
        """
        model = request.model
        profile = self.profile_for(headers)
        pinned = headers.get("x-lynkr-tier", "")
        if pinned or model.startswith("tier:"):
            asked = _tier(pinned or model.removeprefix("tier:"))
            return self._from(asked, f"the client asked for tier {asked}", profile, None)
        if (target := self.concrete(model)) is not None:
            return self.named(target, headers)
        measured = score(request)
        wanted = self._tier_of(measured.value)
        return self._from(wanted, f"score {measured.value:.2f}: {measured.reason}", profile, measured)

    def named(self, target: Target, headers: Mapping[str, str]) -> Decision:
        """The decision for a model that the client named itself. Raises `WireError` as `decide`."""
        return Decision(None, (target,), f"the client asked for {target.name}", self.profile_for(headers))

    def profile_for(self, headers: Mapping[str, str]) -> Profile:
        """The profile of a request, which `x-lynkr-profile` may name. Raises `WireError` 400 for an unknown one."""
        return for_request(self.options, self.profile, headers.get("x-lynkr-profile", ""))

    def concrete(self, model: str) -> Target | None:
        """The target of a concrete model name, None when the name asks for routing."""
        provider, slash, rest = model.partition("/")
        if slash and rest and provider in self.providers:
            return Target(provider, rest, None)
        if model in self.known:
            return Target(self.known[model], model, None)
        return None

    def _tier_of(self, value: float) -> Tier:
        last: Tier | None = None
        for tier in TIERS:
            if (options := self.options.tiers.get(tier)) is not None:
                last = tier
                if value <= options.max_complexity:
                    break
        assert last is not None  # the schema wants at least one tier
        return last

    def _from(self, wanted: Tier, why: str, profile: Profile, measured: Score | None) -> Decision:
        order, targets = self._plan(wanted, profile)
        if not order:
            raise WireError(
                "Every tier is switched off. Switch one on in the tray menu.", status=503, kind="unavailable"
            )
        tier = order[0]
        if tier is not wanted:
            why = f"{why}; {wanted} is {self._why_not(wanted, profile)}, so {tier}"
        return Decision(tier, targets, why, profile, measured)

    def _why_not(self, tier: Tier, profile: Profile) -> str:
        if tier not in self.options.tiers:
            return "not configured"
        if profile.tiers and tier not in profile.tiers:
            return f"not in the profile {profile.name}"
        return "switched off"

    def _plan(self, wanted: Tier, profile: Profile) -> tuple[tuple[Tier, ...], tuple[Target, ...]]:
        """The tiers in their order with their models, each once; few plans exist, so they are kept."""
        key = (wanted, profile.name, *self.switches.tiers.items())
        if (known := self._plans.get(key)) is not None:
            return known
        order = self._order(wanted, profile)
        targets: dict[str, Target] = {}
        for place in order:
            for name in self.options.tiers[place].providers:
                provider, _, model = name.partition("/")
                targets.setdefault(name, Target(provider, model, place))
        self._plans[key] = order, tuple(targets.values())
        return self._plans[key]

    def _order(self, wanted: Tier, profile: Profile) -> tuple[Tier, ...]:
        """The enabled tiers: the wanted one, then up, then down; a switched-off one leans as configured."""
        rank = wanted.rank
        up, down = TIERS[rank + 1 :], tuple(reversed(TIERS[:rank]))
        lean: Sequence[Tier] = up + down
        if not self.enabled(wanted, profile) and self.options.disabled_tier == "down":
            lean = down + up
        return tuple(tier for tier in (wanted, *lean) if self.enabled(tier, profile))


def _tier(name: str) -> Tier:
    try:
        return Tier(name.strip().lower())
    except ValueError as error:
        names = ", ".join(TIERS)
        message = f"There is no tier {name.strip()[:40]!r}. The tiers are {names}."
        raise WireError(message, status=400, kind="invalid_request", param="model") from error
