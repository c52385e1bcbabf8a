"""How much the collector holds at once, from reading bodies to the log's acknowledgement.

Bounded, so that a slow log turns into 429 for callers and never into memory that grows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import Busy


class Budget:
    """What all requests together may hold. Used from one event loop only."""

    def __init__(self, *, events: int, bytes_: int) -> None:
        self._most_events = events
        self._most_bytes = bytes_
        self.events = 0
        self.bytes = 0

    @contextmanager
    def hold(self) -> Iterator["Hold"]:
        """One request's share, given back at the end whatever happens."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.events -= hold.events
            self.bytes -= hold.bytes

    def take_events(self, count: int) -> None:
        """Raises Busy, and takes nothing, beyond the bound."""
        if self.events + count > self._most_events:
            raise Busy("too many events are waiting for the log; try again")
        self.events += count

    def take_bytes(self, count: int) -> None:
        """Raises Busy, and takes nothing, beyond the bound."""
        if self.bytes + count > self._most_bytes:
            raise Busy("too many bytes are waiting for the log; try again")
        self.bytes += count


class Hold:
    """What one request holds; grows as the request is read."""

    __slots__ = ("_budget", "bytes", "events")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.events = 0
        self.bytes = 0

    def add_events(self, count: int) -> None:
        """Raises Busy."""
        self._budget.take_events(count)
        self.events += count

    def add_bytes(self, count: int) -> None:
        """Raises Busy."""
        self._budget.take_bytes(count)
        self.bytes += count
