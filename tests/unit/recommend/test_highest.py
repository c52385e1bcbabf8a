"""Looking at the maxima of blocks first changes nothing of what is found."""

import numpy as np
import pytest

from services.recommend.candidates.first_stage import lowest_of_best
from services.recommend.candidates.neighbour_loops import few_highest


@pytest.mark.parametrize("most", [1, 2, 7, 50])
@pytest.mark.parametrize("size", [0, 1, 51, 200, 1_034])
def test_the_few_highest_numbers(size: int, most: int) -> None:
    values = np.random.default_rng(size).permutation(5_000)[:size].astype(np.int64) - 2_500

    found = few_highest(values, most)

    assert sorted(found.tolist()) == sorted(values.tolist())[-most:]


@pytest.mark.parametrize("most", [1, 2, 7, 64])
@pytest.mark.parametrize("size", [65, 128, 255, 256, 999])
@pytest.mark.parametrize("different", [3, 100_000])
def test_the_lowest_of_the_best_scores(size: int, most: int, different: int) -> None:
    scores = np.random.default_rng(size).integers(0, different, size) / 7.0 - 1.0

    assert lowest_of_best(scores, most) == sorted(scores.tolist())[-most]
