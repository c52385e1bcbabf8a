"""The event-id window: which events an identity has applied in its last 24 hours.

Invariant: exact for up to 512 events in 24 h of received time. Each digest remembers the offset
that first applied it, so a redelivered event meets its own digest and is no duplicate. Beyond the
bound the oldest marks go, the identity is flagged, and position alone guards.
"""

import hashlib
import sys
from array import array
from enum import Enum
from itertools import islice
from typing import Final

CAPACITY: Final = 512
WINDOW_MINUTES: Final = 24 * 60
# Up to the year 2225, which leaves 37 bits for offsets.
_MINUTE_BITS: Final = 27
_MINUTE_MASK: Final = (1 << _MINUTE_BITS) - 1


class Verdict(Enum):
    """What a delivery of an event means for its identity.

    EARLY: a part of a visitor's history that came before the part it follows; it comes again.
    """

    NEW = "new"
    REDELIVERED = "redelivered"
    DUPLICATE = "duplicate"
    EARLY = "early"


def digest(event_id: str) -> int:
    """64 bits of an event id."""
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "little")


class Window:
    """Digest → (offset that first applied it, minute it was received), oldest first."""

    __slots__ = ("_marks", "_newest")

    def __init__(self, marks: dict[int, int] | None = None) -> None:
        self._marks = marks if marks is not None else {}
        self._newest = _newest(self._marks)

    def __len__(self) -> int:
        return len(self._marks)

    def judge(self, mark: int, offset: int) -> Verdict:
        """Whether this delivery is the first with its id, the same one again, or another."""
        standing = self._marks.get(mark)
        if standing is None:
            return Verdict.NEW
        return Verdict.REDELIVERED if standing >> _MINUTE_BITS == offset else Verdict.DUPLICATE

    def remember(self, mark: int, offset: int, received_ms: int) -> bool:
        """Marks an id as applied at `offset`; True when the window ran over."""
        minute = received_ms // 60_000
        self._marks[mark] = offset << _MINUTE_BITS | minute
        if minute > self._newest:
            self._newest = minute
            self._expire()
        if len(self._marks) <= CAPACITY:
            return False
        dropped = self._marks.pop(next(iter(self._marks)))
        if dropped & _MINUTE_MASK == self._newest:
            # As after unpacking: what is kept in memory must not know more than what is written.
            self._newest = _newest(self._marks)
        return True

    def _expire(self) -> None:
        oldest = self._newest - WINDOW_MINUTES
        stale = []
        for mark, value in islice(self._marks.items(), CAPACITY):
            if value & _MINUTE_MASK >= oldest:
                break
            stale.append(mark)
        for mark in stale:
            del self._marks[mark]

    def pack(self) -> bytes:
        """16 bytes a mark, little endian: digests, then offsets with minutes."""
        digests, values = array("Q", self._marks), array("Q", self._marks.values())
        if sys.byteorder == "big":
            digests.byteswap()
            values.byteswap()
        return digests.tobytes() + values.tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> "Window":
        """The window from Redis."""
        half = len(data) // 2
        digests, values = array("Q", data[:half]), array("Q", data[half:])
        if sys.byteorder == "big":
            digests.byteswap()
            values.byteswap()
        return cls(dict(zip(digests, values, strict=True)))


def _newest(marks: dict[int, int]) -> int:
    return max((value & _MINUTE_MASK for value in marks.values()), default=0)
