"""Which partition a key's records are in: murmur2, as the Java client has it, on the way of every
record that a producer of ours sends (bus.py).

aiokafka's own takes each byte by itself, which takes three times as long.
"""

import random
from collections.abc import Sequence
from struct import unpack
from typing import Final

_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def murmur2(key: bytes) -> int:
    """32 bits of a key (org.apache.kafka.common.utils.Utils.murmur2)."""
    length = len(key)
    whole = length // 4
    mixed = _SEED ^ length
    for word in unpack(f"<{whole}I", key[: 4 * whole]):
        part = word * _FACTOR & _WORD
        mixed = (mixed * _FACTOR ^ (part ^ part >> 24) * _FACTOR) & _WORD
    if length % 4:
        mixed = (mixed ^ int.from_bytes(key[4 * whole :], "little")) * _FACTOR & _WORD
    mixed = (mixed ^ mixed >> 13) * _FACTOR & _WORD
    return mixed ^ mixed >> 15


def choose(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """The partition of a key, whatever is available; of a record without one any that is."""
    if key is None:
        return random.choice(available or partitions)
    return partitions[(murmur2(key) & _POSITIVE) % len(partitions)]
