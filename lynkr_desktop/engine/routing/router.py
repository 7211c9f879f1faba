"""From a request to the models that may answer it, in order, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from lynkr_desktop.engine.config.schema import RoutingOptions
from lynkr_desktop.engine.routing.score import Score, score
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.engine.wire.errors import WireError
from lynkr_desktop.protocol.tiers import TIERS, Tier

AUTO = "auto-route"


class Target(Struct, frozen=True):
    """One model of one provider; `tier` is the tier that it stands in."""

    provider: str
    model: str
    tier: Tier | None

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


class Decision(Struct, frozen=True):
    """Where a request may go.

    Attributes:
        tier: the tier that was chosen, None for a model that the client named itself.
        targets: the models to try, best first.
        reason: one line for `x-lynkr-route-reason`.
        score: None where no score was needed.
    """

    tier: Tier | None
    targets: tuple[Target, ...]
    reason: str
    score: Score | None = None


@dataclass(slots=True)
class Router:
    """Decides by the score, the tiers of the configuration, and what a person switched off.

    Attributes:
        options: the routing part of the configuration.
        known: bare model names that clients may use, to the provider that has them.
        providers: the names of the configured providers.
        switched: tiers that a person switched on or off, over the configuration's own setting.
    """

    options: RoutingOptions
    providers: frozenset[str]
    known: Mapping[str, str] = field(default_factory=dict)
    switched: Mapping[Tier, bool] = field(default_factory=dict)
    _plans: dict[tuple[object, ...], tuple[tuple[Tier, ...], tuple[Target, ...]]] = field(
        default_factory=dict, init=False
    )

    def enabled(self, tier: Tier) -> bool:
        """Whether the tier takes requests."""
        options = self.options.tiers.get(tier)
        return options is not None and self.switched.get(tier, options.enabled)

    def decide(self, request: Request, pinned: str = "") -> Decision:
        """Decides for a request; `pinned` is the value of the x-lynkr-tier header.

        Raises:
            WireError: 400 for a tier that does not exist, 503 when every tier is switched off.
        """
        model = request.model
        if pinned or model.startswith("tier:"):
            asked = _tier(pinned or model.removeprefix("tier:"))
            return self._from(asked, f"the client asked for tier {asked}", None)
        if (target := self.concrete(model)) is not None:
            return Decision(None, (target,), f"the client asked for {target.name}")
        measured = score(request)
        wanted = self._tier_of(measured.value)
        return self._from(wanted, f"score {measured.value:.2f}: {measured.reason}", measured)

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

    def _from(self, wanted: Tier, why: str, measured: Score | None) -> Decision:
        order, targets = self._plan(wanted)
        if not order:
            raise WireError(
                "Every tier is switched off. Switch one on in the tray menu.", status=503, kind="unavailable"
            )
        tier = order[0]
        if tier is not wanted:
            state = "switched off" if wanted in self.options.tiers else "not configured"
            why = f"{why}; {wanted} is {state}, so {tier}"
        return Decision(tier, targets, why, measured)

    def _plan(self, wanted: Tier) -> tuple[tuple[Tier, ...], tuple[Target, ...]]:
        """The tiers in their order with their models, each once; few plans exist, so they are kept."""
        key = (wanted, *self.switched.items())
        if (known := self._plans.get(key)) is not None:
            return known
        order = self._order(wanted)
        targets: dict[str, Target] = {}
        for place in order:
            for name in self.options.tiers[place].providers:
                provider, _, model = name.partition("/")
                targets.setdefault(name, Target(provider, model, place))
        self._plans[key] = order, tuple(targets.values())
        return self._plans[key]

    def _order(self, wanted: Tier) -> tuple[Tier, ...]:
        """The enabled tiers: the wanted one, then up, then down; a switched-off one leans as configured."""
        rank = wanted.rank
        up, down = TIERS[rank + 1 :], tuple(reversed(TIERS[:rank]))
        lean: Sequence[Tier] = up + down
        if not self.enabled(wanted) and self.options.disabled_tier == "down":
            lean = down + up
        return tuple(tier for tier in (wanted, *lean) if self.enabled(tier))


def _tier(name: str) -> Tier:
    try:
        return Tier(name.strip().lower())
    except ValueError as error:
        names = ", ".join(TIERS)
        message = f"There is no tier {name.strip()[:40]!r}. The tiers are {names}."
        raise WireError(message, status=400, kind="invalid_request", param="model") from error
