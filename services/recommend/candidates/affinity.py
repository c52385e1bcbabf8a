"""The best of what the shopper prefers: categories, brands and price bands of their affinities."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from services.recommend.arrays import NO_NUMBERS, Numbers, Scores
from services.recommend.catalogue.index import Catalogue
from services.recommend.popularity import Popularity

MOST_VALUES: Final = 3
"""Values of one field whose best items are looked at."""


def preferred(
    affinities: Mapping[str, list[tuple[str, int]]], popularity: Popularity, catalogue: Catalogue
) -> list[tuple[str, Numbers, Scores]]:
    """By field, the rows of the most trending items with preferred values, each once.

    Their score is 1: how much a value is preferred is a feature, and counts for every candidate.
    """
    found = []
    for name, values in affinities.items():
        groups = [popularity.best_of(catalogue, name, value) for value, _ in values[:MOST_VALUES]]
        rows = np.concatenate(groups) if groups else NO_NUMBERS
        if len(rows):
            found.append((name, rows, np.ones(len(rows))))
    return found
