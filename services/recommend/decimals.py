"""Numbers of a decision as JSON, in one compiled call: decision_records.py logs hundreds of them
with each answer, most of them with more digits than they mean.

Behind `pipeline`. Pure.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Scores
from services.recommend.compiled import compiled

_WIDEST: Final = 18 + 3
"""Digits before the point; a sign, the point and a comma. Those behind it come to that."""
_GREATEST: Final = 9e17
_NOTHING, _MINUS, _POINT, _COMMA, _OPEN, _CLOSE = (ord(sign) for sign in "0-.,[]")
_ZERO, _TEN = np.uint64(ord("0")), np.uint64(10)
"""Of one type with what is divided: together with a signed number it would be a float."""
_NULL: Final = tuple(b"null")


@compiled("int64(uint8[::1], int64, uint64)")
def _write_whole(text: NDArray[np.uint8], size: int, number: np.uint64) -> int:
    """Writes a whole number behind the `size` signs there are; how many there are then."""
    end, rest = size + 1, number // _TEN
    while rest > np.uint64(0):
        rest //= _TEN
        end += 1
    for at in range(end - 1, size - 1, -1):
        text[at] = _ZERO + number % _TEN
        number //= _TEN
    return end


@compiled("int64(uint8[::1], int64, float64, int64, float64)")
def _write(text: NDArray[np.uint8], size: int, value: float, digits: int, unit: float) -> int:
    """Writes a number of units of 1 / unit, which has so many digits."""
    if not np.isfinite(value):
        for sign in _NULL:
            text[size] = sign
            size += 1
        return size
    if value == 0.0:
        text[size] = _NOTHING
        return size + 1
    amount = min(abs(value), _GREATEST)
    whole = np.int64(amount)
    fraction = np.uint64(np.int64(np.rint((amount - whole) * unit)))
    if fraction == np.uint64(unit):
        whole, fraction = whole + 1, np.uint64(0)
    if value < 0.0 and (whole > 0 or fraction > np.uint64(0)):
        text[size] = _MINUS
        size += 1
    size = _write_whole(text, size, np.uint64(whole))
    if fraction == np.uint64(0):
        return size
    while fraction % _TEN == np.uint64(0):
        fraction //= _TEN
        digits -= 1
    text[size] = _POINT
    for at in range(size + digits, size, -1):
        text[at] = _ZERO + fraction % _TEN
        fraction //= _TEN
    return size + digits + 1


@compiled("uint8[::1](float64[:, ::1], int64)")
def _rows(matrix: Scores, digits: int) -> NDArray[np.uint8]:
    widest = len(matrix) * (matrix.shape[1] * (_WIDEST + digits) + 3) + 2
    text = np.empty(widest, dtype=np.uint8)
    unit = 10.0**digits
    size = 0
    for row in range(len(matrix)):
        text[size] = _COMMA if row else _OPEN
        text[size + 1] = _OPEN
        size += 2
        for column in range(matrix.shape[1]):
            if column:
                text[size] = _COMMA
                size += 1
            size = _write(text, size, matrix[row, column], digits, unit)
        text[size] = _CLOSE
        size += 1
    return text[:size].copy()


def rows_in_json(matrix: Scores, digits: int, count: int) -> bytes:
    """A matrix as an array of its rows, to so many digits behind the point, and empty rows until
    there are `count`; null for what is not finite; 9e17 for what is beyond."""
    begun = _rows(np.ascontiguousarray(matrix), digits).tobytes() or b"["
    missing = b",".join([b"[]"] * (count - len(matrix)))
    return begun + (b"," if len(matrix) and missing else b"") + missing + b"]"
