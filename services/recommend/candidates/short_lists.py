"""Short lists by key, side by side in arrays that compiled code reads: an item's best partners,
the best items of a category.

Part of Pairs and of Popularity, which make a list when a request first asks for it.
"""

from collections.abc import Hashable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import numpy as np

from services.recommend.arrays import NO_SCORES, Numbers, Scores

NO_LIST: Final = -1
ListArrays: TypeAlias = tuple[Numbers, Scores, Numbers]
Key = TypeVar("Key", bound=Hashable)


class ShortLists(Generic[Key]):
    """At most `width` numbers with scores a key, in row `place` of `numbers` and `scores`, of
    which the first `lengths[place]` are in use."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._places: dict[Key, int] = {}
        self._free: list[int] = []
        self.numbers: Numbers = np.zeros((0, width), dtype=np.int64)
        self.scores: Scores = np.zeros((0, width), dtype=np.float64)
        self.lengths: Numbers = np.zeros(0, dtype=np.int64)
        # `find(key)`: the list's place, NO_LIST where it is empty, None where it is not known
        self.find = self._places.get

    def arrays(self) -> ListArrays:
        """What compiled code takes; valid until the next `put`."""
        return self.numbers, self.scores, self.lengths

    def put(self, key: Key, numbers: Numbers, scores: Scores = NO_SCORES) -> int:
        """Keep a list; its place."""
        if not len(numbers):
            self._places[key] = NO_LIST
            return NO_LIST
        if not self._free:
            self._grow()
        place = self._places[key] = self._free.pop()
        self.lengths[place] = len(numbers)
        self.numbers[place, : len(numbers)] = numbers
        self.scores[place, : len(scores)] = scores
        return place

    def fill(self, keys: Sequence[Key], bounds: Numbers, numbers: Numbers, scores: Scores) -> None:
        """Keep many lists at once while there are none: of keys[n] the first `width` of what lies
        between bounds[n] and bounds[n + 1]."""
        self.lengths = np.minimum(np.diff(bounds), self._width)
        self.numbers = np.zeros((len(keys), self._width), dtype=np.int64)
        self.scores = np.zeros((len(keys), self._width), dtype=np.float64)
        within = np.arange(self._width) < self.lengths[:, None]
        wanted = (bounds[:-1, None] + np.arange(self._width))[within]
        self.numbers[within], self.scores[within] = numbers[wanted], scores[wanted]
        for place, key in enumerate(keys):  # in steps, so that requests get their turn
            self._places[key] = place

    def drop(self, key: Key) -> None:
        """Forget a list, if it is known."""
        place = self._places.pop(key, NO_LIST)
        if place != NO_LIST:
            self._free.append(place)

    def _grow(self) -> None:
        held = len(self.lengths)
        more = max(held, 16)
        self._free.extend(range(held + more - 1, held - 1, -1))
        self.numbers = np.concatenate([self.numbers, np.zeros((more, self._width), np.int64)])
        self.scores = np.concatenate([self.scores, np.zeros((more, self._width), np.float64)])
        self.lengths = np.concatenate([self.lengths, np.zeros(more, np.int64)])
