"""Learns repurchase intervals of orders: typical days by item, and who came back.

One trainer of `attune train`. Counts come of counting.repurchases, the same wherever it runs. Pure.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from services.recommend.arrays import Codes, Numbers, Scores
from services.recommend.candidates.intervals import Intervals
from services.recommend.training.counting import repurchases
from services.recommend.training.history import History, Lines

DAY_MS: Final = 86_400_000
SHORTEST_DAYS: Final = 1.0
"""Orders on one day are one purchase in parts."""
PRIOR_GAPS: Final = 5.0
PRIOR_BUYERS: Final = 10.0
LEAST_GAPS: Final = 20
"""Repurchases in the whole shop below which there is nothing to learn."""
LEAST_SPREAD: Final = 0.3


class Returns(NamedTuple):
    """By item: days, the typical interval; share, of its buyers those who came back; gaps, how
    many were seen. usual: the whole shop's share; spread: of log intervals around their items'."""

    days: Scores
    share: Scores
    gaps: Numbers
    usual: float
    spread: float


def train(history: History, seed: int, say: Callable[[str], None]) -> Intervals | None:
    """Intervals by local item number; None where hardly anything was bought twice."""
    found = returns(history.lines, len(history.items))
    known = found.gaps > 0
    if found.gaps.sum() < LEAST_GAPS:
        say("buy again: hardly anything was bought twice, no intervals")
        return None
    say(
        f"buy again: {known.sum()} items were bought again, typically after "
        f"{np.median(found.days[known]):.0f} days, by {found.usual:.0%} of their buyers"
    )
    return Intervals(
        np.where(known, found.days, 0.0), np.where(known, found.share, 0.0), found.spread
    )


def returns(lines: Lines, size: int) -> Returns:
    """What a history tells of returns, for each of `size` items.

    An item's interval is the geometric mean of its own and PRIOR_GAPS of the whole shop's mean; its
    share that of its buyers who came back, with PRIOR_BUYERS of the whole shop's. The latest buyers
    could not come back yet, so shares are a little low: alike for all items.
    """
    gaps = repurchases(lines.customer, lines.item, lines.at)
    days = gaps.ms / DAY_MS
    kept = days >= SHORTEST_DAYS
    item, customer, logs = gaps.item[kept], gaps.customer[kept], np.log(days[kept])
    count = np.bincount(item, minlength=size)
    usual = float(logs.mean()) if len(logs) else 0.0
    typical = np.bincount(item, weights=logs, minlength=size) + PRIOR_GAPS * usual
    typical /= count + PRIOR_GAPS
    buyers = _different(lines.item, lines.customer, size)
    back = _different(item, customer, size)
    whole = (back.sum() + 1.0) / (buyers.sum() + 2.0)
    share = (back + PRIOR_BUYERS * whole) / (buyers + PRIOR_BUYERS)
    spread = max(float(np.std(logs - typical[item])), LEAST_SPREAD) if len(logs) else LEAST_SPREAD
    return Returns(np.exp(typical), share, count, whole, spread)


def _different(item: Codes, customer: Codes, size: int) -> Numbers:
    """By item, how many different customers."""
    pairs = np.unique(np.stack([item.astype(np.int64), customer.astype(np.int64)]), axis=1)
    return np.bincount(pairs[0], minlength=size)
