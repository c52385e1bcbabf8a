"""Names for the numpy arrays that recommend passes around, and how they grow."""

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
"""Item numbers (see numbers.py), in any order."""
Scores: TypeAlias = NDArray[np.float64]
"""One score an item, aligned with some Numbers or indexed by item number."""
Codes: TypeAlias = NDArray[np.int32]
Reasons: TypeAlias = NDArray[np.uint8]

Kind = TypeVar("Kind", bound=np.generic)

NO_NUMBERS: Numbers = np.empty(0, dtype=np.int64)
NO_SCORES: Scores = np.empty(0, dtype=np.float64)


def grown(array: NDArray[Kind], length: int, fill: float = 0) -> NDArray[Kind]:
    """The array itself where it holds `length` entries, else a copy of at least twice its size."""
    if length <= len(array):
        return array
    larger = np.full(max(length, 2 * len(array), 64), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def taller(array: NDArray[Kind], length: int) -> NDArray[Kind]:
    """The array with at least `length` rows, those beyond its own of zeros; it grows by half."""
    if length <= len(array):
        return array
    larger = np.zeros((max(length, len(array) * 3 // 2), *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def best_first(numbers: Numbers, scores: Scores, limit: int) -> tuple[Numbers, Scores]:
    """The `limit` best by score; equal scores by ascending number, so the order is one only."""
    if len(numbers) > limit:
        threshold = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        kept = np.flatnonzero(scores >= threshold)
        numbers, scores = numbers[kept], scores[kept]
    order = np.lexsort((numbers, -scores))[:limit]
    return numbers[order], scores[order]
