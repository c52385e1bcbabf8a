"""The parts that go on learning while recommend runs: sessions and basket pairs.

Training leaves them, the keeper takes them up; the other parts make themselves (`part`, `of`).
"""

from dataclasses import asdict
from typing import Final, NamedTuple

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.learning import Learned
from services.recommend.numbers import ItemNumbers
from shared.models.part import Part

SESSIONS: Final = "sessions"
PAIRS: Final = "pairs"


class LiveParts(NamedTuple):
    """What was learned, and the settings that neighbours are looked for with."""

    learned: Learned
    neighbours: NeighbourSettings


def sessions_part(index: SessionIndex, settings: NeighbourSettings) -> Part:
    """The index's sessions as rows of item numbers, oldest first, padded with 0."""
    count = min(index.total, index.capacity)
    places = np.arange(index.total - count, index.total) % index.capacity
    return Part(SESSIONS, {"rows": index.rows[places]}, asdict(settings))


def pairs_part(orders: Numbers, together: Numbers) -> Part:
    """orders: rows of (item, orders with it); together: rows of (item, partner, orders with
    both)."""
    return Part(PAIRS, {"orders": orders, "together": together.astype(np.int32)})


def live_parts(
    parts: dict[str, Part], local: Numbers, numbers: ItemNumbers, capacity: int
) -> LiveParts:
    """What was learned under the numbers of this process, `local` by number of the version; empty
    where a part is missing."""
    index, pairs, settings = SessionIndex(capacity=capacity), Pairs(), NeighbourSettings()
    if SESSIONS in parts:
        part = parts[SESSIONS]
        index.fill(local[part.arrays["rows"].astype(np.int64)].astype(np.int32))
        settings = NeighbourSettings.of(part.facts)
    if PAIRS in parts:
        arrays = parts[PAIRS].arrays
        orders, together = arrays["orders"].astype(np.int64), arrays["together"].astype(np.int32)
        orders[:, 0], together[:, :2] = local[orders[:, 0]], local[together[:, :2]]
        pairs.fill(orders, together)
    return LiveParts(Learned(numbers, index, pairs), settings)
