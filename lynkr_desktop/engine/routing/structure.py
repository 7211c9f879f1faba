"""How the structure of the code that an ask touches moves its difficulty, by up to 0.8 tiers down or up.

A leaf (simple functions, depends on next to nothing) makes an ask about it easier; a tangled module (a
function that branches a lot, or branches and stands in a cycle, or branches and carries much of the code)
makes it harder. Each metric moves it one way only: more complexity, depth, cycles, dependants, or less
cohesion never make an ask easier. From a leaf to tangled code it is more than one tier, so the same words
about the one and about the other come out in different tiers.
"""

from __future__ import annotations

from msgspec import Struct

from lynkr_desktop.engine.analysis.index import Touched
from lynkr_desktop.protocol.code import FileMetrics

_LEAF_COMPLEXITY = 4
_LEAF_DEPTH = 1
_TANGLED_COMPLEXITY = 20
_BRANCHING = 10
"""McCabe's own limit for a function; from here on a cycle or many dependants tangle."""

_MOST = 0.8
"""Tiers that a leaf takes off and tangled code puts on. With a whole one each more asks about leaves come out
too easy and more about tangled code too hard, by authors that nothing was learned from."""


class Metric(Struct, frozen=True):
    """What one metric of one file adds, in tiers."""

    name: str
    value: float
    effect: float
    reason: str


class Structure(Struct, frozen=True):
    """The move by the worst file that an ask touches, in tiers (-0.8..0.8), and the metrics that make it."""

    move: float
    metrics: tuple[Metric, ...]


def structure_of(touched: Touched | None) -> Structure | None:
    """Judges what an ask touches, None where nothing that it names was found.

    A named function counts half with its own complexity and half with that of its file's worst function: it
    is read and changed among the others.
    """
    if touched is None or not touched.files:
        return None
    named: dict[str, int] = {}
    for symbol in touched.symbols:
        named[symbol.path] = max(named.get(symbol.path, 0), symbol.complexity)
    code = [file for file in touched.files if not file.test] or list(touched.files)
    return max(
        (_of(file, named.get(file.path), touched.complete) for file in code), key=lambda found: found.move
    )


def _of(file: FileMetrics, named: int | None, complete: bool) -> Structure:
    complexity = float(file.cyclomatic_max) if named is None else (named + file.cyclomatic_max) / 2
    # Between a leaf and ordinary code.
    lifted = (
        _ramp(complexity, _LEAF_COMPLEXITY, _LEAF_COMPLEXITY + 2)
        + 0.6 * max(0, file.depth - _LEAF_DEPTH)
        + (file.component > 1)
        + 0.3 * _ramp(file.cyclomatic_sum, 25, 60)
        + 0.3 * _ramp(file.lcom4, 2, 6) * _ramp(complexity, 2, 5)
    )
    leaf = _MOST * (min(1.0, lifted) - 1.0)
    if not complete:  # without the graph nobody knows whether it is one
        leaf *= 0.5
    # Between ordinary and tangled code.
    branching = _ramp(complexity, 6, _BRANCHING)
    parts = {
        "complexity": _ramp(complexity, _BRANCHING, _TANGLED_COMPLEXITY)
        + 0.4 * _ramp(file.cyclomatic_sum, 60, 160),
        "cycle": branching * (file.component > 1),
        "blast radius": branching * max(_ramp(file.blast_1, 3, 9), 0.6 * _ramp(file.blast, 12, 40)),
        "depth": branching * 0.2 * _ramp(file.depth, 3, 9),
        "cohesion": branching * 0.2 * max(_ramp(file.lcom4, 2, 5), 1.0 - file.cohesion),
    }
    whole = sum(parts.values())
    tangled = _MOST * min(1.0, whole)
    short = file.path.rsplit("/", 1)[-1]
    if leaf + tangled <= 0:
        kind = "a leaf" if leaf < -0.5 else "rather simple"
        reason = f"{short} is {kind}: complexity {complexity:.0f}, depth {file.depth}"
        return Structure(leaf + tangled, (Metric("leaf", complexity, leaf + tangled, reason),))
    told = {
        "complexity": (complexity, f"{short} has a complexity of {complexity:.0f}"),
        "cycle": (file.component, f"{short} is in a cycle of {file.component} files"),
        "blast radius": (file.blast, f"{file.blast} files depend on {short}"),
        "depth": (file.depth, f"{short} stands on {file.depth} layers"),
        "cohesion": (file.cohesion, f"the parts of {short} have little to do with each other"),
    }
    scale = (leaf + tangled) / whole
    metrics = tuple(
        Metric(name, float(told[name][0]), effect * scale, told[name][1])
        for name, effect in parts.items()
        if effect
    )
    return Structure(leaf + tangled, metrics)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on."""
    return min(1.0, max(0.0, (value - low) / (high - low)))
