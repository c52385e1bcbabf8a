"""Who touched what, each pair once: what matrix models learn from, and how it is split by time.

Between History (or a file of `attune evaluate top-n`) and LightFM, EASE and cosine. Pure.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes
from services.recommend.numbers import NO_ITEM
from services.recommend.training.history import History
from shared.profile import BOUGHT, KIND_WEIGHTS

if TYPE_CHECKING:
    from scipy.sparse import csr_array

HELD_OUT: Final = 0.2
FEWEST_ROWS: Final = 5
"""Users with fewer keep all they have when settings are chosen."""
MOST_ROWS: Final = 3_000_000
"""Pairs that training looks at: the latest, where there are more."""


class Interactions(NamedTuple):
    """One row a pair of user and item, by user, then item. at: the last time, in any unit; users,
    items: how many there are, with or without a row."""

    user: Codes
    item: Codes
    weight: NDArray[np.float32]
    at: NDArray[np.int64]
    users: int
    items: int

    def where(self, kept: NDArray[np.bool_]) -> "Interactions":
        """Those rows alone, of as many users and items."""
        return Interactions(
            self.user[kept], self.item[kept], self.weight[kept], self.at[kept], *self[4:]
        )

    def matrix(self) -> "csr_array":
        """float32 csr_array[users, items] of the weights."""
        from scipy.sparse import csr_array  # noqa: PLC0415  (training only)

        bounds = np.searchsorted(self.user, np.arange(self.users + 1))
        return csr_array(
            (self.weight, self.item.astype(np.int32), bounds.astype(np.int32)),
            shape=(self.users, self.items),
        )


class Split(NamedTuple):
    """Where settings are chosen: learn from `earlier`, predict `later`."""

    earlier: Interactions
    later: Interactions


def interactions_of(
    user: NDArray[np.integer],
    item: NDArray[np.integer],
    weight: NDArray[np.floating],
    at: NDArray[np.int64],
    shape: tuple[int, int],
) -> Interactions:
    """Rows in any order, each pair made one: the greatest weight and the last time."""
    pair = user.astype(np.int64) * shape[1] + item
    order = np.argsort(pair, kind="stable")
    begins = np.flatnonzero(np.diff(pair[order], prepend=-1))
    if not len(order):
        empty = np.empty(0, dtype=np.int32)
        return Interactions(empty, empty, empty.astype(np.float32), empty.astype(np.int64), *shape)
    first = order[begins]
    return Interactions(
        user[first].astype(np.int32),
        item[first].astype(np.int32),
        np.maximum.reduceat(weight[order], begins).astype(np.float32),
        np.maximum.reduceat(at[order], begins),
        *shape,
    )


def interactions_in(history: History) -> Interactions:
    """What each identity touched or bought, weighed by its strongest kind of interest. Of more
    than MOST_ROWS, the latest."""
    touches, lines = history.touches, history.lines
    weights = np.zeros(128, dtype=np.float32)
    for kind, weight in KIND_WEIGHTS.items():
        weights[kind] = weight
    bought = np.full(len(lines.item), weights[BOUGHT], dtype=np.float32)
    item = np.concatenate([touches.item, lines.item])
    kept = item != NO_ITEM
    found = interactions_of(
        np.concatenate([touches.customer, lines.customer])[kept],
        item[kept],
        np.concatenate([weights[touches.kind], bought])[kept],
        np.concatenate([touches.at, lines.at])[kept],
        (len(history.customers), len(history.items)),
    )
    if len(found.at) > MOST_ROWS:
        latest = np.zeros(len(found.at), dtype=np.bool_)
        latest[np.argsort(found.at, kind="stable")[-MOST_ROWS:]] = True
        found = found.where(latest)
    return found


def split_by_time(data: Interactions, share: float = HELD_OUT, fewest: int = FEWEST_ROWS) -> Split:
    """Of each user with at least `fewest` rows the latest `share` held out, equal times by
    item; the others stay whole in `earlier`."""
    order = np.lexsort((data.item, data.at, data.user))
    counts = np.bincount(data.user, minlength=data.users)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(order)) - starts[data.user[order]]
    held = np.where(counts >= fewest, np.maximum((counts * share).astype(np.int64), 1), 0)
    late = np.empty(len(order), dtype=np.bool_)
    late[order] = place >= (counts - held)[data.user[order]]
    return Split(data.where(~late), data.where(late))


def some_users(data: Interactions, rows: int, seed: int) -> Interactions:
    """All rows of so many users, drawn at random, that there are about `rows`."""
    if len(data.user) <= rows:
        return data
    drawn = np.random.default_rng(seed).permutation(data.users)
    counts = np.bincount(data.user, minlength=data.users)[drawn]
    taken = drawn[: 1 + int(np.searchsorted(np.cumsum(counts), rows))]
    kept = np.zeros(data.users, dtype=np.bool_)
    kept[taken] = True
    return data.where(kept[data.user])
