"""Columns of any item field by catalogue row: what filters, rules and features compute with.

Beside columns.py, which holds what every item has. Made when a field is first asked for and kept
up to date by index.py. Pure.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import grown
from services.recommend.catalogue.columns import NONE, Codes, Mask
from shared.catalogue import ItemChanged

MOST_VALUES: Final = 8
"""Values of one field of one item that count, the first ones."""
OWN: Final = ("category", "brand", "price", "stock")
"""Attributes that are fields by these names, before any of `ItemChanged.fields`."""

CodeTable: TypeAlias = NDArray[np.int32]
"""Rows x MOST_VALUES: codes of an item's values, each once, behind them NONE."""
NumberColumn: TypeAlias = NDArray[np.float64]

_NO_CODES: Final = np.empty((0, MOST_VALUES), dtype=np.int32)
_NO_NUMBERS: Final = np.empty(0)


class FieldColumn:
    """One field of all items. codes: of texts and truth values (`true`, `false`), which `labels`
    names; numbers: nan where the item has none. Arrays are replaced when they grow, so a caller
    holds none across an await; rows behind their end have no value."""

    def __init__(self) -> None:
        self.codes: CodeTable = _NO_CODES
        self.numbers: NumberColumn = _NO_NUMBERS
        self.labels = Codes()

    def write(self, row: int, value: object) -> None:
        """The value that an item has now, whatever its type; what is neither text, number nor
        truth value, nor a list of texts, is no value."""
        texts, number = texts_of(value), number_of(value)
        if row >= len(self.codes) and texts:
            larger = np.full((max(2 * len(self.codes), row + 1, 64), MOST_VALUES), NONE, np.int32)
            larger[: len(self.codes)] = self.codes
            self.codes = larger
        if row < len(self.codes):
            found = [self.labels.code(text) for text in texts]
            self.codes[row] = found + [NONE] * (MOST_VALUES - len(found))
        if not math.isnan(number):
            self.numbers = grown(self.numbers, row + 1, math.nan)
        if row < len(self.numbers):
            self.numbers[row] = number

    def having(self, values: Iterable[str], size: int) -> Mask:
        """For each of the first `size` rows, whether it has one of the values."""
        wanted = np.zeros(len(self.labels.labels) + 1, dtype=np.bool_)
        wanted[[self.labels.find(value) for value in values]] = True
        # the last place stands for NONE, by whichever value it was wanted
        wanted[NONE] = False
        mask = np.zeros(size, dtype=np.bool_)
        codes = self.codes[:size]
        mask[: len(codes)] = wanted[codes].any(axis=1)
        return mask

    def between(self, low: float, high: float, size: int) -> Mask:
        """For each of the first `size` rows, whether it has a number within both bounds."""
        mask = np.zeros(size, dtype=np.bool_)
        numbers = self.numbers[:size]
        mask[: len(numbers)] = (numbers >= low) & (numbers <= high)
        return mask


def texts_of(value: object) -> list[str]:
    """The texts in a field's value, each once, at most MOST_VALUES."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        return []
    return list(dict.fromkeys(text for text in value if isinstance(text, str)))[:MOST_VALUES]


def number_of(value: object) -> float:
    """The number a field's value is, nan where it is none."""
    if isinstance(value, bool | int | float):
        try:
            number = float(value)
        except OverflowError:
            return math.nan
        return number if math.isfinite(number) else math.nan
    return math.nan


def value_of(item: ItemChanged, name: str) -> object:
    """What an item has by way of a field, None for nothing."""
    return getattr(item, name) if name in OWN else item.fields.get(name)


class Fields:
    """The columns made so far, over the items of a catalogue (by id) and their rows."""

    def __init__(self, items: Mapping[str, ItemChanged], rows: Mapping[str, int]) -> None:
        self._items = items
        self._rows = rows
        self._columns: dict[str, FieldColumn] = {}
        self._names: dict[str, None] = dict.fromkeys(OWN)

    def names(self) -> list[str]:
        """All fields that an item ever had, in the order they were first seen."""
        return list(self._names)

    def column(self, name: str) -> FieldColumn | None:
        """A field's column; None where no item ever had the field, so that what requests invent
        costs no memory. The first call of a name looks at every item."""
        column = self._columns.get(name)
        if column is None and name in self._names:
            column = self._columns[name] = FieldColumn()
            for item, change in self._items.items():
                column.write(self._rows[item], value_of(change, name))
        return column

    def changed(self, row: int, change: ItemChanged) -> None:
        """An item is new or has changed."""
        for name in change.fields:
            self._names.setdefault(name)
        for name, column in self._columns.items():
            column.write(row, value_of(change, name))
