"""From scores to chances: Platt's sigmoid over what was kept back. Pure.

A sigmoid keeps the order and needs few clicks; steps that follow each wiggle of a small sample
(isotonic regression) would give equal chances to different scores.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Scores

FEWEST: Final = 20
"""Positive examples below which no slope is fitted."""
_STEPS: Final = 100


class Sigmoid(NamedTuple):
    """chance = 1 / (1 + exp(-(slope x score + offset)))."""

    slope: float
    offset: float

    def chances(self, scores: Scores) -> Scores:
        """By score."""
        chances: Scores = 1.0 / (1.0 + np.exp(-(self.slope * scores + self.offset)))
        return chances


def fit_sigmoid(scores: Scores, hits: NDArray[np.int8]) -> Sigmoid | None:
    """The likeliest sigmoid, by Newton's method with Platt's smoothed targets (Platt, 1999; Lin,
    Lin and Weng, 2007). None where too few hits say anything, or it would not rise."""
    positive = int(np.count_nonzero(hits))
    negative = len(hits) - positive
    if positive < FEWEST or negative < FEWEST:
        return None
    targets = np.where(hits > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    center, scale = float(scores.mean()), float(scores.std()) or 1.0
    design = np.stack([(scores - center) / scale, np.ones(len(scores))], axis=1)
    found = np.array([0.0, np.log((positive + 1) / (negative + 1))])
    for _ in range(_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -30.0, 30.0)))
        gradient = design.T @ (targets - chances)
        curvature = (design * (chances * (1.0 - chances))[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), gradient)
        found += step
        if float(np.abs(step).max()) < 1e-10:
            break
    slope = float(found[0]) / scale
    if not np.isfinite(found).all() or slope <= 0.0:
        return None
    return Sigmoid(slope, float(found[1]) - slope * center)
