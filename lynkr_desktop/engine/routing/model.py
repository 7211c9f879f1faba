"""The learned part of the score: a linear model over what an ask is about and how it is worded.

`benchmarks/routing/train.py` makes the weights (model.bin) from labelled asks. There are two heads over the
same features: `level` says how hard an ask is on code of ordinary structure, in tiers (0 to 1 is simple, 3
to 4 reasoning); `fixed` says how far its difficulty does not depend on the code at all, as with a typo or a
look-up.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from lynkr_desktop.engine.routing.concepts import NAMES, REASONS
from lynkr_desktop.engine.routing.features import BITS, Features, grams_of

FILE = "model.bin"

CONCEPT, GRAM = 0.5, 1.0
"""How large a concept and all n-grams together are; how far weights are held down depends on it."""

_EASY = frozenset(("define", "lookup", "spelled", "command", "boilerplate", "chat"))
_RISKY_WORK = ("intermittent", "concurrency", "once", "durable", "distributed", "proof", "knot", "strict")
_HARD = frozenset((*_RISKY_WORK, "wide", "migrate", "speed", "cause", "design", "guarded", "stored"))
_RISK = frozenset(("guarded", "stored"))
_MAX_WORDS = 80
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

    level: Head
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
        self.grams = memoryview(array("b", head.grams))
        if len(self.grams) != 1 << BITS:
            raise ValueError("The weights of the routing model have not the size that its features have.")

    def at(self, dense: Mapping[str, float], grams: Mapping[int, float]) -> float:
        """The value for features, with and without names."""
        named = sum([value * self.dense.get(name, 0.0) for name, value in dense.items()])
        worded = sum([value * self.grams[key] for key, value in grams.items()])
        return self.bias + named + GRAM * self.step * worded


class Model:
    """Weights, ready for use. Never changes."""

    def __init__(self, weights: Weights) -> None:
        self._level, self._fixed = Line(weights.level), Line(weights.fixed)

    def read(self, found: Features) -> Reading:
        """Applies the model; deterministic, some hundredths of a millisecond."""
        dense = dense_of(found)
        parts = [Part("base", 1.0, self._level.bias, "what any ask begins with")]
        combined = 0.0
        for name, value in dense.items():
            effect = value * self._level.dense.get(name, 0.0)
            if name in _COMBINED:
                combined += effect
            elif name in REASONS:
                reason = f"{REASONS[name]} ({found.concepts[name][:40]})"
                parts.append(Part(name, 1.0, effect, reason, name in _RISK))
            else:
                parts.append(_shape(name, value, effect, found))
        if combined:
            parts.append(Part("together", len(found.concepts), combined, "how these go together"))
        if words := _wording(found, self._level.grams, self._level.step):
            parts.append(words)
        rest = sorted(parts[1:], key=lambda part: (-abs(part.effect), part.name))
        fixed = self._fixed.at(dense, found.grams)
        return Reading(sum([part.effect for part in parts]), min(1.0, max(0.0, fixed)), (parts[0], *rest))


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


def _wording(found: Features, weights: memoryview, step: float) -> Part | None:
    """One part for all n-grams together, with the words that did most in its direction."""
    effect = GRAM * step * sum([value * weights[key] for key, value in found.grams.items()])
    if not effect:
        return None
    strength: dict[str, float] = {}
    for word in found.words:
        if len(word) > 2 and not word.startswith("§") and word not in strength:
            strength[word] = sum([weight * weights[key] for key, weight in grams_of(word)])
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
