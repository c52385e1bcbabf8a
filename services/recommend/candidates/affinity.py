"""The best of what the shopper prefers: categories, brands and price bands of their affinities."""

from collections.abc import Mapping
from itertools import islice
from typing import Final

from services.recommend.candidates.pool_loops import MOST_VALUES
from services.recommend.catalogue.columns import NONE
from services.recommend.catalogue.index import Catalogue
from services.recommend.popularity import Popularity, finder

MOST_LOOKED_AT: Final = {"category": 3, "brand": 2, "price_band": 1}
"""How many preferred values of a field have their best items looked at: the less a field tells
items apart, the fewer."""

Tastes = Mapping[str, Mapping[int, int]]
"""Affinity field → code of a value in the catalogue → weight, best first."""


def tastes_of(affinities: Mapping[str, list[tuple[str, int]]], catalogue: Catalogue) -> Tastes:
    """The affinities in the catalogue's codes, without values that no item has."""
    tastes: dict[str, dict[int, int]] = {}
    for name, values in affinities.items():
        if name in MOST_LOOKED_AT:
            find = finder(catalogue, name)
            codes = {find(value, NONE): weight for value, weight in values[:MOST_VALUES]}
            codes.pop(NONE, None)
            tastes[name] = codes
    return tastes


def preferred(tastes: Tastes, popularity: Popularity, catalogue: Catalogue) -> list[int]:
    """Places in `popularity.lists` of the most trending items with preferred values. How much a
    value is preferred is a feature, and counts for every candidate."""
    find, places = popularity.lists.find, []
    for name, codes in tastes.items():
        for code in islice(codes, MOST_LOOKED_AT[name]):
            place = find((name, code))
            places.append(popularity.place(catalogue, name, code) if place is None else place)
    return places
