"""Columns of integers in few bytes: what the packed window and the packed state are made of. Pure.

Values outside what a column can hold fall back to plain lists, so nothing is ever cut off. All
steps run at the speed of C, since each write of an identity goes through here.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, TypeAlias

Column: TypeAlias = bytes | list[int]
"""A packed column, or the integers themselves where they are negative or above 64 bits."""

_WIDE: Final = 15
"""The half byte that stands for a number of 15 or more (or below 0), found among the wide ones."""
_SMALL: Final = bytes(range(_WIDE))
_TO_DIGIT: Final = bytes(b"0123456789abcdef"[min(value, _WIDE)] for value in range(256))
_FROM_DIGIT: Final = bytes(
    int(chr(code), 16) if chr(code) in "0123456789abcdef" else 0 for code in range(256)
)


def pack_column(values: Sequence[int]) -> Column:
    """As many bytes each as the greatest needs: all lowest bytes first, then the next ones."""
    try:
        return bytes(values)
    except ValueError:
        top = max(values)
    if min(values) < 0 or top >> 64:
        return list(values)
    planes = struct.pack(f"<{len(values)}Q", *values)
    return b"".join([planes[place::8] for place in range((top.bit_length() + 7) // 8)])


def unpack_column(column: Column, count: int) -> Sequence[int]:
    """The `count` integers of a packed column. Raises ValueError where it holds another number."""
    if isinstance(column, list) or len(column) == count:
        return column
    planes = bytearray(8 * count)
    for place in range(len(column) // count if count else 0):
        planes[place::8] = column[place * count : (place + 1) * count]
    return struct.unpack(f"<{count}Q", planes)


def pack_halves(values: Sequence[int]) -> tuple[bytes, Column]:
    """Half a byte each, and those that need more, in their order."""
    try:
        column = bytes(values)
    except ValueError:
        wide: Column = [value for value in values if not 0 <= value < _WIDE]
        column = bytes([value if 0 <= value < _WIDE else _WIDE for value in values])
    else:
        wide = column.translate(None, _SMALL)
    digits = column.translate(_TO_DIGIT)
    return bytes.fromhex((digits + b"0" if len(digits) & 1 else digits).decode()), wide


def unpack_halves(halves: bytes, wide: Column) -> Iterator[int]:
    """The integers, and one 0 more where their number is odd."""
    column = halves.hex().encode().translate(_FROM_DIGIT)
    if isinstance(wide, list):
        rest = iter(wide)
        return (value if value < _WIDE else next(rest) for value in column)
    # Each wide number in place of its mark: what lies between the marks is copied as it is.
    between = column.split(bytes([_WIDE]))
    wides = (*struct.unpack(f"{len(wide)}c", wide), b"")
    return iter(b"".join(chain.from_iterable(zip(between, wides, strict=True))))
