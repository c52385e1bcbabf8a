"""How waiting moments lie in Redis, beside the state that they belong to. Pure.

Most are a scenario's name and an event's id, so that several together take a third less as one
zstd frame.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.profile.moments.waiting import Waiting
from shared.packed import pack, unpack

_VERSION: Final = 1
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Waiting])


def pack_waiting(waiting: Sequence[Waiting]) -> bytes:
    """The moments; b"" where there are none."""
    return pack(_VERSION, _encoder.encode(waiting)) if waiting else b""


def unpack_waiting(packed: bytes | None) -> list[Waiting]:
    """The moments of one write. Raises NewerVersion, and ValueError where they are damaged."""
    return _decoder.decode(unpack((_VERSION,), packed)) if packed else []
