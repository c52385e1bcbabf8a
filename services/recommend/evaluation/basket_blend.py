"""Weights of features, learned from what was bought: logistic regression. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Scores

STEPS: Final = 25
PENALTY: Final = 1.0
"""Against large weights: one row's worth each."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Features less their means, in standard deviations, times weights; then a constant."""

    means: Scores
    spreads: Scores
    weights: Scores

    def scores(self, features: NDArray[np.float32]) -> Scores:
        """Log odds, one a row."""
        standard = (features - self.means) / self.spreads
        found: Scores = standard @ self.weights[:-1] + self.weights[-1]
        return found


def fit(features: NDArray[np.float32], bought: Scores) -> Blend:
    """The most likely weights; bought: 1 or 0 a row."""
    table = features.astype(np.float64)
    means, spreads = table.mean(axis=0), table.std(axis=0)
    spreads = np.where(spreads > 0, spreads, 1.0)
    standard = np.column_stack([(table - means) / spreads, np.ones(len(table))])
    weights = np.zeros(standard.shape[1])
    ridge = PENALTY * np.eye(len(weights))
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(standard @ weights, -30, 30)))
        slope = standard.T @ (chance - bought) + PENALTY * weights
        curve = (standard * (chance * (1.0 - chance))[:, None]).T @ standard + ridge
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return Blend(means, spreads, weights)
