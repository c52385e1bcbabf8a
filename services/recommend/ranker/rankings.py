"""Logged rankings as columns: what the ranker is trained from.

Between the decisions' records (training) and ranker/training.py. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores
from services.recommend.features import Matrix

Labels = NDArray[np.int8]


class Logged(NamedTuple):
    """One decision: a row of values an item shown, in the order shown, side by side with `names`.

    clicked, converted: what became of each; positions: counted from 1; propensities: chances to be
    shown there, 1 where nothing was left to chance; at: epoch ms.
    """

    names: Sequence[str]
    values: Sequence[Sequence[float | None]]
    clicked: Sequence[bool]
    converted: Sequence[bool]
    positions: Sequence[int]
    propensities: Sequence[float]
    at: int


@dataclass(frozen=True, slots=True)
class Rankings:
    """Rankings, oldest first, their rows one behind the other; features: nan where missing;
    sizes: rows by ranking; at: epoch ms by ranking; the others by row, as in Logged."""

    names: tuple[str, ...]
    features: Matrix
    sizes: Numbers
    clicked: Labels
    converted: Labels
    position: Numbers
    propensity: Scores
    at: Numbers

    def __len__(self) -> int:
        """How many rankings."""
        return len(self.sizes)

    def only(self, chosen: Numbers) -> "Rankings":
        """Those rankings, in that order."""
        starts = np.cumsum(self.sizes) - self.sizes
        sizes = self.sizes[chosen]
        ends = np.cumsum(sizes)
        rows = np.arange(ends[-1] if len(ends) else 0) + np.repeat(
            starts[chosen] - (ends - sizes), sizes
        )
        return Rankings(
            self.names,
            self.features[rows],
            sizes,
            self.clicked[rows],
            self.converted[rows],
            self.position[rows],
            self.propensity[rows],
            self.at[chosen],
        )

    def with_clicks(self) -> "Rankings":
        """Rankings of which something was clicked or bought, and something was not: the others
        say nothing about order."""
        starts = np.cumsum(self.sizes) - self.sizes
        hits = self.gains() > 0
        counts = np.add.reduceat(hits, starts) if len(starts) else starts
        return self.only(np.flatnonzero((counts > 0) & (counts < self.sizes)))

    def gains(self) -> Numbers:
        """By row: 2 for what was bought, 1 for what was only clicked."""
        gains: Numbers = np.maximum(self.clicked.astype(np.int64), 2 * self.converted)
        return gains


def joined(logged: Sequence[Logged]) -> Rankings:
    """Decisions as columns, oldest first; a feature that a decision did not have is missing."""
    kept = sorted((entry for entry in logged if entry.values), key=lambda entry: entry.at)
    names = tuple(dict.fromkeys(name for entry in kept for name in entry.names))
    sizes = np.array([len(entry.values) for entry in kept], dtype=np.int64)
    features = np.full((int(sizes.sum()), len(names)), np.nan)
    place = {name: at for at, name in enumerate(names)}
    row = 0
    for entry in kept:
        columns = [place[name] for name in entry.names]
        features[row : row + len(entry.values), columns] = np.array(entry.values, dtype=np.float64)
        row += len(entry.values)
    return Rankings(
        names,
        features,
        sizes,
        np.array([value for entry in kept for value in entry.clicked], dtype=np.int8),
        np.array([value for entry in kept for value in entry.converted], dtype=np.int8),
        np.array([value for entry in kept for value in entry.positions], dtype=np.int64),
        np.array([value for entry in kept for value in entry.propensities], dtype=np.float64),
        np.array([entry.at for entry in kept], dtype=np.int64),
    )
