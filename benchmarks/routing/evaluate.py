"""How well requests are routed: `make bench-routing`, or `python -m benchmarks.routing --split tune`.

Every request is decided as the engine decides it, without the stickiness of sessions: side requests by how
they are made, all others by the score, with the real index of their workspace. What is fitted on the tune
split is cross-validated there. Beside it stand routers that know next to nothing (baselines.py).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from msgspec import Struct

from benchmarks.routing.baselines import by_length, cost_of, fit_lengths, length_of
from benchmarks.routing.cases import MANY_TOOLS, SHAPES, Case, envelopes, load, rank_range, request_of
from benchmarks.routing.train import TUNE_WEIGHT, Corpus, Example, folds_of, own_examples, train
from lynkr_desktop.engine.analysis.index import Touched, WorkspaceIndex
from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.workspaces import Workspaces
from lynkr_desktop.engine.routing.ask import Ask, read_ask
from lynkr_desktop.engine.routing.mentions import look_up
from lynkr_desktop.engine.routing.model import Model
from lynkr_desktop.engine.routing.score import score
from lynkr_desktop.engine.routing.side import Side, side_request
from lynkr_desktop.engine.routing.structure import structure_of
from lynkr_desktop.engine.routing.workspace import workspace_of
from lynkr_desktop.engine.wire.canonical import Request
from lynkr_desktop.protocol.tiers import TIERS

LIMITS = (0.35, 0.65, 0.85)
_INDEXED_S = 60.0


class Read(Struct, frozen=True):
    """What is known of one request before it is scored."""

    side: Side | None
    ask: Ask
    touched: Touched | None


class Item(Struct, frozen=True):
    """A case, read in the shape that it has, and in every other one."""

    case: Case
    own: Read
    shapes: dict[str, Read]


class Bench(Struct, frozen=True):
    """A split, read; `seconds` are the processor times of whole decisions."""

    split: str
    items: tuple[Item, ...]
    seconds: tuple[float, ...]

    @classmethod
    def of(cls, split: str, cases: Sequence[Case] | None = None) -> Bench:
        """Reads a split, or other cases about its workspaces, with the real indices of those."""
        return asyncio.run(_read(split, load(split) if cases is None else cases))


async def _read(split: str, cases: Sequence[Case]) -> Bench:
    dresses = envelopes()
    items: list[Item] = []
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as cache:
        workspaces = Workspaces(Path(cache), Limits(), lambda: None)
        await workspaces.start()
        try:
            indices: dict[str, WorkspaceIndex] = {}
            for case in cases:
                if (folder := case.folder(split)) is not None and str(folder) not in indices:
                    index = workspaces.at(folder)
                    if index is None or not await asyncio.to_thread(index.wait, _INDEXED_S):
                        raise RuntimeError(f"The workspace {folder} could not be indexed.")
                    indices[str(folder)] = index

            def decided(request: Request, folder: Path | None) -> Read:
                # A bare client says by the header where it is; harnesses say it in their prompts.
                headers = {"x-lynkr-workspace": str(folder)} if folder and not request.system else {}
                began = time.thread_time()
                side = side_request(request)
                ask = read_ask(request)
                touched = None
                if side is None and (workspace := workspace_of(request, headers)) is not None:
                    index = indices.get(workspace.folder)
                    touched = look_up(index, request, ask) if index is not None else None
                score(ask, touched)
                seconds.append(time.thread_time() - began)
                return Read(side, ask, touched)

            for case in cases:
                shapes: dict[str, Read] = {}
                for shape in (case.shape,) if case.side else SHAPES:
                    request = request_of(case, split, dresses.get(shape), tools=MANY_TOOLS)
                    shapes[shape] = decided(request, case.folder(split))
                items.append(Item(case, shapes[case.shape], shapes))
        finally:
            await workspaces.close()
    return Bench(split, tuple(items), tuple(seconds))


def examples_of(bench: Bench) -> list[Example]:
    """What can be learned from a split: labels without the moves by structure and failures."""
    examples = []
    for item in bench.items:
        case, ask = item.case, item.own.ask
        if case.side:
            continue
        low, high = rank_range(case)
        rank = case.tier.rank
        level = rank + 0.5 - 0.2 * (low < rank) + 0.2 * (high > rank)
        tags = set(case.tags)
        fixed = bool(tags & {"mechanical", "lookup", "chat", "ops", "boilerplate"}) or (
            "no_code" in tags and low == 0
        )
        structure = structure_of(item.own.touched)
        if structure is not None:
            # What the code moves is not fixed, however it is tagged.
            fixed = fixed and not case.pair and not (structure.move > 0 and low > 0)
            level -= 0.0 if fixed else structure.move
        level -= max(ask.failures, ask.complaints) >= 2
        group = case.pair or ask.subject[:80]
        examples.append(Example(ask.subject, min(3.9, max(0.1, level)), fixed, TUNE_WEIGHT, group))
    return examples


# ---------------------------------------------------------------- deciding

Decider = Callable[[int, Read], int]
"""From the position of an item and what is known of it to the rank of a tier."""


def rank_of(value: float) -> int:
    """The tier of a score, under the default thresholds."""
    return sum(value > limit for limit in LIMITS)


def ours(models: Sequence[Model | None], *, structure: bool = True) -> Decider:
    """The engine's own decision, or that without a look at the code; the model may differ by item."""

    def decide(place: int, read: Read) -> int:
        if read.side is not None:
            return read.side.tier.rank
        return rank_of(score(read.ask, read.touched if structure else None, models[place]).value)

    return decide


