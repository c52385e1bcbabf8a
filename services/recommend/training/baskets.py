"""Basket pairs: counted over all orders, and measured by the item that a basket lacks.

One of the trainers that `attune train` runs. Pure.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.candidates.bought_together import MOST_ITEMS, MOST_OFFERED, MOST_PARTNERS
from services.recommend.models.live_parts import pairs_part
from services.recommend.training.counting import count_together
from services.recommend.training.history import History
from shared.models.part import Part

K: Final = 10
MOST_ASKED: Final = 5
"""Items of a basket whose partners are looked at: a cart, not a wholesale order."""


def train(history: History) -> Part | None:
    """In how many orders two items were together; None where there are no orders."""
    lines = history.lines
    if not len(lines.order):
        return None
    together = count_together(
        lines.order, lines.item, most_items=MOST_ITEMS, most_partners=MOST_PARTNERS
    )
    counts = np.bincount(lines.item)
    items = np.flatnonzero(counts)
    return pairs_part(
        np.column_stack((items, counts[items])).astype(np.int64), np.column_stack(together)
    )


class Completion:
    """What baskets lack, by a part's pairs: cosines of partners, summed over the basket's items.
    local: the number here of each item of the part."""

    def __init__(self, part: Part, local: Numbers) -> None:
        orders, together = part.arrays["orders"], part.arrays["together"]
        size = int(local.max(initial=0)) + 1
        counts = np.zeros(size, dtype=np.int64)
        counts[local[orders[:, 0]]] = orders[:, 1]
        item, other, both = local[together[:, 0]], local[together[:, 1]], together[:, 2]
        cosines = both / np.sqrt(np.maximum(counts[item] * counts[other], 1).astype(np.float64))
        order = np.lexsort((other, -cosines, item))
        self._others, self._cosines = other[order], cosines[order]
        self._begins = np.searchsorted(item[order], np.arange(size + 1))
        self.popular: Numbers = np.lexsort((np.arange(size), -counts))[: 2 * K + MOST_ITEMS]

    def complete(self, asked: Sequence[int]) -> Numbers:
        """The K best items for a basket of these, none of them among them; fewer where the pairs
        know fewer."""
        rows = np.concatenate([self._rows(item) for item in asked])
        items, place = np.unique(self._others[rows], return_inverse=True)
        scores = np.zeros(len(items))
        np.add.at(scores, place, self._cosines[rows])
        scores[np.isin(items, asked)] = -1.0
        best = np.lexsort((items, -scores))[:K]
        found: Numbers = items[best[scores[best] > 0.0]]
        return found

    def commonest(self, asked: Sequence[int]) -> Numbers:
        """The K items of the most orders, none of these."""
        found: Numbers = self.popular[~np.isin(self.popular, asked)][:K]
        return found

    def _rows(self, item: int) -> Numbers:
        if item + 1 >= len(self._begins):
            return np.empty(0, dtype=np.int64)
        begin, end = int(self._begins[item]), int(self._begins[item + 1])
        return np.arange(begin, min(end, begin + MOST_OFFERED))


def cases(baskets: Sequence[Sequence[int]], seed: int) -> list[tuple[list[int], int, int]]:
    """One item of each basket hidden, and up to MOST_ASKED others shown: (shown, hidden, place of
    the basket). Baskets of one item are no cases."""
    random = np.random.default_rng(seed)
    found = []
    for place, items in enumerate(baskets):
        drawn = random.permutation(np.array(items))[: MOST_ASKED + 1].tolist()
        if len(drawn) > 1:
            found.append((drawn[1:], drawn[0], place))
    return found


def hits(found: Sequence[Numbers], hidden: Sequence[int]) -> Scores:
    """1 for each case whose hidden item was found, else 0: the recall at K."""
    pairs = zip(found, hidden, strict=True)
    return np.array([float(item in items) for items, item in pairs], dtype=np.float64)
