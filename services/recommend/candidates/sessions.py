"""The index of sessions: what was looked at together, and by item the newest sessions with it.

Training fills it, the live tail extends it while sessions run, `neighbours_of` (neighbours.py)
finds in it. The structure is that of VMIS-kNN: Kersbergen, Sprangers and Schelter, "Serenade",
SIGMOD 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from services.recommend.arrays import Codes, Numbers, grown
from services.recommend.candidates.neighbour_loops import SessionArrays
from services.recommend.candidates.neighbour_weights import LONGEST_SESSION
from services.recommend.candidates.postings import Postings
from services.recommend.numbers import NO_ITEM


@dataclass(slots=True)
class SessionIndex:
    """The newest `capacity` sessions and, by item, the newest `per_item` sessions with it.

    Sessions are numbered 0, 1, 2 ... in the order they began; a session lies in row
    number % capacity, and what is older than the newest `capacity` is forgotten.
    """

    capacity: int = 200_000
    per_item: int = 1_000
    total: int = 0
    rows: Codes = field(init=False)
    lengths: Codes = field(init=False)
    frequency: Numbers = field(init=False)
    postings: Postings = field(init=False)
    sums: Numbers = field(init=False)
    """By row, with `votes` by item: scratch, 0 between requests."""
    votes: Numbers = field(init=False)

    def __post_init__(self) -> None:
        self._make_room(min(self.capacity, 1024))
        self.frequency = np.zeros(64, dtype=np.int64)
        self.votes = np.zeros(64, dtype=np.int64)
        self.postings = Postings(self.per_item)

    def _make_room(self, size: int) -> None:
        self.rows = np.zeros((size, LONGEST_SESSION), dtype=np.int32)
        self.lengths = np.zeros(size, dtype=np.int32)
        self.sums = np.zeros(size, dtype=np.int64)

    def fill(self, rows: Codes) -> None:
        """Take whole sessions, oldest first, as rows of distinct items padded with NO_ITEM, into
        an empty index: what a trained snapshot holds."""
        kept = rows[-self.capacity :]
        self.total = len(kept)
        self._make_room(max(min(self.capacity, 1024), len(kept)))
        self.rows[: len(kept), : kept.shape[1]] = kept
        self.lengths[:] = (self.rows != NO_ITEM).sum(axis=1)
        sessions, columns = np.nonzero(kept)
        items = kept[sessions, columns].astype(np.int64)
        order = np.argsort(items, kind="stable")
        items = items[order]
        # not np.bincount: that would keep requests from the interpreter all the while
        size = max(int(items[-1]) + 1 if len(items) else 0, 64)
        self.frequency = np.diff(np.searchsorted(items, np.arange(size + 1)))
        self.votes = np.zeros(size, dtype=np.int64)
        self.postings.fill(items, sessions[order])

    def begin(self, items: Sequence[int]) -> int:
        """Add a session with these items; its number."""
        session = self.total
        row = session % self.capacity
        if row >= len(self.rows):
            size = min(self.capacity, 2 * len(self.rows))
            rows, lengths = self.rows, self.lengths
            self._make_room(size)
            self.rows[: len(rows)], self.lengths[: len(lengths)] = rows, lengths
        self.total += 1
        self.rows[row] = NO_ITEM
        self.lengths[row] = 0
        for item in items:
            self.extend(session, item)
        return session

    def extend(self, session: int, item: int) -> None:
        """One more item in a session; nothing where it has it, is full, or is forgotten."""
        row = session % self.capacity
        length = int(self.lengths[row])
        if session <= self.total - 1 - self.capacity or length == LONGEST_SESSION:
            return
        if item == NO_ITEM or item in self.rows[row, :length].tolist():
            return
        self.rows[row, length] = item
        self.lengths[row] = length + 1
        self.frequency = grown(self.frequency, item + 1)
        self.votes = grown(self.votes, len(self.frequency))
        self.frequency[item] += 1
        self.postings.append(item, session)

    def arrays(self) -> SessionArrays:
        """What compiled code takes; valid until the index changes."""
        postings = self.postings
        return (
            postings.starts,
            postings.counts,
            postings.sessions,
            self.total,
            self.capacity,
            self.sums,
            self.rows,
            self.lengths,
            self.frequency,
            self.votes,
        )

    def newest_with(self, item: int, limit: int) -> Numbers:
        """The newest sessions that hold the item, at most `limit`, oldest first."""
        newest = self.postings.newest(item, limit)
        oldest = self.total - self.capacity
        return newest if oldest <= 0 else newest[newest >= oldest]
