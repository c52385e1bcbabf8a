"""Session neighbours (VMIS-kNN): what did shoppers with a session like this one look at?

Candidates of `pipeline`. The index holds the newest sessions; training fills it, the live tail
extends it while sessions run. After Kersbergen, Sprangers and Schelter, "Serenade", SIGMOD 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Codes, Numbers, Scores, grown
from services.recommend.numbers import NO_ITEM

LONGEST_SESSION: Final = 20
"""Items kept of one session: of a longer one the first."""
POSITION_BITS: Final = 5


@dataclass(frozen=True, slots=True)
class NeighbourSettings:
    """newest: sessions looked at; neighbours: of those, the most alike; last_items: how much of
    the shopper's session counts; decay: how fast a neighbour's vote falls with the distance of
    the newest common item from the session's end; idf: weight of an item's rarity."""

    newest: int = 100
    neighbours: int = 100
    last_items: int = 9
    decay: float = 0.1
    idf: float = 1.0


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Sessions like the asked one: `rows` of items, their vote, and the position (1 = oldest, in
    the asked session) of the newest item they share with it."""

    rows: Codes
    votes: Scores
    positions: Numbers


@dataclass(slots=True)
class _Postings:
    sessions: Numbers
    count: int = 0


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
    _postings: dict[int, _Postings] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = np.zeros((min(self.capacity, 1024), LONGEST_SESSION), dtype=np.int32)
        self.lengths = np.zeros(len(self.rows), dtype=np.int32)
        self.frequency = np.zeros(64, dtype=np.int64)

    def fill(self, rows: Codes) -> None:
        """Take whole sessions, oldest first, as rows of distinct items padded with NO_ITEM, into
        an empty index: what a trained snapshot holds."""
        kept = rows[-self.capacity :]
        self.total = len(kept)
        size = max(1024, len(kept))
        self.rows = np.zeros((size, LONGEST_SESSION), dtype=np.int32)
        self.rows[: len(kept), : kept.shape[1]] = kept
        self.lengths = (self.rows != NO_ITEM).sum(axis=1).astype(np.int32)
        sessions, columns = np.nonzero(kept)
        if not len(sessions):
            return
        items = kept[sessions, columns]
        self.frequency = np.bincount(items, minlength=64).astype(np.int64)
        order = np.argsort(items, kind="stable")
        items, sessions = items[order], sessions[order]
        starts = np.flatnonzero(np.diff(items, prepend=-1))
        ends = np.append(starts[1:], len(items))
        self._postings = {
            item: _Postings(sessions[max(start, end - self.per_item) : end].copy())
            for item, start, end in zip(
                items[starts].tolist(), starts.tolist(), ends.tolist(), strict=True
            )
        }
        for postings in self._postings.values():
            postings.count = len(postings.sessions)

    def begin(self, items: Sequence[int]) -> int:
        """Add a session with these items; its number."""
        session = self.total
        row = session % self.capacity
        if row >= len(self.rows):
            size = min(self.capacity, 2 * len(self.rows))
            rows = np.zeros((size, LONGEST_SESSION), dtype=np.int32)
            rows[: len(self.rows)] = self.rows
            self.rows, self.lengths = rows, grown(self.lengths, size)
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
        if item == NO_ITEM or item in self.rows[row, :length]:
            return
        self.rows[row, length] = item
        self.lengths[row] = length + 1
        self.frequency = grown(self.frequency, item + 1)
        self.frequency[item] += 1
        self._post(item, session)

    def _post(self, item: int, session: int) -> None:
        postings = self._postings.get(item)
        if postings is None:
            postings = self._postings[item] = _Postings(np.empty(4, dtype=np.int64))
        if postings.count == len(postings.sessions):
            if postings.count >= 2 * self.per_item:
                kept = postings.sessions[-self.per_item :].copy()
                postings.sessions[: self.per_item] = kept
                postings.count = self.per_item
            else:
                postings.sessions = grown(postings.sessions, postings.count + 1)
        postings.sessions[postings.count] = session
        postings.count += 1

    def newest_with(self, item: int, limit: int) -> Numbers:
        """The newest sessions that hold the item, at most `limit`, oldest first."""
        postings = self._postings.get(item)
        if postings is None:
            return NO_NUMBERS
        newest = postings.sessions[max(0, postings.count - limit) : postings.count]
        oldest = self.total - self.capacity
        return newest if oldest <= 0 else newest[newest >= oldest]


