"""Trains the learned part of the score: `python -m benchmarks.routing.train`.

A ridge regression in its dual form, over a thousand or two labelled asks: those of data/train, which the
scorer's author wrote for it, and those of the tune split, without the test split. Base labels are what an
ask is worth on code of ordinary structure: the structure's own move and that of failures are taken off the
labels first.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from lynkr_desktop.engine.routing import model
from lynkr_desktop.engine.routing.features import BITS, Features, features
from lynkr_desktop.engine.routing.model import Head, Model, Weights, dense_of, feature_names

ASKS = Path(__file__).parent / "data" / "train" / "asks.jsonl"
SHRINK = 0.2
"""The ridge: how strongly weights are held down."""

TUNE_WEIGHT = 2.0
"""A line of the tune split counts as much as two of data/train: somebody else wrote and labelled it."""

FOLDS = 10


class Example(Struct, frozen=True):
    """An ask with its base level in tiers, whether its difficulty is fixed, and how much it counts."""

    text: str
    level: float
    fixed: bool
    weight: float = 1.0
    group: str = ""


def own_examples() -> list[Example]:
    """The asks of data/train."""
    with ASKS.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Example(row["ask"], row["level"], row["fixed"]) for row in rows]


def train(examples: Sequence[Example]) -> Model:
    """A model from examples, with weights as the shipped one has them."""
    return Model(weights_of(examples))


def weights_of(examples: Sequence[Example]) -> Weights:
    """The weights from examples."""
    found = [features(example.text) for example in examples]
    kernel = _kernel(found)
    shares = np.array([example.weight for example in examples])
    heads = [
        _head(found, kernel, np.array(targets, float), shares)
        for targets in ([example.level for example in examples], [example.fixed for example in examples])
    ]
    return Weights(level=heads[0], fixed=heads[1])


def _kernel(found: Sequence[Features]) -> np.ndarray:
    """The inner products of all pairs."""
    size = len(found)
    kernel = np.zeros((size, size))
    for names in (
        [{key: value * model.GRAM for key, value in item.grams.items()} for item in found],
        [dense_of(item) for item in found],
    ):
        columns: dict[object, list[tuple[int, float]]] = defaultdict(list)
        for row, item in enumerate(names):
            for key, value in item.items():
                columns[key].append((row, value))
        for entries in columns.values():
            rows = np.array([row for row, _ in entries])
            values = np.array([value for _, value in entries])
            kernel[np.ix_(rows, rows)] += np.outer(values, values)
    return kernel


def _head(found: Sequence[Features], kernel: np.ndarray, targets: np.ndarray, shares: np.ndarray) -> Head:
    bias = float(targets @ shares / shares.sum())
    duals = np.linalg.solve(kernel + SHRINK * np.diag(1.0 / shares), targets - bias)
    grams = np.zeros(1 << BITS)
    dense: dict[str, float] = dict.fromkeys(feature_names(), 0.0)
    for item, dual in zip(found, duals, strict=True):
        for key, value in item.grams.items():
            grams[key] += dual * value * model.GRAM
        for name, value in dense_of(item).items():
            dense[name] += dual * value
    step = float(np.abs(grams).max() / 127) or 1.0
    quantised = np.clip(np.rint(grams / step), -127, 127).astype(np.int8)
    return Head(
        bias=bias,
        dense={name: round(float(weight), 5) for name, weight in dense.items()},
        step=step / model.GRAM,
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
    arguments.output.write_bytes(msgspec.msgpack.encode(weights_of(examples)))
    print(f"{len(examples)} asks -> {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
