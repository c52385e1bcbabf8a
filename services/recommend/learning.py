"""What facts teach: sessions and orders, out of the records of `events`.

Used by the live tail, fact by fact, and by training, which reads the log through and then sorts.
Pure. A fact that is delivered twice teaches once: an item counts once a session, an order once
while it is among the newest orders.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.neighbour_weights import LONGEST_SESSION
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.numbers import NO_ITEM, ItemNumbers

IDLE_MS: Final = 30 * 60 * 1_000
OPEN_SESSIONS: Final = 200_000
RECENT_ORDERS: Final = 50_000


class Interest(Struct, tag_field="type"):
    """A fact of interest in one item."""

    item: str
    occurred_at: int


class Viewed(Interest, tag="item_viewed"): ...


class Carted(Interest, tag="cart_added"): ...


class OrderLine(Struct):
    item: str


class Ordered(Struct, tag_field="type", tag="purchased"):
    """An order, as far as it teaches."""

    order: str
    lines: list[OrderLine]


Lesson: TypeAlias = Viewed | Carted | Ordered
_decoder: msgspec.json.Decoder[Lesson] = msgspec.json.Decoder(Lesson)
_TAUGHT: Final = (b'{"type":"item_viewed"', b'{"type":"cart_added"', b'{"type":"purchased"')


def lesson(value: bytes | None) -> Lesson | None:
    """What a record teaches, None for all other facts. The encoder puts `type` first."""
    if not value or not value.startswith(_TAUGHT):
        return None
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        return None


@dataclass(slots=True)
class _Open:
    """A running session; `number` is None until it has a second item, and teaches something."""

    last: int
    items: list[int]
    number: int | None = None


@dataclass(slots=True)
class Learned:
    """The session index and the basket pairs, and how to teach them one fact more."""

    numbers: ItemNumbers
    sessions: SessionIndex
    pairs: Pairs = field(default_factory=Pairs)
    _open: OrderedDict[bytes, _Open] = field(default_factory=OrderedDict)
    _orders: OrderedDict[tuple[bytes, str], None] = field(default_factory=OrderedDict)

    def learn(self, key: bytes, value: bytes | None) -> None:
        """Take in one record of `events`; its key is the identity."""
        taught = lesson(value)
        if taught is None:
            return
        if isinstance(taught, Ordered):
            self._learn_order(key, taught)
        else:
            self._learn_interest(key, taught)

    def let_go(self) -> None:
        """Free all that is held entry by entry, for whoever replaces this beside requests: at once
        it would take as long as there are open sessions and orders."""
        for entries in (self._open, self._orders, self.pairs.learned):
            while entries:
                entries.popitem()

    def _learn_order(self, key: bytes, taught: Ordered) -> None:
        if (key, taught.order) in self._orders:
            return
        self._orders[key, taught.order] = None
        if len(self._orders) > RECENT_ORDERS:
            self._orders.popitem(last=False)
        number = self.numbers.number
        self.pairs.learn(taught.order, [number(line.item) for line in taught.lines])

    def _learn_interest(self, key: bytes, taught: Interest) -> None:
        item = self.numbers.number(taught.item)
        running = self._open.get(key)
        if running is None or taught.occurred_at - running.last > IDLE_MS:
            self._open[key] = _Open(taught.occurred_at, [item])
            self._open.move_to_end(key)
            if len(self._open) > OPEN_SESSIONS:
                self._open.popitem(last=False)
            return
        running.last = max(running.last, taught.occurred_at)
        if item == NO_ITEM or item in running.items or len(running.items) >= LONGEST_SESSION:
            return
        running.items.append(item)
        if running.number is None:
            running.number = self.sessions.begin(running.items)
        else:
            self.sessions.extend(running.number, item)