def find_neighbours(
    index: SessionIndex, session: Sequence[int], settings: NeighbourSettings
) -> Neighbours | None:
    """The sessions most like this one (items oldest first), or None where none shares an item.

    Alike: the sum of the positions of the common items. Equally alike: the newer one, so the
    same index gives the same neighbours.
    """
    items = session[-settings.last_items :]
    marked = [
        (index.newest_with(item, settings.newest) << POSITION_BITS) | (position + 1)
        for position, item in enumerate(items)
    ]
    keys = np.concatenate(marked) if marked else NO_NUMBERS
    if not len(keys):
        return None
    keys.sort()
    sessions = keys >> POSITION_BITS
    positions = keys & ((1 << POSITION_BITS) - 1)
    is_first = np.empty(len(keys), dtype=bool)
    is_first[0] = True
    np.not_equal(sessions[1:], sessions[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    ends = np.append(starts[1:], len(keys))
    if len(starts) > settings.newest:
        starts, ends = starts[-settings.newest :], ends[-settings.newest :]
    sums = np.add.reduceat(positions, starts)
    newest = positions[ends - 1]
    unique = sessions[starts]
    if len(unique) > settings.neighbours:
        likeness = (sums << 40) + (unique - unique[0])
        chosen = np.argpartition(likeness, len(likeness) - settings.neighbours)
        chosen = np.sort(chosen[len(likeness) - settings.neighbours :])
        sums, newest, unique = sums[chosen], newest[chosen], unique[chosen]
    distance = len(items) - newest
    votes = sums / len(items) * np.maximum(1.0 - settings.decay * (distance + 1), 0.0)
    places = unique % index.capacity
    width = int(index.lengths[places].max())
    return Neighbours(index.rows[places][:, :width], votes, newest)


def score_neighbours(
    index: SessionIndex, neighbours: Neighbours, idf: float
) -> tuple[Numbers, Scores]:
    """What the neighbours looked at: items by ascending number, with the votes for them."""
    rows = neighbours.rows
    weights = np.repeat(neighbours.votes, rows.shape[1])
    dense: Scores = np.bincount(rows.ravel(), weights=weights).astype(np.float64, copy=False)
    dense[NO_ITEM] = 0.0
    found = np.flatnonzero(dense)
    if not len(found):
        return NO_NUMBERS, NO_SCORES
    scores = dense[found]
    if idf:
        rarity = np.log(index.total / index.frequency[found])
        scores = scores * (1.0 + idf * rarity)
    return found, scores


def why_neighbours(neighbours: Neighbours, items: Sequence[int]) -> list[tuple[int, int]]:
    """For each item: how many neighbours hold it, and the newest position they share (0: none)."""
    # of two writes to one place the later stands, so the newest position is written last
    order = np.argsort(neighbours.positions, kind="stable")
    flat = neighbours.rows[order].ravel()
    places = np.zeros(max(int(flat.max()), *items) + 1, dtype=np.int64)
    places[items] = np.arange(1, len(items) + 1)
    named = places[flat]
    hits = np.flatnonzero(named)
    held = named[hits]
    newest = np.zeros(len(items) + 1, dtype=np.int64)
    newest[held] = neighbours.positions[order[hits // neighbours.rows.shape[1]]]
    counts = np.bincount(held, minlength=len(items) + 1)
    return list(zip(counts[1:].tolist(), newest[1:].tolist(), strict=True))
