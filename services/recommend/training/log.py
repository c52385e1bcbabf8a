"""Reads what the log teaches: whole sessions in the order they ended, and orders.

First step of training. What is counted here is kept apart from where the facts come from.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.neighbour_weights import LONGEST_SESSION
from services.recommend.learning import IDLE_MS, Ordered, lesson
from services.recommend.numbers import NO_ITEM, ItemNumbers


class Recorded(Protocol):
    """What of a record training looks at (shared.bus.Record)."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


@dataclass(slots=True)
class Session:
    """One session: `last` event time in epoch ms, distinct item numbers as first seen."""

    last: int
    items: list[int]


@dataclass(slots=True)
class Lessons:
    """Everything read so far. `positions`: the next offset of each partition."""

    numbers: ItemNumbers = field(default_factory=ItemNumbers)
    pairs: Pairs = field(default_factory=Pairs)
    sessions: list[Session] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    facts: int = 0
    orders: int = 0
    first: int = 0
    last: int = 0
    _running: dict[bytes, Session] = field(default_factory=dict)
    _known_orders: set[tuple[bytes, str]] = field(default_factory=set)

    def read(self, records: Iterable[Recorded]) -> None:
        """Take in records of one partition, in log order."""
        for record in records:
            self.positions[record.partition] = record.offset + 1
            self.facts += 1
            taught = lesson(record.value)
            key = record.key or b""
            if isinstance(taught, Ordered):
                self._order(key, taught)
            elif taught is not None:
                self._interest(key, self.numbers.number(taught.item), taught.occurred_at)

    def _order(self, key: bytes, taught: Ordered) -> None:
        if (key, taught.order) in self._known_orders:
            return
        self._known_orders.add((key, taught.order))
        self.orders += 1
        self.pairs.learn(taught.order, [self.numbers.number(line.item) for line in taught.lines])

    def _interest(self, key: bytes, item: int, at: int) -> None:
        self.first = min(self.first or at, at)
        self.last = max(self.last, at)
        running = self._running.get(key)
        if running is None or at - running.last > IDLE_MS:
            running = self._running[key] = Session(at, [])
            self.sessions.append(running)
        running.last = max(running.last, at)
        known = running.items
        if item != NO_ITEM and item not in known and len(known) < LONGEST_SESSION:
            known.append(item)

    def ended(self) -> list[Session]:
        """Sessions of at least two items by the time they ended; equal times by their items."""
        whole = [session for session in self.sessions if len(session.items) > 1]
        return sorted(whole, key=lambda session: (session.last, session.items))
