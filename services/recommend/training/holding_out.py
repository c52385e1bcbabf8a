"""The newest part of a history, held out: on it new versions are measured, and the one in force.

Between the history and the trainers' figures. Pure.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.training.history import NO_SESSION, History, until

SHARE: Final = 0.1
FEWEST: Final = 500
"""Sessions and orders together, below which nothing is held out: there are no figures then."""
MOST_CASES: Final = 2_000
"""Cases of a kind that are measured: an even sample of them, where there are more."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """early: the history before `moment` (epoch ms); later: sessions since, oldest first (item
    numbers as they were seen); baskets: items of the orders since, ascending, oldest first, and
    whose they are (customer codes)."""

    moment: int
    early: History
    later: list[list[int]]
    baskets: list[list[int]]
    customers: Numbers


def hold_out(history: History) -> HeldOut | None:
    """The newest tenth of sessions and orders by time; None where there are too few."""
    ends = _ends(history)
    times = np.sort(np.concatenate((ends, history.lines.at[_firsts(history)])))
    if len(times) < FEWEST:
        return None
    moment = int(times[-max(1, int(len(times) * SHARE))])
    sessions = sessions_of(history, int(np.searchsorted(ends, moment)))
    lines = history.lines.only(history.lines.at >= moment)
    begins = np.flatnonzero(np.diff(lines.order, prepend=-1))
    baskets = [part.tolist() for part in np.split(lines.item, begins[1:])] if len(begins) else []
    kept = _spread(len(baskets))
    return HeldOut(
        moment=moment,
        early=until(history, moment),
        later=[sessions[place] for place in _spread(len(sessions))],
        baskets=[baskets[place] for place in kept],
        customers=lines.customer[begins][kept].astype(np.int64),
    )


def sessions_of(history: History, first: int = 0) -> list[list[int]]:
    """The items of each session from number `first` on that has two items or more, in the order
    of their ends; items as they were seen, with repeats."""
    touches = history.touches
    rows = np.flatnonzero(touches.session >= max(first, NO_SESSION + 1))
    rows = rows[np.argsort(touches.session[rows], kind="stable")]
    begins = np.flatnonzero(np.diff(touches.session[rows], prepend=-1))
    found = [part.tolist() for part in np.split(touches.item[rows], begins[1:])]
    return [items for items in found if len(set(items)) > 1]


def _ends(history: History) -> Numbers:
    """When each session ended; ascending, since that is how they are numbered."""
    touches = history.touches
    some = touches.session != NO_SESSION
    ends = np.zeros(history.sessions, dtype=np.int64)
    np.maximum.at(ends, touches.session[some], touches.at[some])
    return ends


def _firsts(history: History) -> Numbers:
    return np.flatnonzero(np.diff(history.lines.order, prepend=-1))


def _spread(count: int) -> Numbers:
    step = -(-count // MOST_CASES) or 1
    return np.arange(0, count, step)
