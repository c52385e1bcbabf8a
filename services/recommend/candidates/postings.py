"""By item, the sessions with it: lists that grow by one, in one array that compiled code reads.

Part of the session index (sessions.py). An item's list lies in a block of its own; a block that
is full moves to one twice its size, and the old one is given out again.
"""

from collections import defaultdict
from typing import Final

import numpy as np

from services.recommend.arrays import NO_NUMBERS, Numbers, grown

SMALLEST: Final = 4


class Postings:
    """`sessions[starts[item] : starts[item] + counts[item]]`: an item's sessions in the order
    they came, at least the newest `per_item` of them, at most twice as many."""

    def __init__(self, per_item: int) -> None:
        self.per_item = per_item
        self.starts: Numbers = np.zeros(64, dtype=np.int64)
        self.counts: Numbers = np.zeros(64, dtype=np.int64)
        self.sessions: Numbers = np.zeros(1024, dtype=np.int64)
        self._rooms: Numbers = np.zeros(64, dtype=np.int64)
        self._used = 0
        self._free: defaultdict[int, list[int]] = defaultdict(list)

    def fill(self, items: Numbers, sessions: Numbers) -> None:
        """Take the sessions of all items, side by side, ordered by item, into empty lists."""
        if not len(items):
            return
        begins = np.flatnonzero(np.diff(items, prepend=-1))
        ends = np.append(begins[1:], len(items))
        begins = np.maximum(begins, ends - self.per_item)
        counts = ends - begins
        size = int(items[-1]) + 1
        first = np.zeros(size, dtype=np.int64)
        self.starts, self.counts = grown(self.starts, size), grown(self.counts, size)
        self._rooms = grown(self._rooms, len(self.starts))
        named = items[begins]
        first[named] = begins
        # room for each list to grow by a quarter before it moves
        rooms = np.minimum(counts + counts // 4 + SMALLEST, self._most)
        self.counts[named], self._rooms[named] = counts, rooms
        self.starts[named] = np.cumsum(rooms) - rooms
        self._used = int(rooms.sum())
        self.sessions = np.zeros(self._used + self._used // 4 + 1024, dtype=np.int64)
        # by indexing, not np.repeat: that would keep requests from the interpreter all the while
        kept = np.flatnonzero(np.arange(len(items)) >= first[items])
        own = items[kept]
        self.sessions[self.starts[own] + kept - first[own]] = sessions[kept]

    @property
    def _most(self) -> int:
        return 2 * self.per_item

    def append(self, item: int, session: int) -> None:
        """One more session at the end of an item's list."""
        if item >= len(self.starts):
            self.starts, self.counts = grown(self.starts, item + 1), grown(self.counts, item + 1)
            self._rooms = grown(self._rooms, len(self.starts))
        count = int(self.counts[item])
        if count == self._rooms[item]:
            count = self._make_room(item, count)
        self.sessions[self.starts[item] + count] = session
        self.counts[item] = count + 1

    def _make_room(self, item: int, count: int) -> int:
        """Room for one session more; how many the list holds now."""
        start = int(self.starts[item])
        if count >= self._most:
            kept = self.sessions[start + count - self.per_item : start + count].copy()
            self.sessions[start : start + self.per_item] = kept
            return self.per_item
        room = min(max(SMALLEST, 2 * count), self._most)
        free = self._free[room]
        moved = free.pop() if free else self._used
        if moved == self._used:
            self._used += room
            self.sessions = grown(self.sessions, self._used)
        self.sessions[moved : moved + count] = self.sessions[start : start + count]
        if count:
            self._free[int(self._rooms[item])].append(start)
        self.starts[item], self._rooms[item] = moved, room
        return count

    def newest(self, item: int, limit: int) -> Numbers:
        """An item's newest sessions, at most `limit`, oldest first."""
        if item >= len(self.starts):
            return NO_NUMBERS
        end = int(self.starts[item] + self.counts[item])
        return self.sessions[max(int(self.starts[item]), end - limit) : end]
