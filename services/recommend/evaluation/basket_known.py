"""What next-basket predictions are made of: one shop's orders, as matrices of customers and items.

Between next_basket.py, which decides which orders are known, and basket_features.py. Pure.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.recommend.arrays import Numbers, Scores
from services.recommend.candidates.bought_together import MOST_ITEMS
from services.recommend.training.counting import count_together
from services.recommend.training.history import History, Lines
from services.recommend.training.intervals import Returns, returns

DAY_MS: Final = 86_400_000
DECAY: Final = 0.8
"""What an order counts for against the next one of the same customer (TIFU-kNN's decay)."""
MOST_PARTNERS: Final = 100
SHRINK: Final = 10.0
"""Orders added to each item's when partners are weighed: rare items prove little."""
PRIOR: Final = 5.0
LEAST: Final = 1e-5
Matrix = Any
"""scipy.sparse has no types: a CSR matrix."""


@dataclass(frozen=True, slots=True)
class Known:
    """Rows of `vectors` are customers, columns items: orders decayed, and the same weighed by
    rarity to length one in `directions`. partners: items x items; sold: orders with an item up to
    the end of each day from first_day, one row more; returns: by item; popular: share of orders.
    orders: of each customer; place: of each line, how many orders of its customer came after."""

    lines: Lines
    place: Numbers
    orders: Numbers
    popular: Scores
    sold: NDArray[np.float32]
    first_day: int
    partners: Matrix
    vectors: Matrix
    directions: Matrix
    returns: Returns

    def recently(self, now: Numbers, days: int) -> Scores:
        """Share of lines by item in the days before each time; PRIOR orders as it always was."""
        last = len(self.sold) - 1
        end = np.clip(now // DAY_MS - self.first_day, 0, last)
        counts = self.sold[end] - self.sold[np.clip(end - days, 0, last)]
        usual = PRIOR * self.popular
        share: Scores = (counts + usual) / (counts.sum(axis=1, keepdims=True) + usual.sum())
        return share


def known_from(history: History, lines: Lines, identified: NDArray[np.bool_]) -> Known:
    """What these lines tell. identified: by customer code, whether several orders can be theirs."""
    size, people = len(history.items), len(history.customers)
    orders, place = places(lines, people)
    popular = np.bincount(lines.item, minlength=size) / max(len(np.unique(lines.order)), 1)
    weights = np.where(identified[lines.customer], DECAY**place, 0.0).astype(np.float32)
    vectors = _matrix(weights, lines.customer, lines.item, (people, size))
    rarity = np.log(1.0 / (popular + LEAST))
    directions = _unit(vectors @ sparse.diags(rarity.astype(np.float32)))
    days = lines.at // DAY_MS
    first = int(days.min()) if len(days) else 0
    sold = np.zeros((int(days.max(initial=first)) - first + 2, size), dtype=np.float32)
    np.add.at(sold, (days - first + 1, lines.item), 1.0)
    return Known(
        lines=lines,
        place=place,
        orders=orders,
        popular=popular + LEAST,
        sold=sold.cumsum(axis=0, dtype=np.float32),
        first_day=first,
        partners=_partners(lines, size),
        vectors=vectors,
        directions=directions,
        returns=returns(lines, size),
    )


def places(lines: Lines, people: int) -> tuple[Numbers, Numbers]:
    """How many orders each customer has, and for each line how many of them came after its own."""
    number, first = np.unique(lines.order, return_index=True)
    customer = lines.customer[first]
    orders = np.bincount(customer, minlength=people)
    begins = np.cumsum(orders) - orders
    by_customer = np.argsort(customer, kind="stable")
    rank = np.empty(len(number), dtype=np.int64)
    rank[by_customer] = np.arange(len(number)) - begins[customer[by_customer]]
    after = orders[customer] - 1 - rank
    return orders, after[np.searchsorted(number, lines.order)]


def _partners(lines: Lines, size: int) -> Matrix:
    pairs = count_together(
        lines.order, lines.item, most_items=MOST_ITEMS, most_partners=MOST_PARTNERS
    )
    orders = np.bincount(lines.item, minlength=size) + SHRINK
    likeness = pairs.orders / np.sqrt(orders[pairs.item] * orders[pairs.other])
    return _matrix(likeness.astype(np.float32), pairs.item, pairs.other, (size, size))


def _matrix(values: Any, rows: Any, columns: Any, shape: tuple[int, int]) -> Matrix:
    return sparse.csr_matrix((values, (rows, columns)), shape=shape)


def _unit(matrix: Matrix) -> Matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return (sparse.diags(1.0 / np.where(lengths > 0, lengths, 1.0)) @ matrix).tocsr()
