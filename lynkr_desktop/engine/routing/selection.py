"""Which models of a tier are asked, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from lynkr_desktop.engine.providers.base import Availability, Provider
from lynkr_desktop.engine.routing.decision import Target
from lynkr_desktop.engine.routing.profile import Profile
from lynkr_desktop.engine.routing.spread import Spread
from lynkr_desktop.engine.telemetry.prices import Prices, Seller
from lynkr_desktop.engine.wire.canonical import Need, Usage
from lynkr_desktop.engine.wire.errors import Unsupported, WireError

_USUAL = Usage(input_tokens=10_000, output_tokens=1_000)
"""What prices are compared by: agents send much and get little."""

_UNKNOWN = float("inf")

_CERTAINLY_TOO_LONG = 6.0
"""Bytes of JSON a token. Text has fewer, so that a prompt which fits is never left out."""

SHORT = 20_000
"""Bytes that every model takes."""

_CANNOT: dict[Need, tuple[str, str]] = {
    "tools": ("call tools", "tools"),
    "vision": ("see images", "messages"),
}
"""What a model without the capability cannot do, and which field of the request asks for it."""


class Wants(Struct, frozen=True):
    """What a request asks of a model.

    Attributes:
        needs: what it must be able to do.
        size: bytes of its text.
        own_key: the client brought a key of its own.
        fits: it is made to fit the model's window before it is sent.
        conversation: names the one that it belongs to, where a provider has several endpoints; see
            `spread.conversation_of`.
    """

    needs: frozenset[Need] = frozenset()
    size: int = 0
    own_key: bool = False
    fits: bool = False
    conversation: str = ""


class Choice(Struct, frozen=True):
    """A model that can be asked now.

    Attributes:
        target: with the concrete name of the model.
        provider: that has it: the endpoint, where it has several.
        state: see `Availability`.
        window: tokens that it takes, None where that is not known.
    """

    target: Target
    provider: Provider
    state: str
    window: int | None = None


class Skipped(Struct, frozen=True):
    """A model that is not asked, and the error that says why."""

    target: Target
    error: WireError


class Quickness:
    """How soon models began to answer, as a moving average. It lives as long as the engine."""

    _WEIGHT = 0.2
    _MOST = 1000

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def observe(self, name: str, seconds: float) -> None:
        """Takes the time to the first token of `provider/model`, or to the end of a whole answer."""
        known = self._seconds.get(name)
        if known is None and len(self._seconds) >= self._MOST:
            return
        self._seconds[name] = seconds if known is None else known + self._WEIGHT * (seconds - known)

    def of(self, name: str) -> float:
        """Seconds; 0 for a model that nothing is known of, so that it gets its first chance."""
        return self._seconds.get(name, 0.0)


class Turns:
    """Whose turn it is, smoothly by weight (as in nginx's upstreams). It lives as long as the engine."""

    def __init__(self) -> None:
        self._current: dict[str, float] = {}

    def order(self, names: Sequence[str], weights: Mapping[str, float], *, take: bool = True) -> list[str]:
        """The names, the one whose turn it is first; the others follow by what they are owed.

        Args:
            names: of those that can be taken.
            weights: how often a name is taken beside the others, 1 where it is not listed.
            take: whether the first one takes its turn.
        """
        shares = {name: weights.get(name, 1.0) for name in names}
        owed = {name: self._current.get(name, 0.0) + weight for name, weight in shares.items()}
        ranked = sorted(shares, key=lambda name: -owed[name])
        if take:
            owed[ranked[0]] -= sum(shares.values())
            self._current.update(owed)
        return ranked


class Selection:
    """Ranks the models of one tier.

    Args:
        providers: by name.
        weights: of round_robin, by `provider/model`.
        prices: what models cost.
        quickness: how soon they answered.
        turns: whose turn it is.
        replicas: all endpoints of the providers that have several, by the provider's name.
        spread: orders them.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        weights: Mapping[str, float],
        prices: Prices,
        quickness: Quickness,
        turns: Turns,
        replicas: Mapping[str, Sequence[Provider]] = MappingProxyType({}),
        spread: Spread | None = None,
    ) -> None:
        self._providers = providers
        self._weights = weights
        self._prices = prices
        self._quickness = quickness
        self._turns = turns
        self._replicas = {name: tuple(found) for name, found in replicas.items() if len(found) > 1}
        self._spread = spread

    @property
    def spreads(self) -> bool:
        """Whether a provider has several endpoints."""
        return bool(self._replicas)

    async def rank(
        self, targets: Sequence[Target], wants: Wants, profile: Profile, *, earnest: bool = True
    ) -> tuple[list[Choice], list[Skipped]]:
        """Those of one tier that can be asked, best first, and the others with the reason.

        Args:
            targets: as the configuration lists them.
            wants: what the request needs.
            profile: the profile in force for it.
            earnest: whether one of them is asked then; if not, nobody's turn passes.
        """
        groups: list[list[Choice]] = []
        skipped: list[Skipped] = []
        for target in targets:
            group, error = await self._choices(target, wants, profile, earnest)
            if error is None:
                groups.append(group)
            else:
                skipped.append(Skipped(target, error))
        if len(groups) > 1:
            groups = self._by_policy(groups, profile, earnest)
            groups.sort(key=lambda group: _local_rank(group[0], profile))
        return [choice for group in groups for choice in group], skipped

    async def _choices(
        self, target: Target, wants: Wants, profile: Profile, earnest: bool
    ) -> tuple[list[Choice], WireError | None]:
        """The endpoints of a model that can be asked, best first; where none can, why the best one cannot."""
        endpoints: Sequence[Provider] = (self._providers[target.provider],)
        if self._spread is not None and (several := self._replicas.get(target.provider)):
            endpoints = self._spread.order(several, target.model, wants.conversation, take=earnest)
        choices: list[Choice] = []
        why: WireError | None = None
        for provider in endpoints:
            choice, error = await self._choice(target, provider, wants, profile)
            if error is None:
                choices.append(choice)
            why = why or error
        return choices, None if choices else why

    async def _choice(
        self, target: Target, provider: Provider, wants: Wants, profile: Profile
    ) -> tuple[Choice, WireError | None]:
        """A model at one endpoint, and why it cannot be asked, None where it can."""
        if profile.local_only and not provider.on_this_machine:
            return Choice(target, provider, "unavailable"), _elsewhere(target, profile)
        found = await provider.availability(target.model, wants.needs)
        concrete = target
        if found.model and found.model != target.model:
            concrete = Target(target.provider, found.model, target.tier)
        window = self._window(concrete, provider, found) if wants.size > SHORT else None
        choice = Choice(concrete, provider, found.state, window)
        return choice, _unfit(concrete, provider.kind, found, wants, profile) or _too_long(choice, wants)

    def _by_policy(self, groups: list[list[Choice]], profile: Profile, earnest: bool) -> list[list[Choice]]:
        match profile.policy:
            case "order":
                return groups
            case "cost":
                return sorted(groups, key=lambda group: self._price(group[0]))
            case "latency":
                return sorted(groups, key=lambda group: self._quickness.of(group[0].target.name))
            case "round_robin":
                by_name = {group[0].target.name: group for group in groups}
                order = self._turns.order(list(by_name), self._weights, take=earnest)
                return [by_name[name] for name in order]

    def _price(self, choice: Choice) -> float:
        """US dollars for a usual request; a model without a known price comes last."""
        if choice.provider.free:
            return 0.0
        cost = self._prices.cost(_seller(choice.provider), choice.target.model, _USUAL)
        return _UNKNOWN if cost is None else cost

    def _window(self, target: Target, provider: Provider, found: Availability) -> int | None:
        if found.context_length is not None:
            return found.context_length
        return self._prices.context_window(_seller(provider), target.model)


def _seller(provider: Provider) -> Seller:
    return Seller(provider.kind, provider.name, provider.base_url)


def _too_long(choice: Choice, wants: Wants) -> WireError | None:
    if choice.window is None or wants.fits or wants.size <= choice.window * _CERTAINLY_TOO_LONG:
        return None
    return Unsupported(
        f"The request is too long for {choice.target.name}, which takes {choice.window:,} tokens. "
        "Shorten the conversation, or use a model with a larger context.",
        "messages",
    )


def _local_rank(choice: Choice, profile: Profile) -> int:
    """Models of this machine first, those of Ollama before others, as far as the profile prefers them."""
    if not choice.provider.local or profile.prefer_local == "never":
        return 2
    if profile.prefer_local == "when_loaded" and choice.state != "loaded":
        return 2
    return 0 if choice.provider.kind == "ollama" else 1


def _unfit(
    target: Target, kind: str, found: Availability, wants: Wants, profile: Profile
) -> WireError | None:
    """Why a model cannot take the request, None where it can as far as is known."""
    if not found.usable and not (found.own_key_helps and wants.own_key):
        status, said = (404, "not_found") if found.missing else (503, "unavailable")
        return WireError(found.reason, status=status, kind=said)
    if profile.local_only and found.remote:
        return _elsewhere(target, profile)
    if found.capabilities is not None:
        for need in sorted(wants.needs - found.capabilities):
            what, field = _CANNOT[need]
            listed = " (`ollama show` lists it)" if kind == "ollama" else ""
            return Unsupported(
                f"{target.name} cannot {what}. Choose a model with the {need} capability{listed}.", field
            )
    return None


def _elsewhere(target: Target, profile: Profile) -> WireError:
    return WireError(
        f"{target.name} is not on this machine, and the profile {profile.name} allows no other.",
        status=403,
        kind="permission",
    )
