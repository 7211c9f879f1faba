"""Trains the learned part of the score: `python -m benchmarks.routing.train`.

A ridge regression in its dual form, over a few thousand labelled asks: those of data/train, written for
it, and those of the tune split, without the test split. Base labels are what an ask is worth on code of
ordinary structure: the structure's own move and that of failures are taken off the labels first.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from lynkr_desktop.engine.routing import model
from lynkr_desktop.engine.routing.features import BITS, features
from lynkr_desktop.engine.routing.model import Head, Model, Weights, dense_of, feature_names

ASKS = Path(__file__).parent / "data" / "train"
SHRINK = 1.0
"""The ridge: how strongly weights are held down."""

STRETCH, MIDDLE, LIFT = 1.1, 1.9, 0.12
"""A ridge pulls levels to their middle, which this undoes; the lift is since under-routing costs the most."""

TUNE_WEIGHT = 2.0
"""A line of the tune split counts as much as two of data/train: somebody else wrote and labelled it."""

FOLDS = 10
_SHAPES = frozenset(("+length", "+question", "+steps", "+pasted", "+path", "+code"))


class Example(Struct, frozen=True):
    """An ask with its base level in tiers, whether its difficulty is fixed, and how much it counts."""

    text: str
    level: float
    fixed: bool
    weight: float = 1.0
    group: str = ""


def own_examples() -> list[Example]:
    """The asks of data/train."""
    files = sorted(ASKS.glob("*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [Example(row["ask"], row["level"], row["fixed"]) for row in rows]


def train(examples: Sequence[Example], shrink: float = SHRINK) -> Model:
    """A model from examples, with weights as the shipped one has them."""
    return Model(Corpus(examples).weights(range(len(examples)), shrink))


class Corpus:
    """Examples with the inner products of all pairs, for many models from parts of them.

    Args:
        examples: what is learned from.
        without: `wording` leaves the n-grams out, `concepts` all words that are known beforehand; to see what
            they are worth.
    """

    def __init__(self, examples: Sequence[Example], without: str = "") -> None:
        self._examples = examples
        found = [features(example.text) for example in examples]
        self._grams = [{} if without == "wording" else item.grams for item in found]
        self._dense = [
            {
                name: value
                for name, value in dense_of(item).items()
                if without != "concepts" or name in _SHAPES
            }
            for item in found
        ]
        self._kernel = np.zeros((len(examples), len(examples)))
        self._add(self._grams, model.GRAM)
        self._add(self._dense, 1.0)

    def _add(self, rows: Sequence[Mapping[Any, float]], scale: float) -> None:
        columns: dict[Any, list[tuple[int, float]]] = defaultdict(list)
        for place, row in enumerate(rows):
            for key, value in row.items():
                columns[key].append((place, value * scale))
        for entries in columns.values():
            places = np.array([place for place, _ in entries])
            values = np.array([value for _, value in entries])
            self._kernel[np.ix_(places, places)] += np.outer(values, values)

    def without(self, fold: int, folds: Sequence[int], shrink: float = SHRINK) -> Model:
        """The model from all examples of other folds."""
        return Model(self.weights([place for place, of in enumerate(folds) if of != fold], shrink))

    def weights(self, places: Sequence[int], shrink: float = SHRINK) -> Weights:
        """The weights from some of the examples."""
        chosen = [self._examples[place] for place in places]
        shares = np.array([example.weight for example in chosen])
        levels = np.array([example.level for example in chosen])
        fixed = np.array([example.fixed for example in chosen], float)
        level = self.head(places, levels, shares, shrink)
        return Weights(
            level=Head(
                bias=MIDDLE + (level.bias - MIDDLE) * STRETCH + LIFT,
                dense={name: weight * STRETCH for name, weight in level.dense.items()},
                step=level.step * STRETCH,
                grams=level.grams,
            ),
            fixed=self.head(places, fixed, shares, shrink),
        )

    def head(self, places: Sequence[int], targets: np.ndarray, shares: np.ndarray, shrink: float) -> Head:
        bias = float(targets @ shares / shares.sum())
        kernel = self._kernel[np.ix_(places, places)]
        duals = np.linalg.solve(kernel + shrink * np.diag(1.0 / shares), targets - bias)
        grams = np.zeros(1 << BITS)
        dense: dict[str, float] = dict.fromkeys(feature_names(), 0.0)
        for place, dual in zip(places, duals, strict=True):
            for key, value in self._grams[place].items():
                grams[key] += dual * value * model.GRAM
            for name, value in self._dense[place].items():
                dense[name] += dual * value
        step = float(np.abs(grams).max() / 127) or 1.0
        quantised = np.clip(np.rint(grams / step), -127, 127).astype(np.int8)
        return Head(
            bias=bias,
            dense={name: round(float(weight), 5) for name, weight in dense.items()},
            step=step,
            grams=quantised.tobytes(),
        )


def folds_of(groups: Sequence[str], seed: int = 0) -> list[int]:
    """A fold for each line; lines of one group share theirs, so that no pair is split."""
    names = sorted(set(groups))
    drawn = np.random.default_rng(seed).integers(0, FOLDS, len(names))
    by_group = dict(zip(names, drawn.tolist(), strict=True))
    return [by_group[group] for group in groups]


def main() -> None:
    """Trains on everything that may be trained on and writes the model into the package."""
    from benchmarks.routing.evaluate import Bench, examples_of

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-tune", action="store_true", help="train on data/train alone")
    parser.add_argument("--output", type=Path, default=Path(model.__file__).with_name(model.FILE))
    arguments = parser.parse_args()
    examples = own_examples()
    if not arguments.without_tune:
        examples += examples_of(Bench.of("tune"))
    arguments.output.write_bytes(msgspec.msgpack.encode(Corpus(examples).weights(range(len(examples)))))
    print(f"{len(examples)} asks -> {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
