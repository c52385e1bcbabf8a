"""Bought together: what goes with what is in the cart or was bought lately.

Candidates of `pipeline`. Pairs of items in one order are counted by training and by the live
tail; the score is their cosine, c(a, b) / sqrt(c(a) c(b)).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.recommend.arrays import Numbers, best_first
from services.recommend.candidates.short_lists import ShortLists
from services.recommend.numbers import NO_ITEM

MOST_ITEMS: Final = 60
"""Items of one order that count: pairs grow with the square, and one wholesale order of a
thousand lines must not outweigh a thousand shoppers."""
MOST_PARTNERS: Final = 256
"""Partners remembered of one item; at twice that the rarest half is forgotten."""
MOST_OFFERED: Final = 50
"""Partners of one item that become candidates."""
MOST_LISTED: Final = 50_000
"""Items whose partners are put in order when a model is loaded, those of the most orders first:
the first request to ask for one would wait for it, and does for those beyond (800 bytes each)."""


@dataclass(slots=True)
class Pairs:
    """How often two items were in one order, and each item in any. Bounded by item."""

    orders: dict[int, int] = field(default_factory=dict)
    partners: dict[int, dict[int, int]] = field(default_factory=dict)
    lists: ShortLists[int] = field(default_factory=lambda: ShortLists(MOST_OFFERED))

    def learn(self, order: str, items: Iterable[int]) -> None:
        """Count an order's items; of more than MOST_ITEMS, a sample that its id decides."""
        kept = sample(order, items)
        for item in kept:
            self.orders[item] = self.orders.get(item, 0) + 1
            self.lists.drop(item)
            partners = self.partners.get(item)
            if partners is None:
                partners = self.partners[item] = {}
            for other in kept:
                if other != item:
                    partners[other] = partners.get(other, 0) + 1
            if len(partners) > 2 * MOST_PARTNERS:
                self.partners[item] = _commonest(partners)

    def fill(self, orders: Numbers, together: Numbers) -> None:
        """Take counts into empty ones: rows of (item, orders), and of (item, partner, orders with
        both)."""
        self.orders = dict(orders.tolist())
        for item, other, count in together.tolist():
            self.partners.setdefault(item, {})[other] = count
        if len(together):
            self._put_in_order(orders, together)

    def _put_in_order(self, orders: Numbers, together: Numbers) -> None:
        ordered = np.zeros(int(max(orders[:, 0].max(), together[:, :2].max())) + 1, dtype=np.int64)
        ordered[orders[:, 0]] = orders[:, 1]
        listed = np.zeros(len(ordered), dtype=np.bool_)
        listed[orders[np.argsort(-orders[:, 1], kind="stable")[:MOST_LISTED], 0]] = True
        item, other, both = together[listed[together[:, 0]]].T
        cosines = both / np.sqrt(ordered[item] * ordered[other].astype(np.float64))
        order = np.lexsort((other, -cosines, item))
        item, other, cosines = item[order], other[order], cosines[order]
        begins = np.flatnonzero(np.diff(item, prepend=-1))
        self.lists.fill(item[begins], np.append(begins, len(item)), other, cosines)

    def place(self, item: int) -> int:
        """Where in `lists` the item's partners lie by descending cosine, equal ones by ascending
        number."""
        known = self.lists.find(item)
        if known is None:
            partners = self.partners.get(item, {})
            numbers = np.fromiter(partners, dtype=np.int64, count=len(partners))
            both = np.fromiter(partners.values(), dtype=np.float64, count=len(partners))
            orders = [self.orders[other] for other in partners]
            cosines = both / np.sqrt(self.orders.get(item, 1) * np.array(orders, dtype=np.float64))
            known = self.lists.put(item, *best_first(numbers, cosines, MOST_OFFERED))
        return known

    def together(self, item: int, other: int) -> int:
        """Orders with both, as far as remembered."""
        return self.partners.get(item, {}).get(other, 0)

    def counted(self) -> Iterator[tuple[int, int, int]]:
        """(item, partner, orders with both), for a snapshot."""
        for item, partners in self.partners.items():
            for other, count in partners.items():
                yield item, other, count


def _commonest(partners: dict[int, int]) -> dict[int, int]:
    kept = sorted(partners.items(), key=lambda entry: (-entry[1], entry[0]))[:MOST_PARTNERS]
    return dict(kept)


def sample(order: str, items: Iterable[int]) -> list[int]:
    """An order's distinct items, ascending; at most MOST_ITEMS, chosen by the order's id alone."""
    distinct = sorted(set(items) - {NO_ITEM})
    if len(distinct) <= MOST_ITEMS:
        return distinct

    def draw(item: int) -> bytes:
        return hashlib.blake2b(f"{order}/{item}".encode(), digest_size=8).digest()

    return sorted(sorted(distinct, key=draw)[:MOST_ITEMS])
