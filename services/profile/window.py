"""The event-id window: which events an identity has applied in its last 24 hours.

Invariant: exact for up to 512 events in 24 h of received time. Each digest remembers the offset
that first applied it, so a redelivered event meets its own digest and is no duplicate. Beyond the
bound the oldest marks go, the identity is flagged, and position alone guards.
"""

import hashlib
from collections.abc import Iterable
from enum import Enum
from itertools import accumulate
from operator import sub
from typing import Final

import msgspec

from services.profile.columns import Column, pack_column, unpack_column

CAPACITY: Final = 512
WINDOW_MINUTES: Final = 24 * 60
_DIGEST_BYTES: Final = 8
_TIE_BYTES: Final = 4
"""A digest's first four bytes are the tie that orders events of one millisecond."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, int, bytes, Column, Column])


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
    """Marks in the order in which they were applied: digest, offset and minute of receipt each.

    The digests lie packed, since looking one up there costs less than building a dict would.
    """

    __slots__ = ("_digests", "_minutes", "_newest", "_offsets")

    def __init__(
        self, digests: bytes = b"", offsets: Iterable[int] = (), minutes: Iterable[int] = ()
    ) -> None:
        self._digests = bytearray(digests)
        self._offsets = list(offsets)
        self._minutes = list(minutes)
        self._newest = max(self._minutes, default=0)

    def __len__(self) -> int:
        return len(self._offsets)

    def judge(self, mark: int, offset: int) -> Verdict:
        """Whether this delivery is the first with its id, the same one again, or another."""
        sought = mark.to_bytes(_DIGEST_BYTES, "little")
        place = self._digests.find(sought)
        while place % _DIGEST_BYTES and place > 0:
            place = self._digests.find(sought, place + 1)
        if place < 0:
            return Verdict.NEW
        standing = self._offsets[place // _DIGEST_BYTES]
        return Verdict.REDELIVERED if standing == offset else Verdict.DUPLICATE

    def remember(self, mark: int, offset: int, received_ms: int) -> bool:
        """Marks an id that was judged new as applied at `offset`; True when the window ran over."""
        minute = received_ms // 60_000
        self._digests += mark.to_bytes(_DIGEST_BYTES, "little")
        self._offsets.append(offset)
        self._minutes.append(minute)
        if minute > self._newest:
            self._newest = minute
            self._expire()
        if len(self._offsets) <= CAPACITY:
            return False
        dropped = self._minutes[0]
        self._drop(1)
        if dropped == self._newest:
            # As after unpacking: what is kept in memory must not know more than what is written.
            self._newest = max(self._minutes)
        return True

    def _expire(self) -> None:
        oldest = self._newest - WINDOW_MINUTES
        stale = 0
        while self._minutes[stale] < oldest:
            stale += 1
        if stale:
            self._drop(stale)

    def _drop(self, count: int) -> None:
        del self._digests[: count * _DIGEST_BYTES], self._offsets[:count], self._minutes[:count]

    def places(self, ties: Iterable[int]) -> list[int]:
        """How far from the newest mark a digest with those 32 bits lies, from 1; 0 for nowhere."""
        digests = self._digests
        places = []
        for tie in ties:
            if tie >> 32:
                places.append(0)
                continue
            sought = tie.to_bytes(_TIE_BYTES, "little")
            place = digests.rfind(sought)
            while place % _DIGEST_BYTES and place > 0:
                place = digests.rfind(sought, 0, place + _TIE_BYTES - 1)
            places.append((len(digests) - place) // _DIGEST_BYTES if place >= 0 else 0)
        return places

    def tie(self, place: int) -> int:
        """The 32 bits of the digest at a place that `places` gave."""
        start = len(self._digests) - place * _DIGEST_BYTES
        return int.from_bytes(self._digests[start : start + _TIE_BYTES], "little")

    def pack(self) -> bytes:
        """The first offset and minute, the digests, then how far each mark is from the one before.

        A mark takes 8 bytes and as few more as the greatest distance in the window needs.
        """
        offsets, minutes = self._offsets, self._minutes
        if not offsets:
            return b""
        further = pack_column(list(map(sub, offsets[1:], offsets)))
        later = pack_column(list(map(sub, minutes[1:], minutes)))
        return _encoder.encode((offsets[0], minutes[0], self._digests, further, later))

    @classmethod
    def unpack(cls, data: bytes) -> "Window":
        """The window from Redis."""
        if not data:
            return cls()
        offset, minute, digests, further, later = _decoder.decode(data)
        steps = len(digests) // _DIGEST_BYTES - 1
        return cls(
            digests,
            accumulate(unpack_column(further, steps), initial=offset),
            accumulate(unpack_column(later, steps), initial=minute),
        )
