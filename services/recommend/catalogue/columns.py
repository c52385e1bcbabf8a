"""Numpy columns of the catalogue, one row an item: what filters and ranking compute with.

Pure. Rows are dense and never move, so a row number found in one request holds in the next.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Rows: TypeAlias = NDArray[np.int32]
Mask: TypeAlias = NDArray[np.bool_]

NONE: Final = -1
"""The code of a missing category, brand, currency or price band, and the price of an unpriced."""
ALWAYS: Final = np.iinfo(np.int64).max
EVERYWHERE: Final[frozenset[str]] = frozenset()


class Columns:
    """The arrays, `size` rows of which are in use; they are replaced when they grow, so a caller
    holds no array across an await.

    live: the item exists; in_stock: stock is not counted or above 0; valid_from, valid_to: epoch
    ms, valid_to exclusive; price: minor units; price_band: the octave of `shared.profile`;
    category, brand, currency, countries: codes of `Codes`; seasons, min_age, margin: see terms.py.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self.size = 0
        self.live: Mask = np.zeros(capacity, np.bool_)
        self.active: Mask = np.zeros(capacity, np.bool_)
        self.recommendable: Mask = np.zeros(capacity, np.bool_)
        self.repeatable: Mask = np.zeros(capacity, np.bool_)
        self.in_stock: Mask = np.zeros(capacity, np.bool_)
        self.valid_from: NDArray[np.int64] = np.zeros(capacity, np.int64)
        self.valid_to: NDArray[np.int64] = np.full(capacity, ALWAYS, np.int64)
        self.price: NDArray[np.int64] = np.full(capacity, NONE, np.int64)
        self.price_band: NDArray[np.int8] = np.full(capacity, NONE, np.int8)
        self.category: NDArray[np.int32] = np.full(capacity, NONE, np.int32)
        self.brand: NDArray[np.int32] = np.full(capacity, NONE, np.int32)
        self.currency: NDArray[np.int32] = np.full(capacity, NONE, np.int32)
        self.countries: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.seasons: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.min_age: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.margin: NDArray[np.int64] = np.full(capacity, NONE, np.int64)

    def add(self) -> int:
        """The number of a new row."""
        if self.size == len(self.live):
            for name, column in vars(self).items():
                if name != "size":
                    setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
        self.size += 1
        return self.size - 1


class Codes:
    """Small integers for labels, in the order they were first seen."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self._codes: dict[str, int] = {}
        # `get(label, NONE)`: the label's code, NONE where no item ever had it
        self.get = self._codes.get

    def code(self, label: str | None) -> int:
        """The label's code, given now if it has none; NONE for None."""
        if label is None:
            return NONE
        code = self._codes.setdefault(label, len(self.labels))
        if code == len(self.labels):
            self.labels.append(label)
        return code

    def find(self, label: str) -> int:
        """The label's code, NONE where no item ever had it."""
        return self.get(label, NONE)


class CountrySets:
    """Codes for sets of countries: a shop has few different ones, so a filter tests each once."""

    def __init__(self) -> None:
        self._codes: dict[frozenset[str], int] = {EVERYWHERE: 0}
        self._sets: list[frozenset[str]] = [EVERYWHERE]
        self._allowed: dict[str | None, Mask] = {}

    def code(self, countries: frozenset[str]) -> int:
        """The set's code, given now if it has none; 0 is everywhere."""
        code = self._codes.setdefault(countries, len(self._sets))
        if code == len(self._sets):
            self._sets.append(countries)
            self._allowed.clear()
        return code

    def allowed(self, country: str | None) -> Mask:
        """By code of set: whether items of that set may be shown in the country."""
        mask = self._allowed.get(country)
        if mask is None:
            mask = np.array([not names or country in names for names in self._sets], np.bool_)
            # Requests name countries, so what is remembered must not grow with their inventions.
            if len(self._allowed) < 256:
                self._allowed[country] = mask
        return mask


class Groups:
    """Live rows by code (of a category or brand), as arrays in row order."""

    def __init__(self) -> None:
        self._members: dict[int, set[int]] = {}
        self._arrays: dict[int, Rows] = {}

    def move(self, row: int, before: int, after: int) -> None:
        """The row's code changed; NONE stands for no group."""
        if before == after:
            return
        if before != NONE:
            self._members[before].discard(row)
            self._arrays.pop(before, None)
        if after != NONE:
            self._members.setdefault(after, set()).add(row)
            self._arrays.pop(after, None)

    def rows(self, code: int) -> Rows:
        """The group's rows, ascending; int32."""
        array = self._arrays.get(code)
        if array is None:
            array = np.array(sorted(self._members.get(code, ())), np.int32)
            if code in self._members:
                self._arrays[code] = array
        return array
