"""What the shop's visitors want right now, and the catalogue's own order when nobody came yet."""

from typing import Final

from services.recommend.arrays import Numbers, Reasons
from services.recommend.availability import OFFERABLE
from services.recommend.catalogue.columns import Rows
from services.recommend.popularity import Popularity

WIDTH: Final = 100


def trending(popularity: Popularity, width: int = WIDTH) -> Numbers:
    """The most trending rows, best first."""
    return popularity.order[:width]


def catalogue_order(order: Rows, codes: Reasons, taken: frozenset[int], n: int) -> list[int]:
    """The first n offerable rows by item id that are not taken: the bottom of the ladder.

    order: rows by id; codes: availability by row."""
    chosen: list[int] = []
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        for row in part[codes[part] == OFFERABLE].tolist():
            if row not in taken:
                chosen.append(row)
                if len(chosen) == n:
                    return chosen
    return chosen
