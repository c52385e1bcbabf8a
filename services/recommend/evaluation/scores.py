"""Measures of ranked lists, and bootstrap intervals over sessions. Pure: seeds are arguments."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

RESAMPLES: Final = 2_000


@dataclass(slots=True)
class Ranks:
    """Reciprocal ranks up to k, one a prediction; 0 beyond k."""

    k: int
    reciprocal: list[float] = field(default_factory=list)

    def add(self, rank: int) -> None:
        """One prediction's rank (0: not found)."""
        self.reciprocal.append(1.0 / rank if 0 < rank <= self.k else 0.0)

    @property
    def mrr(self) -> float:
        """Mean reciprocal rank at k."""
        return float(np.mean(self.reciprocal)) if self.reciprocal else 0.0

    @property
    def hit_rate(self) -> float:
        """Share of predictions with the target among the first k."""
        return float(np.mean(np.array(self.reciprocal) > 0.0)) if self.reciprocal else 0.0


def interval(values: list[float], groups: list[int], seed: int) -> list[float]:
    """The 95 % bootstrap interval of the mean; whole groups (sessions) are drawn."""
    if not values:
        return [0.0, 0.0]
    _, place = np.unique(groups, return_inverse=True)
    sums = np.bincount(place, weights=values)
    counts = np.bincount(place).astype(np.float64)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return [round(float(low), 5), round(float(high), 5)]
