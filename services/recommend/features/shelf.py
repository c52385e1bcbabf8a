"""What features know of items, ready for the compiled call: columns of the catalogue and counts.

Kept by `pipeline.Knowledge`; brought up to date at a request's beginning where the catalogue or
the statistics are others than before.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_SCORES, Scores
from services.recommend.catalogue.columns import Columns
from services.recommend.catalogue.fields import MOST_VALUES, FieldColumn
from services.recommend.catalogue.index import Catalogue
from services.recommend.features.feature import Feature
from services.recommend.features.filling import MOST_NUMBERS, MOST_TEXTS, SECOND, ShelfArrays
from services.recommend.features.first import FIRST_FEATURES
from services.recommend.features.items import number_field
from services.recommend.features.overlap import overlap_field, taste_field
from services.recommend.features.rates import CLICKED, SHOWN, rates_of_values, value_rate

_NO_TABLE: Final = np.empty((0, MOST_VALUES), dtype=np.int32)
_NO_COUNTS: Final = np.zeros((0, 5), dtype=np.int64)
OWN_TEXTS: Final = ("category", "brand")
NOT_FEATURES: Final = frozenset({"price", "stock"})
"""Numeric attributes that are features of their own already."""
MOST_LOOKED_AT: Final = 32
"""Fields looked at, by name: each has a column from then on."""


def declared(texts: list[str], numbers: list[str]) -> list[Feature]:
    """All features of a shop whose items have these fields, by column."""
    fields = [
        feature
        for name in texts
        for feature in (overlap_field(name), taste_field(name), value_rate(name))
    ]
    return [*FIRST_FEATURES, *SECOND, *fields, *map(number_field, numbers)]


@dataclass(slots=True)
class Shelf:
    """names: of the features, by column; they change when items have fields that none had before,
    the object with them."""

    names: tuple[str, ...] = field(
        default_factory=lambda: tuple(feature.name for feature in declared([], []))
    )
    _version: int = -1
    _texts: list[FieldColumn] = field(default_factory=list)
    _numbers: list[FieldColumn] = field(default_factory=list)
    _stock: FieldColumn | None = None
    _counts: NDArray[np.int64] = field(default_factory=lambda: _NO_COUNTS)
    _rates: tuple[Scores, ...] = (NO_SCORES,) * MOST_TEXTS
    _average: float = math.nan
    _arrays: ShelfArrays | None = None

    def arrays(self, catalogue: Catalogue, counts: NDArray[np.int64]) -> ShelfArrays:
        """As `fill` takes them; counts: by row, as Popularity has them."""
        if catalogue.version != self._version:
            self._version = catalogue.version
            self._look_at(catalogue)
        if counts is not self._counts:
            self._count(counts)
        if self._arrays is None:
            self._arrays = self._gathered(catalogue.columns)
        return self._arrays

    def _gathered(self, columns: Columns) -> ShelfArrays:
        texts, numbers = self._texts, self._numbers
        stock = NO_SCORES if self._stock is None else self._stock.numbers
        return (
            columns.price,
            columns.valid_from,
            stock,
            self._counts,
            self._average,
            tuple([text.codes for text in texts] + [_NO_TABLE] * (MOST_TEXTS - len(texts))),
            self._rates,
            tuple(
                [number.numbers for number in numbers] + [NO_SCORES] * (MOST_NUMBERS - len(numbers))
            ),
            len(texts),
            len(numbers),
        )

    def _look_at(self, catalogue: Catalogue) -> None:
        """Choose the fields: category and brand, then the first by name, as far as items have
        texts in them, or numbers."""
        self._arrays = None
        fields = catalogue.fields
        others = sorted(set(fields.names()) - NOT_FEATURES - set(OWN_TEXTS))[:MOST_LOOKED_AT]
        columns = [(name, fields.column(name)) for name in (*OWN_TEXTS, *others)]
        texts = [(name, made) for name, made in columns if made and made.labels.labels]
        numbers = [(name, made) for name, made in columns if made and len(made.numbers)]
        texts, numbers = texts[:MOST_TEXTS], numbers[:MOST_NUMBERS]
        self._stock = fields.column("stock")
        made = declared([name for name, _ in texts], [name for name, _ in numbers])
        names = tuple(feature.name for feature in made)
        self._numbers = [column for _, column in numbers]
        if names != self.names or not self._texts:
            self.names = names
            self._texts = [column for _, column in texts]
            self._count(self._counts)

    def _count(self, counts: NDArray[np.int64]) -> None:
        self._arrays = None
        self._counts = counts
        shown = float(counts[:, SHOWN].sum())
        self._average = float(counts[:, CLICKED].sum()) / shown if shown else math.nan
        rates = [
            rates_of_values(text.codes, counts, len(text.labels.labels), self._average)
            for text in self._texts
        ]
        self._rates = tuple(rates + [NO_SCORES] * (MOST_TEXTS - len(rates)))
