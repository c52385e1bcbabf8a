"""Bought together: what goes with what is in the cart or was bought lately.

Candidates of `pipeline`. Pairs of items in one order are counted by training and by the live
tail; the score is their cosine, c(a, b) / sqrt(c(a) c(b)).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from services.recommend.arrays import Codes, Numbers, best_first, grown
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


class Trained(NamedTuple):
    """Counts that a model brought: of item n the partners and the orders with both lie from
    bounds[n] to bounds[n + 1]. Arrays, since a dict of millions of entries would hold up requests
    for as long as it takes to make it, and once more to free it."""

    bounds: Numbers
    others: Codes
    orders: Codes

    def of(self, item: int) -> dict[int, int]:
        """An item's partners, and orders with both."""
        if item + 1 >= len(self.bounds):
            return {}
        own = slice(self.bounds[item], self.bounds[item + 1])
        return dict(zip(self.others[own].tolist(), self.orders[own].tolist(), strict=True))


def _nothing_trained() -> Trained:
    return Trained(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32))


@dataclass(slots=True)
class Pairs:
    """How often two items were in one order, and each item in any. Bounded by item.

    orders: int64 by item number. `learned` holds the items that orders came of since the model was
    made, with what it had of them; `partners_of` knows both.
    """

    orders: Numbers = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    learned: dict[int, dict[int, int]] = field(default_factory=dict)
    lists: ShortLists[int] = field(default_factory=lambda: ShortLists(MOST_OFFERED))
    _trained: Trained = field(default_factory=_nothing_trained)

    def learn(self, order: str, items: Iterable[int]) -> None:
        """Count an order's items; of more than MOST_ITEMS, a sample that its id decides."""
        kept = sample(order, items)
        self.orders = grown(self.orders, max(kept, default=0) + 1)
        for item in kept:
            self.orders[item] += 1
            self.lists.drop(item)
            partners = self.learned.get(item)
            if partners is None:
                partners = self.learned[item] = self._trained.of(item)
            for other in kept:
                if other != item:
                    partners[other] = partners.get(other, 0) + 1
            if len(partners) > 2 * MOST_PARTNERS:
                self.learned[item] = _commonest(partners)

    def fill(self, orders: Numbers, together: Codes) -> None:
        """Take counts into empty ones: rows of (item, orders), and of (item, partner, orders with
        both). Every step lets go of the interpreter."""
        size = int(max(orders[:, 0].max(initial=0), together[:, :2].max(initial=0))) + 1
        self.orders = np.zeros(size, dtype=np.int64)
        self.orders[orders[:, 0]] = orders[:, 1]
        self.orders[NO_ITEM] = 0
        item, other, both = (np.ascontiguousarray(column) for column in together.T)
        order = np.argsort(item, kind="stable")
        order = order[(item[order] != NO_ITEM) & (other[order] != NO_ITEM)]
        item, other, both = item[order], other[order], both[order]
        bounds = np.searchsorted(item, np.arange(size + 1))
        self._trained = Trained(bounds, other, both)
        self._put_in_order(item, other, both)

    def _put_in_order(self, item: Codes, other: Codes, both: Codes) -> None:
        listed = np.zeros(len(self.orders), dtype=np.bool_)
        listed[np.argsort(-self.orders, kind="stable")[:MOST_LISTED]] = True
        wanted = listed[item]
        item, other, both = item[wanted], other[wanted], both[wanted]
        cosines = both / np.sqrt(self.orders[item] * self.orders[other].astype(np.float64))
        order = np.lexsort((other, -cosines, item))
        item, cosines = item[order], cosines[order]
        begins = np.flatnonzero(np.diff(item, prepend=-1))
        keys = item[begins].tolist()
        self.lists.fill(keys, np.append(begins, len(item)), other[order].astype(np.int64), cosines)

    def partners_of(self, item: int) -> dict[int, int]:
        """An item's partners, and orders with both, as far as remembered; not to be changed."""
        known = self.learned.get(item)
        return self._trained.of(item) if known is None else known

    def place(self, item: int) -> int:
        """Where in `lists` the item's partners lie by descending cosine, equal ones by ascending
        number."""
        known = self.lists.find(item)
        if known is None:
            partners = self.partners_of(item)
            numbers = np.fromiter(partners, dtype=np.int64, count=len(partners))
            both = np.fromiter(partners.values(), dtype=np.float64, count=len(partners))
            orders = self.orders[numbers].astype(np.float64)
            own = int(self.orders[item]) if len(numbers) else 1
            cosines = both / np.sqrt(own * orders)
            known = self.lists.put(item, *best_first(numbers, cosines, MOST_OFFERED))
        return known

    def together(self, item: int, other: int) -> int:
        """Orders with both, as far as remembered."""
        return self.partners_of(item).get(other, 0)

    def counted(self) -> Iterator[tuple[int, int, int]]:
        """(item, partner, orders with both), for a snapshot."""
        for item in range(len(self.orders)):
            for other, count in self.partners_of(item).items():
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
