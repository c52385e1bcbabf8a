"""What the shop's visitors want right now, and the catalogue's own order when nobody came yet."""

from collections.abc import Callable
from typing import Final

import numpy as np

from services.recommend.arrays import Numbers, Reasons, best_first, grown
from services.recommend.availability import OFFERABLE, Availability
from services.recommend.catalogue.columns import Rows
from services.recommend.popularity import Popularity

WIDTH: Final = 100


def trending(popularity: Popularity, country: str | None, width: int = WIDTH) -> Numbers:
    """The most trending rows, best first: the country's own, where it is known, before the
    shop's."""
    if country is None or country not in popularity.by_country:
        return popularity.order[:width]
    here = popularity.by_country[country][:width]
    return np.concatenate((here, popularity.order[: width - len(here) // 2]))


def trending_among(popularity: Popularity, available: Availability, width: int = WIDTH) -> Numbers:
    """The most trending of the rows that may be offered: where terms leave few, what trends in the
    whole shop would hardly be among them. Kept with them until popularity is replaced."""
    if available.trending is None or available.trending[0] is not popularity.trending:
        rows = available.eligible()
        scores = grown(popularity.trending, len(available.codes))[rows]
        best, _ = best_first(rows, scores, width)
        available.trending = popularity.trending, best
    return available.trending[1]


def catalogue_order(
    order: Rows, codes: Reasons, taken: frozenset[int], n: int, takes: Callable[[int], bool]
) -> list[int]:
    """The first n offerable rows by item id that are not taken and that the answer takes: the
    bottom of the ladder.

    order: rows by id; codes: availability by row."""
    chosen: list[int] = []
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        for row in part[codes[part] == OFFERABLE].tolist():
            if row not in taken and takes(row):
                chosen.append(row)
                if len(chosen) == n:
                    return chosen
    return chosen
