"""Whether a new version may take the place of the one in force: the rule, and what it rests on.

Last step of training. Pure. Both are measured on the same held-out cases; worse is only what is
worse beyond the interval of the paired bootstrap, so chance neither promotes nor refuses.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from services.recommend.arrays import Numbers, Scores

RESAMPLES: Final = 1_000
POPULARITY: Final = "popularity"


class Comparison(Struct, frozen=True):
    """A figure of the new version beside that of another on the same cases: how many, both means,
    the mean difference and its 95 % interval. how: where the other is not simply measured."""

    metric: str
    against: str
    cases: int
    value: float
    other: float
    difference: float
    ci95: tuple[float, float]
    how: str = ""

    @property
    def worse(self) -> bool:
        """Whether all of the interval lies below no difference."""
        return self.ci95[1] < 0.0


def compare(
    metric: str,
    against: str,
    new: Scores,
    other: Scores,
    groups: Numbers,
    seed: int,
    how: str = "",
) -> Comparison:
    """Case by case; groups: whose case it is (a session, a customer), drawn whole."""
    difference = new - other
    _, place = np.unique(groups, return_inverse=True)
    sums = np.bincount(place, weights=difference)
    counts = np.bincount(place).astype(np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Comparison(
        metric=metric,
        against=against,
        cases=len(new),
        value=round(float(new.mean()), 5),
        other=round(float(other.mean()), 5),
        difference=round(float(difference.mean()), 5),
        ci95=(round(float(low), 5), round(float(high), 5)),
        how=how,
    )


def reasons_against(comparisons: Sequence[Comparison]) -> list[str]:
    """Why not to promote, a line each; nothing where nothing speaks against it."""
    return [
        f"{one.metric}: {one.value} against {one.other} of {one.against} on {one.cases} held-out "
        f"cases, difference {one.difference} [{one.ci95[0]}, {one.ci95[1]}]"
        for one in comparisons
        if one.worse
    ]
