"""Item ids as small numbers, so that everything on the way of a request indexes arrays.

Numbers are given out for the life of a process and never reused. Number 0 is no item: padding.
"""

from collections.abc import Iterable
from itertools import repeat
from threading import Lock
from typing import Final

NO_ITEM: Final = 0


class ItemNumbers:
    """Item id to number and back. Bounded: past `limit` items, new ids all get NO_ITEM.

    Loading a model numbers its items from another thread, hence the lock around giving one out.
    """

    def __init__(self, limit: int = 2_000_000) -> None:
        self._numbers: dict[str, int] = {}
        self._limit = limit
        self._lock = Lock()
        self.ids: list[str] = [""]
        # `find(item, NO_ITEM)`: the item's number, or NO_ITEM where it has none
        self.find = self._numbers.get

    def __len__(self) -> int:
        """One more than the greatest number given out: the length arrays need."""
        return len(self.ids)

    def number(self, item: str) -> int:
        """The item's number, given out now where it has none yet."""
        known = self._numbers.get(item)
        if known is not None:
            return known
        with self._lock:
            known = self._numbers.get(item)
            if known is not None:
                return known
            if len(self.ids) > self._limit:
                return NO_ITEM
            number = len(self.ids)
            self.ids.append(item)
            self._numbers[item] = number
            return number

    def known(self, item: str) -> int:
        """The item's number, or NO_ITEM where it has none."""
        return self._numbers.get(item, NO_ITEM)

    def numbers_of(self, items: Iterable[str]) -> list[int]:
        """The items' numbers, side by side, NO_ITEM where one has none."""
        return list(map(self.find, items, repeat(NO_ITEM)))

    def known_among(self, items: Iterable[str]) -> list[int]:
        """The numbers of those items that have one, in their order."""
        return list(filter(None, map(self.find, items)))
