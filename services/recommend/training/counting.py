"""What is counted over a history: sessions, pairs of items in one order, times between purchases.

Each function is one logical job: columns in, columns out, told apart from where it runs. Over an
archive that outgrows one machine the same jobs are window functions and a join (each says which).
Rows come in any order and the result does not depend on it. Pure.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers

NO_SESSION: Final = -1
BLOCK: Final = 2_000_000
"""Pairs counted at a time, some 100 bytes each: what bounds the memory of count_together."""


class Together(NamedTuple):
    """Pairs of items that were in one order: by item, then the most common partner first (equal
    ones by ascending number). Each pair stands here twice, once from either side."""

    item: Numbers
    other: Numbers
    orders: Numbers


class Gap(NamedTuple):
    """A customer bought an item again: ordered by item, then time, then customer."""

    item: Codes
    customer: Codes
    ms: Numbers
    at: Numbers
    """When it was bought again, epoch ms."""


def number_sessions(customer: Codes, at: NDArray[np.int64], idle_ms: int) -> Codes:
    """The session of each touch: a customer's touches with no gap of more than `idle_ms`.

    Numbered by the time of their last touch, equal times by customer. As a window: by customer
    in order of `at`, a session begins where `at` is more than `idle_ms` behind the row before.
    """
    if not len(customer):
        return np.empty(0, dtype=np.int32)
    order = np.lexsort((at, customer))
    of, when = customer[order], at[order]
    begins = np.ones(len(of), dtype=np.bool_)
    begins[1:] = (of[1:] != of[:-1]) | (when[1:] - when[:-1] > idle_ms)
    found = np.cumsum(begins) - 1
    last = np.append(np.flatnonzero(begins)[1:], len(of)) - 1
    number = np.empty(len(last), dtype=np.int32)
    number[np.lexsort((of[last], when[last]))] = np.arange(len(last), dtype=np.int32)
    sessions = np.empty(len(of), dtype=np.int32)
    sessions[order] = number[found]
    return sessions


def count_together(order: Codes, item: Codes, *, most_items: int, most_partners: int) -> Together:
    """In how many orders two items were together; each item once an order.

    Of an order with more than `most_items` a sample counts, of an item the `most_partners` most
    common partners are kept. As a join: the lines with themselves on `order`, grouped by both
    items.
    """
    place = np.lexsort((item, order))
    of, items = _sampled(order[place], item[place].astype(np.int64), most_items)
    begins = np.flatnonzero(np.diff(of, prepend=-1))
    lengths = np.diff(np.append(begins, len(of)))
    baskets = Baskets(items, np.repeat(begins, lengths), np.repeat(lengths, lengths))
    counted = [_commonest(*_counted(baskets, rows), most_partners) for rows in _blocks(baskets)]
    nothing = np.empty(0, dtype=np.int64)
    columns = zip(Together(nothing, nothing, nothing), *counted, strict=True)
    return Together(*(np.concatenate(column) for column in columns))


class Baskets(NamedTuple):
    """Lines ordered by order: the item of each, where its order begins and how many it has."""

    item: Numbers
    begin: Numbers
    length: Numbers


def repurchases(customer: Codes, item: Codes, at: NDArray[np.int64]) -> Gap:
    """Times between two purchases of an item by the same customer. As a window: by customer and
    item in order of `at`, the difference to the row before."""
    order = np.lexsort((at, item, customer))
    of, what, when = customer[order], item[order], at[order]
    again = np.flatnonzero((of[1:] == of[:-1]) & (what[1:] == what[:-1])) + 1
    again = again[np.lexsort((of[again], when[again], what[again]))]
    return Gap(what[again], of[again], when[again] - when[again - 1], when[again])


def _sampled(order: Codes, item: Numbers, most: int) -> tuple[Codes, Numbers]:
    """Of each order the `most` lines that a mix of order and item draws; by order, then item."""
    # 64-bit finaliser of MurmurHash3: the draw of a line depends on the line alone
    mixed = (order.astype(np.uint64) << np.uint64(32)) ^ item.astype(np.uint64)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(33)
    drawn = np.lexsort((mixed, order))
    begins = np.flatnonzero(np.diff(order, prepend=-1))
    lengths = np.diff(np.append(begins, len(order)))
    rank = np.arange(len(order)) - np.repeat(begins, lengths)
    kept = np.sort(drawn[rank < most])
    return order[kept], item[kept]


def _blocks(baskets: Baskets) -> list[Numbers]:
    """The lines in runs of whole items, ascending, of about BLOCK pairs each."""
    lines = np.argsort(baskets.item, kind="stable")
    pairs = np.cumsum(baskets.length[lines])
    begins = np.flatnonzero(np.diff(baskets.item[lines], prepend=-1))
    block = (pairs[begins] - 1) // BLOCK if len(begins) else begins
    return [run for run in np.split(lines, begins[np.flatnonzero(np.diff(block)) + 1]) if len(run)]


def _counted(baskets: Baskets, lines: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Item, other item and count of the orders with both, for the items of these lines."""
    partners = baskets.length[lines]
    left = np.repeat(lines, partners)
    within = np.arange(len(left)) - np.repeat(np.cumsum(partners) - partners, partners)
    right = np.repeat(baskets.begin[lines], partners) + within
    apart = left != right
    width = int(baskets.item.max()) + 1
    keys = baskets.item[left[apart]] * width + baskets.item[right[apart]]
    keys, counts = np.unique(keys, return_counts=True)
    return keys // width, keys % width, counts


def _commonest(item: Numbers, other: Numbers, count: Numbers, most: int) -> Together:
    order = np.lexsort((other, -count, item))
    item, other, count = item[order], other[order], count[order]
    begins = np.flatnonzero(np.diff(item, prepend=-1))
    lengths = np.diff(np.append(begins, len(item)))
    kept = np.arange(len(item)) - np.repeat(begins, lengths) < most
    return Together(item[kept], other[kept], count[kept])
