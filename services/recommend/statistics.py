"""Item statistics summed over partitions: what is trending, and how often what was shown sold.

The profile service keeps partial sums by partition and hour (shared/keys.py); store.py reads
them, this module adds them up into arrays by item number.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_NUMBERS, Numbers, grown
from services.recommend.numbers import NO_ITEM, ItemNumbers
from shared.keys import COUNTRY_MARK
from shared.profile import BOUGHT, CARTED, CLICKED, KIND_WEIGHTS, VIEWED

_MARK: Final = COUNTRY_MARK.encode()
_CODE: Final = re.compile(rb"[A-Z]{2}")
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


MOST_COUNTRIES: Final = 32
"""Whose trends are kept apart: eight bytes an item each. Countries first heard of later count for
the whole shop only."""


class Interest(NamedTuple):
    """Item numbers, and the weighted interest in each."""

    numbers: Numbers
    weights: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bucket:
    """One partition's counts of one hour: item numbers, and one row of KINDS each; by country the
    part of the interest in them that came from there."""

    numbers: Numbers
    counts: NDArray[np.int64]
    countries: dict[str, Interest] = field(default_factory=dict)


def parse_bucket(fields: dict[bytes, bytes], numbers: ItemNumbers) -> Bucket:
    """The bucket in a Redis hash: item id, or item COUNTRY_MARK country, → ascii
    `views,carts,purchases,shown,clicked`."""
    whole: dict[bytes, bytes] = {}
    apart: dict[str, dict[bytes, bytes]] = {}
    for name, counts in fields.items():
        item, mark, place = name.partition(_MARK)
        if mark:
            # requests name countries by code; other names would only take the room of codes
            if not _CODE.fullmatch(place):
                continue
            apart.setdefault(place.decode(errors="replace"), {})[item] = counts
        else:
            whole[item] = counts
    found, counted = _parsed(whole, numbers)
    countries: dict[str, Interest] = {}
    for country, part in apart.items():
        items, here = _parsed(part, numbers)
        countries[country] = Interest(items, here @ WEIGHTS)
    return Bucket(found, counted, countries)


def _parsed(fields: dict[bytes, bytes], numbers: ItemNumbers) -> tuple[Numbers, NDArray[np.int64]]:
    found = np.fromiter(
        (numbers.number(item.decode(errors="replace")) for item in fields),
        dtype=np.int64,
        count=len(fields),
    )
    if not fields:
        return found, np.zeros((0, len(KINDS)), dtype=np.int64)
    # as text all at once: texts of their own that become numbers take eight times as long
    flat = np.fromstring(b",".join(fields.values()), dtype=np.int64, sep=",")
    counts = flat.reshape(len(found), len(KINDS))
    known = found != NO_ITEM
    return found[known], counts[known]


def joined(parts: Sequence[Bucket]) -> Bucket:
    """A bucket that was parsed in parts."""
    if not parts:
        return Bucket(NO_NUMBERS, np.zeros((0, len(KINDS)), dtype=np.int64))
    apart: dict[str, list[Interest]] = {}
    for part in parts:
        for country, interest in part.countries.items():
            apart.setdefault(country, []).append(interest)
    return Bucket(
        np.concatenate([part.numbers for part in parts]),
        np.concatenate([part.counts for part in parts]),
        {
            country: Interest(*map(np.concatenate, zip(*interests, strict=True)))
            for country, interests in apart.items()
        },
    )


@dataclass(slots=True)
class ItemStatistics:
    """The sums by item number: `counts` has a column for each of KINDS; `trend` is their weighted
    sum with each hour's age halved away every HALF_LIFE_HOURS, up to a common factor; `countries`:
    the same of what came from one country.

    All are integers and kept by adding and taking away whole buckets, so they depend on what the
    buckets hold and not on when each was read. Ages count from a reference hour that follows the
    newest, so the ranking does not move while nothing happens.
    """

    buckets: dict[tuple[int, int], Bucket] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((64, len(KINDS)), dtype=np.int64)
    )
    trend: NDArray[np.int64] = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    countries: dict[str, NDArray[np.int64]] = field(default_factory=dict)
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
        self._add_trend(bucket, sign * _factor(hour - self.reference))

    def _add_trend(self, bucket: Bucket, factor: int) -> None:
        self.trend[bucket.numbers] += factor * (bucket.counts @ WEIGHTS)
        for country, interest in bucket.countries.items():
            trend = self.countries.get(country)
            if trend is None:
                if len(self.countries) >= MOST_COUNTRIES:
                    continue
                trend = NO_NUMBERS
            trend = grown(trend, int(interest.numbers.max(initial=0)) + 1)
            trend[interest.numbers] += factor * interest.weights
            self.countries[country] = trend

    def _refer_to(self, hour: int) -> None:
        self.reference = hour
        self.trend[:] = 0
        self.countries.clear()
        for (_, at), bucket in self.buckets.items():
            self._add_trend(bucket, _factor(at - hour))


def _factor(hours: int) -> int:
    return int(2.0 ** (FIXED_BITS + hours / HALF_LIFE_HOURS))
