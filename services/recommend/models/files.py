"""The files of a model version as bytes: arrays of a part, ids of items. No objects, no pickles."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.recommend.models.metadata import FileMark
from shared.errors import InvalidInput


def encode_items(items: list[str]) -> bytes:
    """Item ids by local number."""
    return msgspec.json.encode(items)


def decode_items(data: bytes) -> list[str]:
    """Raises InvalidInput."""
    try:
        return msgspec.json.decode(data, type=list[str])
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"no list of items: {error}") from None


def encode_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """The arrays by name as npz; the same arrays give the same bytes."""
    file = BytesIO()
    named: dict[str, Any] = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    np.savez(file, **named)
    return file.getvalue()


def decode_arrays(data: bytes) -> dict[str, NDArray[np.generic]]:
    """Raises InvalidInput."""
    try:
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise InvalidInput(f"no arrays: {error}") from None


def mark(data: bytes) -> FileMark:
    """What a file with this content is known by."""
    return FileMark(len(data), hashlib.sha256(data).hexdigest())
