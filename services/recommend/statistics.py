"""Item statistics summed over partitions: what is trending, and how often what was shown sold.

The profile service keeps partial sums by partition and hour (shared/keys.py); store.py reads
them, this module adds them up into arrays by item number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_NUMBERS, Numbers, grown
from services.recommend.numbers import NO_ITEM, ItemNumbers
from shared.keys import COUNTRY_MARK
from shared.profile import BOUGHT, CARTED, CLICKED, KIND_WEIGHTS, VIEWED

_MARK: Final = COUNTRY_MARK.encode()
KINDS: Final = ("views", "carts", "purchases", "shown", "clicked")
WEIGHTS: Final = np.array(
    [KIND_WEIGHTS[VIEWED], KIND_WEIGHTS[CARTED], KIND_WEIGHTS[BOUGHT], 0, KIND_WEIGHTS[CLICKED]],
    dtype=np.int64,
)
HALF_LIFE_HOURS: Final = 24.0
SPAN_HOURS: Final = 336
"""How far the newest hour may be ahead of the reference: as long as buckets are kept."""
FIXED_BITS: Final = 20
"""Fraction bits of the decay: 2^(20 + 336 / 24) leaves 29 bits for the counts of an item."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One partition's counts of one hour: item numbers, and one row of KINDS each."""

    numbers: Numbers
    counts: NDArray[np.int64]


def parse_bucket(fields: dict[bytes, bytes], numbers: ItemNumbers) -> Bucket:
    """The bucket in a Redis hash: item id → ascii `views,carts,purchases,shown,clicked`, without
    the counts by country."""
    fields = {item: counts for item, counts in fields.items() if _MARK not in item}
    found = np.fromiter(
        (numbers.number(item.decode(errors="replace")) for item in fields),
        dtype=np.int64,
        count=len(fields),
    )
    flat = b",".join(fields.values()).split(b",") if fields else []
    counts = np.array(flat, dtype=np.bytes_).astype(np.int64).reshape(len(found), len(KINDS))
    known = found != NO_ITEM
    return Bucket(found[known], counts[known])


def joined(parts: Sequence[Bucket]) -> Bucket:
    """A bucket that was parsed in parts."""
    if not parts:
        return Bucket(NO_NUMBERS, np.zeros((0, len(KINDS)), dtype=np.int64))
    return Bucket(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )


@dataclass(slots=True)
class ItemStatistics:
    """The sums by item number: `counts` has a column for each of KINDS; `trend` is their weighted
    sum with each hour's age halved away every HALF_LIFE_HOURS, up to a common factor.

    Both are integers and kept by adding and taking away whole buckets, so they depend on what the
    buckets hold and not on when each was read. Ages count from a reference hour that follows the
    newest, so the ranking does not move while nothing happens.
    """

    buckets: dict[tuple[int, int], Bucket] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((64, len(KINDS)), dtype=np.int64)
    )
    trend: NDArray[np.int64] = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    version: int = 0
    reference: int = 0

    def put(self, partition: int, hour: int, bucket: Bucket) -> None:
        """Replace a bucket by what was read of it now."""
        known = self.buckets.pop((partition, hour), None)
        if known is not None:
            self._add(hour, known, -1)
        if hour - self.reference > SPAN_HOURS:
            self._refer_to(hour)
        self.buckets[partition, hour] = bucket
        self._add(hour, bucket, 1)
        self.version += 1

    def keep_only(self, partition: int, hours: set[int]) -> None:
        """Forget what a partition has dropped."""
        for key in [key for key in self.buckets if key[0] == partition and key[1] not in hours]:
            self._add(key[1], self.buckets.pop(key), -1)
            self.version += 1

    def _add(self, hour: int, bucket: Bucket, sign: int) -> None:
        size = int(bucket.numbers.max(initial=0)) + 1
        if size > len(self.trend):
            larger = np.zeros((2 * size, len(KINDS)), dtype=np.int64)
            larger[: len(self.counts)] = self.counts
            self.counts, self.trend = larger, grown(self.trend, 2 * size)
        self.counts[bucket.numbers] += sign * bucket.counts
        self.trend[bucket.numbers] += (
            sign * _factor(hour - self.reference) * (bucket.counts @ WEIGHTS)
        )

    def _refer_to(self, hour: int) -> None:
        self.reference = hour
        self.trend[:] = 0
        for (_, at), bucket in self.buckets.items():
            self.trend[bucket.numbers] += _factor(at - hour) * (bucket.counts @ WEIGHTS)


def _factor(hours: int) -> int:
    return int(2.0 ** (FIXED_BITS + hours / HALF_LIFE_HOURS))
