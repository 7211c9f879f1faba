"""The learned part of the score: how likely each tier is, by what an ask is about and how it is worded.

`benchmarks/routing/train.py` makes the weights (model.bin) from labelled asks. Four heads give the odds of
the tiers on code of ordinary structure (a softmax regression; that of the first is 0 throughout), from which
the level follows, in tiers (0 to 1 is simple, 3 to 4 reasoning). One more, `fixed`, says how far the
difficulty of an ask does not depend on the code at all, as with a typo or a look-up.

What each feature does to the level is its integrated gradient (Sundararajan, Taly, Yan 2017: "Axiomatic
Attribution for Deep Networks") on the way from an ask without features: these sum to the level.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from operator import mul

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.routing.concepts import NAMES, REASONS
from lynkr_desktop.engine.routing.features import BITS, Features, keys_of

FILE = "model.bin"

CONCEPT, GRAM = 0.5, 1.0
"""How large a concept and all n-grams together are; how far weights are held down depends on it."""

_EASY = frozenset(("define", "lookup", "spelled", "command", "boilerplate", "chat"))
_RISKY_WORK = ("intermittent", "concurrency", "once", "durable", "distributed", "proof", "knot", "strict")
_HARD = frozenset((*_RISKY_WORK, "wide", "migrate", "speed", "cause", "design", "guarded", "stored"))
_RISK = frozenset(("guarded", "stored"))
LIFT, DOUBT = 0.1, 0.15
"""What is added to the mean of the tiers, since too weak a choice costs more than too strong a one; and per
standard deviation of them: the less is known of an ask, the more."""

_USUAL_DOUBT = 0.4
_NOTHING = 1e-9
_STEPS = 12
"""Points of the way at which the gradient is taken."""

_MAX_WORDS = 80
_WEIGHED = 40
"""Words from which those are chosen that a reason names."""

_BARE = 3
"""Words of an ask that says nothing of work when it names neither code nor any known concept."""
_COMBINED = frozenset(
    ("+hard", "+easy", "+hard in easy", "+several hard", "+plain fault", "+loss under constraint")
)


class Head(Struct, frozen=True):
    """Weights: `bias`, one per dense feature, and of the n-grams bytes (signed) times `step`."""

    bias: float
    dense: dict[str, float]
    step: float
    grams: bytes


class Weights(Struct, frozen=True):
    """What model.bin holds, as MessagePack."""

    tiers: tuple[Head, Head, Head]
    fixed: Head


class Part(Struct, frozen=True):
    """What one feature does to the level, in tiers."""

    name: str
    value: float
    effect: float
    reason: str
    risk: bool = False


class Reading(Struct, frozen=True):
    """What the model says of an ask.

    Attributes:
        level: in tiers, the sum of `parts`.
        fixed: from 0, the code decides, to 1, the code does not matter.
        parts: the first is what every ask begins with, the others follow in falling strength.
    """

    level: float
    fixed: float
    parts: tuple[Part, ...]


def dense_of(found: Features) -> dict[str, float]:
    """The features with names; those that are zero are left out."""
    concepts = found.concepts.keys()
    hard, easy = min(4, len(concepts & _HARD)), bool(concepts & _EASY)
    lossy = bool(concepts & {"durable", "once"})
    named = {"§p", "§c", "§u"}
    constrained = bool(concepts & {"strict", "concurrency", "intermittent", "guarded"})
    dense = dict.fromkeys(concepts, CONCEPT)
    dense |= {
        "+hard": CONCEPT * 0.5 * hard,
        "+easy": CONCEPT * easy,
        "+hard in easy": CONCEPT * 0.5 * hard * easy,
        "+several hard": CONCEPT * (hard > 1),
        "+plain fault": CONCEPT * (hard == 0 and "fault" in concepts),
        "+loss under constraint": CONCEPT * (lossy and constrained),
        "+length": 0.25 * math.log1p(min(found.count, _MAX_WORDS)),
        "+question": 0.3 * ("§?" in found.words),
        "+steps": 0.06 * min(found.steps, 5),
        "+pasted": 0.3 * (found.pasted > 100),
        "+path": 0.3 * ("§p" in found.words),
        "+code": 0.3 * ("§c" in found.words),
        "+bare": CONCEPT * (found.count <= _BARE and not concepts and named.isdisjoint(found.words)),
    }
    return {name: value for name, value in dense.items() if value}


class Line:
    """A head, ready for use. Never changes.

    Raises:
        ValueError: it has not as many weights as the features have.
    """

    def __init__(self, head: Head) -> None:
        self.bias, self.dense, self.step = head.bias, head.dense, head.step
        self.grams = array("b", head.grams)
        if len(self.grams) != 1 << BITS:
            raise ValueError("The weights of the routing model have not the size that its features have.")

    def at(self, dense: Mapping[str, float], grams: Mapping[int, float]) -> float:
        """The value for features, with and without names."""
        named = sum([value * self.dense.get(name, 0.0) for name, value in dense.items()])
        return self.bias + named + self.worded(grams)

    def worded(self, grams: Mapping[int, float]) -> float:
        """What the n-grams add to the value."""
        total: float = sum(map(mul, grams.values(), map(self.grams.__getitem__, grams)))
        return GRAM * self.step * total


class Model:
    """Weights, ready for use. Never changes."""

    def __init__(self, weights: Weights) -> None:
        self._tiers = tuple([Line(head) for head in weights.tiers])
        self._fixed = Line(weights.fixed)
        self._start = tuple([line.bias for line in self._tiers])

    def weigh(self, found: Features) -> tuple[float, float]:
        """The level and `fixed` of a reading without its parts, in a third of the time."""
        dense = dense_of(found)
        level = _level([line.at(dense, found.grams) for line in self._tiers])
        return level, chance(self._fixed.at(dense, found.grams))

    def read(self, found: Features) -> Reading:
        """Applies the model; deterministic, some tenths of a millisecond."""
        dense, start = dense_of(found), self._start
        end = tuple([line.at(dense, found.grams) for line in self._tiers])
        pulls = [(line, pull) for line, pull in zip(self._tiers, _gradient(start, end), strict=True)]
        parts: list[Part] = []
        for name, value in dense.items():
            effect = value * sum([pull * line.dense.get(name, 0.0) for line, pull in pulls])
            if name in _COMBINED:
                continue
            if name in REASONS:
                reason = f"{REASONS[name]} ({found.concepts[name][:40]})"
                parts.append(Part(name, 1.0, effect, reason, name in _RISK))
            else:
                parts.append(_shape(name, value, effect, found))
        if words := _wording(found, pulls):
            parts.append(words)
        base, level = _level(start), _level(end)
        # What the steps of the gradient leave over is less than a hundredth of a tier.
        combined = level - base - sum([part.effect for part in parts])
        if abs(combined) > _NOTHING:
            parts.append(Part("together", len(found.concepts), combined, "how these go together"))
        parts.sort(key=lambda part: (-abs(part.effect), part.name))
        parts.insert(0, Part("base", 1.0, base, "what any ask begins with"))
        fixed = self._fixed.at(dense, found.grams)
        return Reading(sum([part.effect for part in parts]), chance(fixed), tuple(parts))


def chance(logit: float) -> float:
    """How likely something is, 0..1, by its log-odds."""
    return 1.0 / (1.0 + math.exp(-min(30.0, max(-30.0, logit))))


def _shares(odds: Sequence[float]) -> list[float]:
    """How likely each tier is, by its log-odds against the first."""
    most = max(0.0, *odds)
    raised = [math.exp(-most), *[math.exp(value - most) for value in odds]]
    whole = sum(raised)
    return [value / whole for value in raised]


def _level(odds: Sequence[float]) -> float:
    shares = _shares(odds)
    mean = sum([rank * share for rank, share in enumerate(shares)])
    spread = sum([(rank - mean) ** 2 * share for rank, share in enumerate(shares)])
    return 0.5 + LIFT + mean + DOUBT * (math.sqrt(spread) - _USUAL_DOUBT)


def _gradient(start: Sequence[float], end: Sequence[float]) -> list[float]:
    """The mean gradient of the level by the log-odds, on the straight way between two points."""
    total = [0.0] * len(start)
    for step in range(_STEPS):
        along = (step + 0.5) / _STEPS
        shares = _shares([a + along * (b - a) for a, b in zip(start, end, strict=True)])
        mean = sum([rank * share for rank, share in enumerate(shares)])
        spread = sum([(rank - mean) ** 2 * share for rank, share in enumerate(shares)])
        slope = DOUBT / (2.0 * math.sqrt(spread)) if spread > _NOTHING else 0.0
        for place, share in enumerate(shares[1:]):
            off = place + 1 - mean
            total[place] += share * (off + slope * (off * off - spread)) / _STEPS
    return total


@cache
def shipped() -> Model:
    """The model that comes with the package; read when it is first asked for."""
    raw = (files(__package__ or "") / FILE).read_bytes()
    return Model(msgspec.msgpack.decode(raw, type=Weights))


def _shape(name: str, value: float, effect: float, found: Features) -> Part:
    """A part for what is not a concept: length, questions, lists, pastes, names of code."""
    match name:
        case "+length":
            words = found.count
            return Part("length", words, effect, f"{words} word{'s' if words != 1 else ''}")
        case "+question":
            return Part("question", 1.0, effect, "is a question")
        case "+steps":
            return Part(
                "steps", found.steps, effect, f"lists {found.steps} point{'s' if found.steps > 1 else ''}"
            )
        case "+pasted":
            return Part("pasted", found.pasted, effect, "brings something pasted")
        case "+bare":
            return Part("bare", found.count, effect, "no more than a word or two")
        case "+path":
            return Part("path", 1.0, effect, "names a file")
        case _:
            return Part("code", value, effect, "names code")


def _wording(found: Features, pulls: Sequence[tuple[Line, float]]) -> Part | None:
    """One part for all n-grams together, with the words that did most in its direction."""
    grams = found.grams
    effect = sum([pull * line.worded(grams) for line, pull in pulls])
    if not effect:
        return None
    words = [word for word in found.words[:_WEIGHED] if len(word) > 2 and not word.startswith("§")]
    (one, a), (two, b), (three, c) = [(line.grams, pull * line.step) for line, pull in pulls]
    strength = {
        word: sum(
            [
                grams[key] * (a * one[key] + b * two[key] + c * three[key])
                for key in keys_of(word)
                if key in grams
            ]
        )
        for word in dict.fromkeys(words)
    }
    sign = 1.0 if effect > 0 else -1.0
    most = sorted(strength, key=lambda word: (-sign * strength[word], word))[:3]
    named = ", ".join(word[:20] for word in most if sign * strength[word] > 0)
    return Part("wording", len(found.grams), effect, f"its wording ({named})" if named else "its wording")


def feature_names() -> tuple[str, ...]:
    """The names of all dense features, in a fixed order; for training."""
    shapes = (
        "+hard,+easy,+hard in easy,+several hard,+plain fault,+loss under constraint,+length,+question,+steps"
    )
    return (*NAMES, *shapes.split(","), "+pasted", "+path", "+code", "+bare")
