"""Routing judged by outcomes: who answered GSM8K's questions rightly, a weak model and a strong one.

A router orders the questions by how hard it takes them to be; the hardest share goes to the strong
model. PGR is the part of the gap between the two models that is recovered, APGR the area under it
over all shares, and CPT(50) the smallest share at which half of the gap is recovered. What is
fitted is cross-validated; intervals are by bootstrap over questions. These are school sums, not
code: a check of what the words of an ask alone can tell.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.routing.train import Corpus, Example, folds_of
from lynkr_desktop.engine.routing.ask import Ask
from lynkr_desktop.engine.routing.features import features
from lynkr_desktop.engine.routing.model import Line, dense_of
from lynkr_desktop.engine.routing.score import score

OUTCOMES = Path(__file__).parent / "data" / "gsm8k" / "outcomes.csv"
PUBLISHED = {
    "RouteLLM matrix factorisation (published)": 0.565,
    "RouteLLM best classifier (published)": 0.622,
}
RESAMPLES = 1000
SHRINK = 20.0
"""Chosen before it was run: outcomes are coin tosses beside labels, so weights are held down far more."""


class Row(Struct, frozen=True):
    """A router's figures; the interval is that of APGR at 95 percent."""

    name: str
    apgr: float
    low: float | None = None
    high: float | None = None
    cpt50: float | None = None


def evaluate(seed: int = 0) -> list[Row]:
    """All routers of the table, from the random one to those that were fitted here."""
    with OUTCOMES.open(encoding="utf-8", newline="") as lines:
        questions = list(csv.DictReader(lines))
    prompts = [question["prompt"] for question in questions]
    weak, strong = (
        np.array([question[name] == "True" for question in questions], float)
        for name in ("weak_correct", "strong_correct")
    )
    random = np.random.default_rng(seed)
    chance = [_figures(random.permutation(len(prompts)).astype(float), weak, strong) for _ in range(200)]
    rows = [Row("random", float(np.mean([apgr for apgr, _ in chance])), cpt50=0.5)]
    for name, hardness in (
        ("length in characters", [len(prompt) for prompt in prompts]),
        ("length in words", [features(prompt).count for prompt in prompts]),
        ("Lynkr's score, nothing fitted", [_level(prompt) for prompt in prompts]),
        ("Lynkr's features, fitted on the other folds", _fitted(prompts, weak, strong)),
    ):
        rows.append(_row(name, np.array(hardness, float), weak, strong, random))
    return rows + [Row(name, apgr) for name, apgr in PUBLISHED.items()]


def show(rows: Sequence[Row]) -> None:
    """Prints the table."""
    print(f"{'GSM8K, Mixtral 8x7B or GPT-4':46}{'APGR':>7}  95 % interval  CPT(50)")
    for row in rows:
        interval = "" if row.low is None else f"{row.low:.3f} to {row.high:.3f}"
        share = "" if row.cpt50 is None else f"{row.cpt50:.0%}"
        print(f"{row.name:46}{row.apgr:>7.3f}  {interval:14}{share:>8}")


def _level(prompt: str) -> float:
    return score(Ask(text=prompt)).value


def _fitted(prompts: Sequence[str], weak: np.ndarray, strong: np.ndarray) -> list[float]:
    """How much likelier only the strong model is right, by models that saw neither question nor answers."""
    examples = [
        Example(prompt, float(gain), fixed=False, group=prompt)
        for prompt, gain in zip(prompts, strong - weak, strict=True)
    ]
    corpus, folds = Corpus(examples), folds_of(prompts)
    gains, shares = strong - weak, np.ones(len(prompts))
    lines: dict[int, Line] = {}
    for fold in sorted(set(folds)):
        others = [place for place, of in enumerate(folds) if of != fold]
        lines[fold] = Line(corpus.head(others, gains[others], shares[others], SHRINK))
    found = [features(prompt) for prompt in prompts]
    return [lines[fold].at(dense_of(item), item.grams) for item, fold in zip(found, folds, strict=True)]


def _row(
    name: str, hardness: np.ndarray, weak: np.ndarray, strong: np.ndarray, random: np.random.Generator
) -> Row:
    apgr, cpt50 = _figures(hardness, weak, strong)
    size = len(hardness)
    drawn = []
    for _ in range(RESAMPLES):
        sample = random.integers(0, size, size)
        drawn.append(_figures(hardness[sample], weak[sample], strong[sample])[0])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Row(name, apgr, float(low), float(high), cpt50)


def _figures(hardness: np.ndarray, weak: np.ndarray, strong: np.ndarray) -> tuple[float, float]:
    """APGR and CPT(50); questions that are equally hard share what they gain."""
    order = np.argsort(-hardness, kind="stable")
    gain = (strong - weak)[order]
    # Ties are in no order: each of them gains the mean of all of them.
    _, starts, counts = np.unique(-hardness[order], return_index=True, return_counts=True)
    for start, count in zip(starts, counts, strict=True):
        if count > 1:
            gain[start : start + count] = gain[start : start + count].mean()
    recovered = np.concatenate(([0.0], np.cumsum(gain))) / (strong - weak).sum()
    apgr = float(((recovered[1:] + recovered[:-1]) / 2).mean())
    half = int(np.argmax(recovered >= 0.5))
    return apgr, half / len(hardness)
