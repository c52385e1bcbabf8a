"""What is known of a customer and an item before the next basket, a column a matter.

Between basket_known.py and next_basket.py. What recommend serves of the same matters: orders and
days since from the view, intervals (candidates/intervals.py), bought together, and trending. Pure.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.recommend.arrays import Numbers
from services.recommend.evaluation.basket_known import DAY_MS, DECAY, Known

NAMES: Final = (
    "own",
    "orders",
    "share",
    "decayed",
    "last",
    "since",
    "off_interval",
    "overdue",
    "returns",
    "popular",
    "popular_90",
    "popular_28",
    "popular_7",
    "with_last",
    "with_all",
    "neighbours",
)
SPANS: Final = (90, 28, 7)
NEIGHBOURS: Final = 200
MOST_OF_SOURCE: Final = 60
"""Items of each source that become candidates, beside all that the customer ever bought."""
Table = NDArray[np.float32]


def candidates_of(known: Known, customers: Numbers, now: Numbers) -> tuple[Numbers, Numbers, Table]:
    """Rows (places among `customers`), items and features (a row each) of what may come next.

    now: epoch ms at which each customer comes; what is recent is so before that day.
    """
    size = len(known.popular)
    table = np.zeros((len(NAMES), len(customers), size), dtype=np.float32)
    column = dict(zip(NAMES, table, strict=True))
    newest = _own(known, customers, now, column)
    column["popular"][:] = np.log(known.popular)
    for days in SPANS:
        column[f"popular_{days}"][:] = np.log(known.recently(now, days))
    decayed = sparse.csr_matrix(column["decayed"])
    column["with_last"][:] = np.log1p(10 * (newest @ known.partners).toarray())
    column["with_all"][:] = np.log1p(10 * (decayed @ known.partners).toarray())
    column["neighbours"][:] = np.log1p(100 * _neighbours(known, customers))
    chosen = column["own"] > 0
    for name in ("popular", "popular_28", "with_last", "with_all", "neighbours"):
        chosen |= _best(column[name])
    chosen[:, 0] = False
    rows, items = np.nonzero(chosen)
    return rows, items, table[:, rows, items].T


def _own(known: Known, customers: Numbers, now: Numbers, column: dict[str, Table]) -> Any:
    """Fills what the customer's own orders tell; the newest of them, a row a customer."""
    place_of = np.full(len(known.orders), -1)
    place_of[customers] = np.arange(len(customers))
    mine = np.flatnonzero(place_of[known.lines.customer] >= 0)
    row, item = place_of[known.lines.customer[mine]], known.lines.item[mine]
    back, at = known.place[mine], known.lines.at[mine]
    count = np.zeros_like(column["own"])
    np.add.at(count, (row, item), 1.0)
    np.add.at(column["decayed"], (row, item), DECAY**back)
    np.add.at(column["last"], (row, item), back == 0)
    latest = np.zeros(count.shape, dtype=np.int64)
    np.maximum.at(latest, (row, item), at)
    own = count > 0
    orders = known.orders[customers][:, None]
    days = np.where(own, np.maximum(now[:, None] - latest, 0) / DAY_MS, 0.0)
    off = np.where(own, np.log((days + 1) / (known.returns.days + 1)), 0.0)
    column["own"][:] = own
    column["orders"][:] = np.log1p(count)
    column["share"][:] = np.log((count + 0.1) / (orders + 1)) * own
    column["since"][:] = np.log1p(days)
    column["off_interval"][:] = np.abs(off)
    column["overdue"][:] = np.maximum(off, 0)
    column["returns"][:] = own * np.log(known.returns.share)
    return sparse.csr_matrix(column["last"])


def _neighbours(known: Known, customers: Numbers) -> Table:
    """What the customers most like each bought, weighed by likeness (TIFU-kNN)."""
    alike = (known.directions[customers] @ known.directions.T).toarray()
    alike[np.arange(len(customers)), customers] = 0.0
    kept = min(NEIGHBOURS, alike.shape[1])
    alike[alike < np.partition(alike, -kept, axis=1)[:, -kept][:, None]] = 0.0
    total = alike.sum(axis=1)
    weights = sparse.csr_matrix(alike / np.where(total > 0, total, 1.0)[:, None])
    found: Table = (weights @ known.vectors).toarray()
    return found


def _best(scores: Table) -> NDArray[np.bool_]:
    most = min(MOST_OF_SOURCE, scores.shape[1])
    least = np.partition(scores, -most, axis=1)[:, -most][:, None]
    chosen: NDArray[np.bool_] = (scores >= least) & (scores != 0.0)
    return chosen
