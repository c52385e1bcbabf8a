"""What sells and what is looked at, by catalogue row: trending, best of a group, click rates.

Made of the item statistics each time they change; read by candidates, features and reasons.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Scores, best_first, grown
from services.recommend.candidates.short_lists import ShortLists
from services.recommend.catalogue.index import Catalogue
from services.recommend.numbers import NO_ITEM
from services.recommend.statistics import FIXED_BITS, KINDS, ItemStatistics

MOST_TRENDING: Final = 300
MOST_OF_A_GROUP: Final = 20
_BANDS: Final = {str(band): band for band in range(100)}
PRIOR_VIEWS: Final = 20.0
"""How many views at the shop's average rate an item is taken to have had before its own."""


@dataclass(slots=True)
class Popularity:
    """By row: `trending` scaled so that the greatest is 1 (logarithmically), `conversion` the
    purchases a view, smoothed, as a multiple of the shop's average, at most 5, scaled to 1;
    `order`: trending rows, best first, equal ones by row."""

    trending: Scores = field(default_factory=lambda: NO_SCORES)
    conversion: Scores = field(default_factory=lambda: NO_SCORES)
    order: Numbers = field(default_factory=lambda: NO_NUMBERS)
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((0, len(KINDS)), dtype=np.int64)
    )
    lists: ShortLists[tuple[str, int]] = field(default_factory=lambda: ShortLists(MOST_OF_A_GROUP))
    by_country: dict[str, Numbers] = field(default_factory=dict)
    """By country: rows that trend there, as `order`."""
    texts: dict[tuple[int, int], str] = field(default_factory=dict)
    """By feature and row: reasons that rest on these counts, as explain.py has made them."""

    def place(self, catalogue: Catalogue, name: str, code: int) -> int:
        """Where in `lists` the most trending rows lie whose field has this code, best first, equal
        ones by row."""
        known = self.lists.find((name, code))
        if known is None:
            column = column_of(catalogue, name)
            members = np.flatnonzero(column == code)
            # items newer than these sums trend as little as any
            trending = grown(self.trending, len(column))
            best, _ = best_first(members, trending[members], MOST_OF_A_GROUP)
            known = self.lists.put((name, code), best)
        return known

    def evidence(self, row: int) -> str:
        """What is counted of an item, as its reasons go on after their code in JSON."""
        if row >= len(self.counts):
            return ""
        views, carts, purchases, *_ = self.counts[row].tolist()
        return f',"evidence":{{"views":{views},"carts":{carts},"purchases":{purchases}}}'


def rank_popularity(statistics: ItemStatistics, number_of: Numbers) -> Popularity:
    """Popularity of the catalogue's rows; `number_of`: item number by row."""
    inside = np.where(number_of < len(statistics.trend), number_of, NO_ITEM)
    unit = float(1 << FIXED_BITS)
    trending = np.log1p(statistics.trend[inside] / unit)
    counts = statistics.counts[inside]
    views, purchases = counts[:, 0].astype(np.float64), counts[:, 2].astype(np.float64)
    average = float(purchases.sum() / max(views.sum(), 1.0))
    rate = (purchases + PRIOR_VIEWS * average) / (views + PRIOR_VIEWS)
    conversion = np.minimum(rate / max(average, 1e-9), 5.0) / 5.0
    found = np.flatnonzero(trending)
    order, _ = best_first(found, trending[found], MOST_TRENDING)
    greatest = float(trending.max()) if len(trending) else 0.0
    by_country = {
        country: _leading(trend, number_of) for country, trend in statistics.countries.items()
    }
    return Popularity(
        trending / max(greatest, 1e-9), conversion, order, counts, by_country=by_country
    )


def _leading(trend: NDArray[np.int64], number_of: Numbers) -> Numbers:
    """Rows that trend, best first."""
    here = trend[np.where(number_of < len(trend), number_of, NO_ITEM)]
    found = np.flatnonzero(here > 0)
    return best_first(found, here[found].astype(np.float64), MOST_TRENDING)[0]


def finder(catalogue: Catalogue, name: str) -> Callable[[str, int], int]:
    """Finds the code of an affinity field's value in the catalogue, or gives what is named for
    values that no item has."""
    if name == "category":
        return catalogue.categories.get
    return catalogue.brands.get if name == "brand" else _BANDS.get


def label_of(catalogue: Catalogue, name: str, code: int) -> str:
    """The value of an affinity field that a code stands for."""
    if name == "category":
        return catalogue.categories.labels[code]
    return catalogue.brands.labels[code] if name == "brand" else str(code)


def column_of(catalogue: Catalogue, name: str) -> NDArray[np.signedinteger[Any]]:
    """The codes of an affinity field by row."""
    columns = catalogue.columns
    if name == "category":
        return columns.category[: columns.size]
    return columns.brand[: columns.size] if name == "brand" else columns.price_band[: columns.size]