def cross_validated(
    bench: Bench,
    others: Sequence[Example] = (),
    *,
    own: bool = True,
    folds_too: bool = True,
    without: str = "",
) -> list[Model | None]:
    """For each item a model that was trained without it and its group.

    Args:
        bench: a split that is learned from.
        others: what is learned from beside it and data/train.
        own: whether the asks of data/train are learned from.
        folds_too: whether the other folds of the split are.
        without: what to leave out of the features, see `Corpus`.
    """
    examples = examples_of(bench)
    folds = folds_of([example.group for example in examples])
    mine = [*(own_examples() if own else []), *others]
    if not folds_too:
        models = dict.fromkeys(folds, train(mine))
    else:
        corpus = Corpus([*examples, *mine], without)
        everyone = [*folds, *[-1] * len(mine)]
        models = {fold: corpus.without(fold, everyone) for fold in sorted(set(folds))}
    position = iter(folds)
    return [None if item.case.side else models[next(position)] for item in bench.items]


# ---------------------------------------------------------------- judging


class Judged(Struct, frozen=True, kw_only=True):
    """How a router did on a split; shares in 0..1, regret in units of RUBRIC.md's costs."""

    name: str
    count: int
    acceptable: float
    exact: float
    under: float
    over: float
    regret: float
    pairs_ordered: float | None = None
    invariant: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    groups: dict[str, tuple[int, float]] = {}


def judge(name: str, bench: Bench, decide: Decider, *, deep: bool = False) -> Judged:
    """Judges a router; `deep` adds invariance over envelopes, the confusion matrix and groups."""
    ranks = [decide(place, item.own) for place, item in enumerate(bench.items)]
    under = over = exact = spent = 0
    confusion = [[0] * 4 for _ in range(4)]
    groups: dict[str, list[bool]] = defaultdict(list)
    pairs: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for item, rank in zip(bench.items, ranks, strict=True):
        case = item.case
        low, high = rank_range(case)
        under += rank < low
        over += rank > high
        exact += rank == case.tier.rank
        spent += cost_of(case, rank)
        confusion[case.tier.rank][rank] += 1
        kinds = ("side", "trap", "multi_turn", "tool_results", "failures", "risk", "pair", "no_code")
        for group in (f"language {case.human_language}", *[kind for kind in kinds if kind in case.tags]):
            groups[group].append(low <= rank <= high)
        if case.pair:
            pairs[case.pair].append((case.tier.rank, rank))
    count = len(bench.items)
    ordered = [
        all(a[1] < b[1] for a in members for b in members if a[0] < b[0]) for members in pairs.values()
    ]
    result = Judged(
        name=name,
        count=count,
        acceptable=1 - (under + over) / count,
        exact=exact / count,
        under=under / count,
        over=over / count,
        regret=spent / count,
        pairs_ordered=sum(ordered) / len(ordered) if ordered else None,
    )
    if not deep:
        return result
    wrapped = [
        len({decide(place, read) for read in item.shapes.values()}) == 1
        for place, item in enumerate(bench.items)
        if not item.case.side
    ]
    return Judged(
        **{field: getattr(result, field) for field in result.__struct_fields__ if field not in _DEEP},
        invariant=sum(wrapped) / len(wrapped) if wrapped else None,
        confusion=tuple(map(tuple, confusion)),
        groups={key: (len(found), sum(found) / len(found)) for key, found in sorted(groups.items())},
    )


_DEEP = ("invariant", "confusion", "groups")


def baselines(bench: Bench, tune: Bench) -> list[Judged]:
    """Always the same tier, and the length alone with thresholds that were fitted on the tune split."""
    table = [judge(f"always {tier}", bench, lambda _, __, rank=rank: rank) for rank, tier in enumerate(TIERS)]
    cases = [item.case for item in tune.items]
    limits = fit_lengths(cases, [length_of(item.own.ask) for item in tune.items])
    return [
        *table,
        judge(f"length alone {limits}", bench, lambda _, read: by_length(length_of(read.ask), limits)),
    ]


def latency(bench: Bench) -> dict[str, float]:
    """Milliseconds of whole decisions, all shapes together."""
    cuts = quantiles(bench.seconds, n=100)
    return {
        "p50": cuts[49] * 1e3,
        "p99": cuts[98] * 1e3,
        "max": max(bench.seconds) * 1e3,
        "count": len(bench.seconds),
    }


def mistakes(bench: Bench, decide: Decider) -> list[dict[str, Any]]:
    """Every choice outside of what is acceptable, with the reasons that were given."""
    found = []
    for place, item in enumerate(bench.items):
        low, high = rank_range(item.case)
        rank = decide(place, item.own)
        if not low <= rank <= high:
            found.append(
                {
                    "id": item.case.id,
                    "wanted": [str(tier) for tier in item.case.acceptable],
                    "chosen": str(TIERS[rank]),
                    "ask": item.own.ask.subject[:200],
                    "tags": list(item.case.tags),
                }
            )
    return found
