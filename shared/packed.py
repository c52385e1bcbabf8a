"""What lies packed in Redis: one byte that says the version, then a zstd frame. Pure.

Views and states are a few hundred bytes each, so the frame carries no magic number and no check
sum (Redis and its replicas have their own), and its tables fit a value of 4 KB. A compressor is not
for two threads at once, hence one for each.
"""

import threading
from typing import Final

import zstandard

from shared.errors import AttuneError

_FRAME: Final = zstandard.FORMAT_ZSTD1_MAGICLESS


class NewerVersion(AttuneError, ValueError):
    """Written by a newer Attune: refused, never guessed at."""

    code = "newer_version"


class Frames(threading.local):
    """How one kind of value is compressed. dictionary: bytes that such values often hold; what was
    packed with it can only be read with the very same."""

    def __init__(self, dictionary: bytes = b"") -> None:
        parameters = zstandard.ZstdCompressionParameters(
            format=_FRAME,
            strategy=zstandard.STRATEGY_DFAST,
            window_log=12,
            hash_log=10,
            chain_log=9,
            search_log=1,
            min_match=4,
            write_checksum=False,
            write_dict_id=False,
        )
        known = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        data = known if dictionary else None
        self.compress = zstandard.ZstdCompressor(
            compression_params=parameters, dict_data=data
        ).compress
        self.decompress = zstandard.ZstdDecompressor(format=_FRAME, dict_data=data).decompress


_plain: Final = Frames()


def pack(version: int, value: bytes, frames: Frames = _plain) -> bytes:
    """A value as it lies in Redis."""
    return version.to_bytes(1, "little") + frames.compress(value)


def unpack(versions: tuple[int, ...], packed: bytes, frames: Frames = _plain) -> bytes:
    """The value, which is of one of these versions.

    Raises NewerVersion, and ValueError where it is damaged.
    """
    if not packed or packed[0] not in versions:
        known = ", ".join(map(str, (1, *versions)))
        raise NewerVersion(
            f"a profile in Redis is of version {packed[:1].hex()}; known are {known}"
        )
    try:
        return frames.decompress(memoryview(packed)[1:])
    except zstandard.ZstdError as error:
        raise ValueError(f"damaged: {error}") from None
