"""Bought together: what goes with what is in the cart or was bought lately.

Candidates of `pipeline`. Pairs of items in one order are counted by training and by the live
tail; the score is their cosine, c(a, b) / sqrt(c(a) c(b)).
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Scores, best_first
from services.recommend.numbers import NO_ITEM

MOST_ITEMS: Final = 60
"""Items of one order that count: pairs grow with the square, and one wholesale order of a
thousand lines must not outweigh a thousand shoppers."""
MOST_PARTNERS: Final = 256
"""Partners remembered of one item; at twice that the rarest half is forgotten."""
MOST_OFFERED: Final = 50
"""Partners of one item that become candidates."""


@dataclass(slots=True)
class Pairs:
    """How often two items were in one order, and each item in any. Bounded by item."""

    orders: dict[int, int] = field(default_factory=dict)
    partners: dict[int, dict[int, int]] = field(default_factory=dict)
    _best: dict[int, tuple[Numbers, Scores]] = field(default_factory=dict)

    def learn(self, order: str, items: Iterable[int]) -> None:
        """Count an order's items; of more than MOST_ITEMS, a sample that its id decides."""
        kept = sample(order, items)
        for item in kept:
            self.orders[item] = self.orders.get(item, 0) + 1
            self._best.pop(item, None)
            partners = self.partners.get(item)
            if partners is None:
                partners = self.partners[item] = {}
            for other in kept:
                if other != item:
                    partners[other] = partners.get(other, 0) + 1
            if len(partners) > 2 * MOST_PARTNERS:
                self.partners[item] = _commonest(partners)

    def best(self, item: int) -> tuple[Numbers, Scores]:
        """The item's partners by descending cosine, equal ones by ascending number."""
        known = self._best.get(item)
        if known is None:
            partners = self.partners.get(item, {})
            numbers = np.fromiter(partners, dtype=np.int64, count=len(partners))
            cosines = [self.cosine(item, other) for other in partners]
            known = best_first(numbers, np.array(cosines, dtype=np.float64), MOST_OFFERED)
            self._best[item] = known
        return known

    def cosine(self, item: int, other: int) -> float:
        """Orders with both, against those with either."""
        both = self.partners.get(item, {}).get(other, 0)
        return both / math.sqrt(self.orders[item] * self.orders[other]) if both else 0.0

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


def score_together(pairs: Pairs, anchors: Sequence[int]) -> tuple[Numbers, Scores]:
    """Partners of the anchors and their cosines; a partner of two anchors stands twice, and the
    higher score counts.

    Anchors count less the later they stand: the newest cart item is what is being completed.
    """
    found = [pairs.best(anchor) for anchor in anchors]
    if not found:
        return NO_NUMBERS, NO_SCORES
    scores = [
        cosines * _weight(place) if place else cosines for place, (_, cosines) in enumerate(found)
    ]
    return np.concatenate([numbers for numbers, _ in found]), np.concatenate(scores)


def cause_of(pairs: Pairs, anchors: Sequence[int], item: int) -> int | None:
    """The anchor that an item goes with best, None where it goes with none of them."""
    scored = [(pairs.cosine(anchor, item) * _weight(at), -at) for at, anchor in enumerate(anchors)]
    best, at = max(scored, default=(0.0, 0))
    return anchors[-at] if best > 0.0 else None


def _weight(place: int) -> float:
    return 1.0 / (1.0 + 0.1 * place)
