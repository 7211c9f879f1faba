"""Trains the learned part of the score: `python -m benchmarks.routing.train`.

A softmax regression over the tiers, and a logistic one of whether the code does not matter, from some
thousands of labelled asks: those of data/train, written for it, and those of the tune split. Base labels
are what an ask is worth on code of ordinary structure: the structure's own move and that of failures are
taken off the labels first. After a change of the features: first with `--without-tune`, since reading the
split needs a model that fits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import expit, logsumexp

from lynkr_desktop.engine.routing import model
from lynkr_desktop.engine.routing.features import BITS, features
from lynkr_desktop.engine.routing.model import Head, Model, Weights, dense_of, feature_names

ASKS = Path(__file__).parent / "data" / "train"
SHRINK_TIERS, ROUNDS = 0.2, 50
"""How strongly weights are held down, and when L-BFGS stops, which holds them down too."""

TUNE_WEIGHT = 2.0
"""A line of a split counts as much as two of data/train: it was labelled with the code that it is about."""

SPLITS = ("tune", "validate")
"""The splits that are learned from."""

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


def train(examples: Sequence[Example]) -> Model:
    """A model from examples, with weights as the shipped one has them."""
    return Model(Corpus(examples).weights(range(len(examples))))


class Corpus:
    """Examples as a matrix of their features, for many models from parts of them.

    Args:
        examples: what is learned from.
        without: `wording` leaves the n-grams out, `concepts` all words that are known beforehand; to see what
            they are worth.
    """

    def __init__(self, examples: Sequence[Example], without: str = "") -> None:
        self._examples = examples
        columns = {name: place for place, name in enumerate(feature_names())}
        values: list[float] = []
        places: list[int] = []
        ends = [0]
        for example in examples:
            found = features(example.text)
            for name, value in dense_of(found).items():
                if without != "concepts" or name in _SHAPES:
                    places.append(columns[name])
                    values.append(value)
            if without != "wording":
                places += [len(columns) + key for key in found.grams]
                values += [value * model.GRAM for value in found.grams.values()]
            ends.append(len(places))
        matrix = csr_matrix((values, places, ends), shape=(len(examples), len(columns) + (1 << BITS)))
        self._used = np.unique(matrix.indices)
        self._matrix = matrix[:, self._used]

    def without(self, fold: int, folds: Sequence[int]) -> Model:
        """The model from all examples of other folds."""
        return Model(self.weights([place for place, of in enumerate(folds) if of != fold]))

    def weights(self, places: Sequence[int]) -> Weights:
        """The weights from some of the examples."""
        chosen = [self._examples[place] for place in places]
        shares = np.array([example.weight for example in chosen])
        fixed = np.array([example.fixed for example in chosen], float)
        return Weights(
            tiers=self._tiers(places, np.array([example.level for example in chosen]), shares),
            fixed=self._fixed(places, fixed, shares),
        )

    def head(self, places: Sequence[int], targets: np.ndarray, shares: np.ndarray, shrink: float) -> Head:
        """A ridge regression, by conjugate gradients on its normal equations."""
        bias = float(targets @ shares / shares.sum())
        rows = diags_array(np.sqrt(shares)) @ self._matrix[list(places)]
        across = rows.T.tocsr()
        normal = LinearOperator(
            (rows.shape[1],) * 2, matvec=lambda at: across @ (rows @ at) + shrink * at, dtype=float
        )
        found, _ = cg(normal, across @ (np.sqrt(shares) * (targets - bias)), rtol=1e-5, maxiter=500)
        return self._packed(bias, found)

    def _tiers(
        self, places: Sequence[int], levels: np.ndarray, shares: np.ndarray
    ) -> tuple[Head, Head, Head]:
        """A softmax regression with a weight decay; a level between two tiers is some of each."""
        rows = self._matrix[list(places)]
        across = rows.T.tocsr()
        wanted = np.maximum(0.0, 1.0 - np.abs(np.clip(levels - 0.5, 0, 3)[:, None] - np.arange(4)))
        size = rows.shape[1] * 4

        def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
            weights, biases = at[:size].reshape(-1, 4), at[size:]
            odds = rows @ weights + biases
            odds -= logsumexp(odds, axis=1, keepdims=True)
            missed = shares[:, None] * (np.exp(odds) - wanted)
            slope = across @ missed + SHRINK_TIERS * weights
            value = SHRINK_TIERS / 2 * (weights**2).sum() - (shares[:, None] * wanted * odds).sum()
            return float(value), np.concatenate([slope.ravel(), missed.sum(0)])

        found = minimize(loss, np.zeros(size + 4), jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS}).x
        weights, biases = found[:size].reshape(-1, 4), found[size:]
        first, second, third = (
            self._packed(float(biases[rank] - biases[0]), weights[:, rank] - weights[:, 0])
            for rank in (1, 2, 3)
        )
        return first, second, third

    def _fixed(self, places: Sequence[int], fixed: np.ndarray, shares: np.ndarray) -> Head:
        """A logistic regression with a weight decay."""
        rows = self._matrix[list(places)]
        across = rows.T.tocsr()

        def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
            weights = at[:-1]
            logits = rows @ weights + at[-1]
            missed = shares * (expit(logits) - fixed)
            slope = across @ missed + SHRINK_TIERS * weights
            value = SHRINK_TIERS / 2 * (weights @ weights) + shares @ (
                np.logaddexp(0, logits) - fixed * logits
            )
            return float(value), np.append(slope, missed.sum())

        start = np.zeros(rows.shape[1] + 1)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS}).x
        return self._packed(float(found[-1]), found[:-1])

    def _packed(self, bias: float, found: np.ndarray) -> Head:
        names = feature_names()
        weights = np.zeros(len(names) + (1 << BITS))
        weights[self._used] = found
        grams = weights[len(names) :]
        step = float(np.abs(grams).max() / 127) or 1.0
        quantised = np.clip(np.rint(grams / step), -127, 127).astype(np.int8)
        dense = {name: round(float(weight), 5) for name, weight in zip(names, weights, strict=False)}
        return Head(bias=bias, dense=dense, step=step, grams=quantised.tobytes())


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
        for split in SPLITS:
            examples += examples_of(Bench.of(split))
    arguments.output.write_bytes(msgspec.msgpack.encode(Corpus(examples).weights(range(len(examples)))))
    print(f"{len(examples)} asks -> {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
