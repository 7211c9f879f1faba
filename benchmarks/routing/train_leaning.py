"""Trains what knows how far a turn leans on earlier ones: `python -m benchmarks.routing.train_leaning`.

Two ridge regressions over the features of the score: from the turns of data/train/follow_ups, which are
labelled for it, and some asks of data/train, which say by themselves what they want. Neither the tune split
nor any other is learned from, so all of them show what it is worth. `--check` cross-validates it.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.routing.train import ASKS, Corpus, Example, folds_of, own_examples
from lynkr_desktop.engine.routing import leaning
from lynkr_desktop.engine.routing.leaning import Leaning, LeaningModel, LeaningWeights, read_features
from lynkr_desktop.engine.routing.model import Head

TURNS = ASKS / "follow_ups"
SHRINK = 0.5
"""The ridge. Turns are short and alike, so weights may grow more than those of the level."""

ASK_WEIGHT, ASKS_TAKEN = 0.3, 2_500
"""Whole asks, evenly drawn from data/train, are no turns of a conversation, so they count for less."""

STEEP, MIDDLE = 8.0, 0.4
"""From the value of a head to log-odds; by cross-validation, see `--check`."""


class Turn(Struct, frozen=True):
    """A labelled turn; `author` is empty for the asks of data/train."""

    text: str
    leans: float
    failed: bool
    author: str = ""


def turns() -> list[Turn]:
    """All that is learned from."""
    found = [
        Turn(row["ask"], row["leans"], row["failed"], row["author"])
        for file in sorted(TURNS.glob("*.jsonl"))
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    ]
    asks = own_examples()
    each = max(1, len(asks) // ASKS_TAKEN)
    return [*found, *[Turn(ask.text, 0.0, False) for ask in asks[::each]]]


class Trainer:
    """Trains on some of the turns, as often as asked."""

    def __init__(self, learned: Sequence[Turn]) -> None:
        self.turns = learned
        self._shares = np.array([1.0 if turn.author else ASK_WEIGHT for turn in learned])
        self._corpus = Corpus([Example(turn.text, turn.leans, turn.failed) for turn in learned])

    def weights(self, places: Sequence[int]) -> LeaningWeights:
        """The weights from the turns at some places."""
        return LeaningWeights(
            leans=self._head(places, np.array([self.turns[place].leans for place in places])),
            failed=self._head(places, np.array([self.turns[place].failed for place in places], float)),
        )

    def _head(self, places: Sequence[int], targets: np.ndarray) -> Head:
        head = self._corpus.head(places, targets, self._shares[list(places)], SHRINK)
        return Head(
            bias=(head.bias - MIDDLE) * STEEP,
            dense={name: weight * STEEP for name, weight in head.dense.items()},
            step=head.step * STEEP,
            grams=head.grams,
        )


def check(trainer: Trainer) -> None:
    """Prints how good it is on turns that it was not trained on: by folds, and by authors."""
    learned = trainer.turns
    everyone = range(len(learned))
    folds = folds_of([str(place) for place in everyone])
    authors = sorted({turn.author for turn in learned if turn.author})
    for name, split in (
        ("folds", [(fold, [folds[place] == fold for place in everyone]) for fold in sorted(set(folds))]),
        *((f"author {one}", [(one, [turn.author == one for turn in learned])]) for one in authors),
    ):
        read: list[tuple[Turn, Leaning]] = []
        for _, left_out in split:
            model = LeaningModel(trainer.weights([place for place in everyone if not left_out[place]]))
            read += [
                (turn, model.read(read_features(turn.text)))
                for turn, out in zip(learned, left_out, strict=True)
                if out
            ]
        said = [(turn, found) for turn, found in read if turn.author]
        missed = math.sqrt(sum((found.leans - turn.leans) ** 2 for turn, found in said) / len(said))
        clear = [(turn, found) for turn, found in said if turn.leans != 0.5]
        right = sum((found.leans > 0.5) == (turn.leans > 0.5) for turn, found in clear) / len(clear)
        caught = [turn.failed for turn, found in said if found.failed > 0.5]
        failed = sum(turn.failed for turn, _ in said)
        print(
            f"{name}: {len(said)} turns, leans off by {missed:.3f}, {right:.1%} of the clear ones right; "
            f"complaints {sum(caught) / len(caught):.1%} right, {sum(caught) / failed:.1%} found"
        )


def main() -> None:
    """Trains on everything and writes the weights into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="cross-validate, write nothing")
    parser.add_argument("--output", type=Path, default=Path(leaning.__file__).with_name(leaning.FILE))
    arguments = parser.parse_args()
    trainer = Trainer(turns())
    if arguments.check:
        check(trainer)
        return
    arguments.output.write_bytes(msgspec.msgpack.encode(trainer.weights(range(len(trainer.turns)))))
    print(f"{len(trainer.turns)} turns -> {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


if __name__ == "__main__":
    main()
