"""The catalogue in memory, and what of it has changed: followed from the topic `catalogue`.

`shared/catalogue_tail.py` feeds it; `moving` takes the changes from here, and conditions of
scenarios ask it for stock and prices.

Invariant: every change from offset `first` on is held, oldest first, each with the item as it was
before. What was before is what the log has of it: where the topic was compacted, states in between
are gone, and of an item whose older states are all gone no change is known.
"""

import logging
from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from services.profile import metrics
from shared import catalogue
from shared.bus import Record
from shared.catalogue import ItemChanged

MOVES_KEPT: Final = 200_000
"""Of more the oldest are dropped, handled or not: memory is bounded."""

_ITEM: Final = catalogue.item_key("")
_offset = attrgetter("offset")

log = logging.getLogger(__name__)


class Move(NamedTuple):
    """A change of an item: its offset in `catalogue`, the item now and before."""

    offset: int
    item: ItemChanged
    before: ItemChanged


class Items:
    """`items`: by id, one object for as long as the process lives; `incarnation`: of the topic;
    `end`: offset of the next record; `first`: see above."""

    def __init__(self) -> None:
        self.items: dict[str, ItemChanged] = {}
        self.incarnation = ""
        self.end = 0
        self.first = 0
        self._moves: list[Move] = []

    def begin(self, incarnation: str) -> None:
        """The topic of that id is read from its beginning."""
        self.items.clear()
        self._moves.clear()
        self.incarnation, self.end, self.first = incarnation, 0, 0

    def take(self, records: Sequence[Record]) -> None:
        """The next records, in their order; one that does not decode is passed over."""
        for record in records:
            name = (record.key or b"").decode(errors="replace")
            if not name.startswith(_ITEM):
                continue
            if not record.value:
                self.items.pop(name.removeprefix(_ITEM), None)
                continue
            try:
                change = catalogue.decode(record.value)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                log.warning("catalogue record refused", extra={"offset": record.offset})
                continue
            if isinstance(change, ItemChanged):
                self._change(record, change)
        self.end = records[-1].offset + 1
        self._drop_oldest()
        metrics.CATALOGUE_ITEMS.set(len(self.items))

    def _change(self, record: Record, item: ItemChanged) -> None:
        # When it changed is half of the change's name.
        item.changed_at = item.changed_at or record.timestamp
        before = self.items.get(item.item)
        self.items[item.item] = item
        if before is None:
            return
        if item != msgspec.structs.replace(before, changed_at=item.changed_at):
            self._moves.append(Move(record.offset, item, before))

    def _drop_oldest(self) -> None:
        excess = len(self._moves) - MOVES_KEPT
        if excess > 0:
            self.first = self._moves[excess - 1].offset + 1
            del self._moves[:excess]

    def since(self, offset: int, most: int) -> list[Move]:
        """The changes from an offset on, at most so many."""
        start = bisect_left(self._moves, offset, key=_offset)
        return self._moves[start : start + most]

    def first_since(self, time_ms: int) -> int:
        """The offset of the first change from a time on (epoch ms), or where the next will be."""
        found = [move.offset for move in self._moves if move.item.changed_at >= time_ms]
        return min(found, default=self.end)

    def waiting(self, offset: int) -> int:
        """How many changes there are from an offset on."""
        return len(self._moves) - bisect_left(self._moves, offset, key=_offset)
