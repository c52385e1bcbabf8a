"""The files of a model version as bytes: arrays of a part, ids of items. No objects, no pickles."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidInput
from shared.models.metadata import FileMark

if TYPE_CHECKING:
    from obstore import GetResult


BYTES_AT_ONCE: Final = 1 << 18


def encode_items(items: list[str]) -> bytes:
    """Item ids by local number."""
    return msgspec.json.encode(items)


def decode_items(file: BytesIO) -> list[str]:
    """Raises InvalidInput."""
    try:
        return msgspec.json.decode(file.getbuffer(), type=list[str])
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"no list of items: {error}") from None


def encode_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """The arrays by name as npz; the same arrays give the same bytes."""
    file = BytesIO()
    named: dict[str, Any] = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    np.savez(file, **named)
    return file.getvalue()


def decode_arrays(file: BytesIO) -> dict[str, NDArray[np.generic]]:
    """Raises InvalidInput."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise InvalidInput(f"no arrays: {error}") from None


def gathered(found: "GetResult") -> BytesIO:
    """An object of the store, chunk by chunk into memory that was asked for at once: one copy of a
    hundred megabytes would keep requests from the interpreter all the while."""
    file = BytesIO(bytes(found.meta["size"]))
    for chunk in found.stream(min_chunk_size=BYTES_AT_ONCE):
        file.write(chunk)
    file.truncate()
    file.seek(0)
    return file


def mark(data: bytes | memoryview) -> FileMark:
    """What a file with this content is known by."""
    return FileMark(memoryview(data).nbytes, hashlib.sha256(data).hexdigest())
