"""Which items may be offered to anybody, and how item numbers and catalogue rows correspond.

Between the catalogue (rows, catalogue/index.py) and the pipeline. Kept as one small array a
country, so that a request filters by indexing. Pure: times are arguments.
"""

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from services.recommend.arrays import NO_NUMBERS, Numbers, Reasons, Scores, grown
from services.recommend.catalogue.columns import Mask
from services.recommend.catalogue.index import Catalogue
from services.recommend.numbers import ItemNumbers
from services.recommend.seasons import in_season, next_month
from shared.decisions import encode_text

OFFERABLE: Final = 0
UNKNOWN: Final = 1
AVAILABILITY_NAMES: Final = (
    "",
    "unknown_item",
    "inactive",
    "not_recommendable",
    "out_of_stock",
    "not_yet_valid",
    "no_longer_valid",
    "country",
    "season",
    "age",
    "category",
    "filtered",
)
"""Why an item may be offered to nobody (in this country, now), by code; the last three by what one
call asks for (restrictions.py)."""
AGE: Final = AVAILABILITY_NAMES.index("age")
CATEGORY: Final = AVAILABILITY_NAMES.index("category")
FILTERED: Final = AVAILABILITY_NAMES.index("filtered")

NO_ROW: Final = -1
REFRESH_MS: Final = 100
"""How long a request may miss a change of the catalogue."""
MOST_COUNTRIES: Final = 64
FEW_ROWS: Final = 100


@dataclass(slots=True)
class Availability:
    """Codes by row for one country; `version` of the catalogue they were made of, `until` the
    business time at which the next one changes by itself, `made` the real ms they were made at;
    `ages`: the least ages that any item asks for, ascending."""

    codes: Reasons
    version: int
    until: int
    made: int
    ages: list[int]
    restricted: bool = False
    """Whether one call's terms withhold more."""
    trending: tuple[Scores, Numbers] | None = None
    """What trends among the offerable rows, and the trend of all rows it was found by."""
    _eligible: Numbers | None = None
    _withheld: dict[int, int] | None = None

    def eligible(self) -> Numbers:
        """Every row that may be offered, ascending."""
        if self._eligible is None:
            self._eligible = np.flatnonzero(self.codes == OFFERABLE)
        return self._eligible

    def withheld(self) -> dict[int, int]:
        """How many items of the catalogue each code withholds."""
        if self._withheld is None:
            counts = np.bincount(self.codes).tolist()
            self._withheld = {
                code: count for code, count in enumerate(counts) if count and code > UNKNOWN
            }
        return self._withheld


class Restricted(NamedTuple):
    """What was made of `base` for a call's terms, of which `mask` was the filters'."""

    base: Availability
    mask: Mask | None
    available: Availability


def judge(catalogue: Catalogue, country: str | None, now: int, real_ms: int) -> Availability:
    """Judge every row of the catalogue: the first rule that withholds it, in the order of
    AVAILABILITY_NAMES. Without a country only items that may be shown everywhere pass, and are in
    season everywhere."""
    columns, size = catalogue.columns, catalogue.columns.size
    rows = np.arange(size, dtype=np.int32)
    starts, ends = columns.valid_from[:size], columns.valid_to[:size]
    rules = (
        ~columns.live[:size],
        ~columns.active[:size],
        ~columns.recommendable[:size],
        ~columns.in_stock[:size],
        starts > now,
        ends <= now,
        ~catalogue.shown_in(rows, country),
        ~in_season(columns.seasons[:size], country, now),
    )
    codes = np.zeros(size, dtype=np.uint8)
    for code, broken in reversed(list(enumerate(rules, start=1))):
        codes[broken] = code
    until = next_month(now)
    for boundary in (starts, ends):
        ahead = boundary[boundary > now]
        until = min(until, int(ahead.min())) if len(ahead) else until
    ages = np.unique(columns.min_age[:size]).tolist()
    return Availability(codes, catalogue.version, until, real_ms, [age for age in ages if age])


@dataclass(slots=True)
class Stock:
    """The catalogue as requests see it: availability by country, rows by number, order of ids."""

    catalogue: Catalogue
    numbers: ItemNumbers
    number_of: Numbers = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    id_order: Numbers = field(default_factory=lambda: NO_NUMBERS)
    row_of: Numbers = field(default_factory=lambda: np.full(64, NO_ROW, dtype=np.int64))
    """Rows by number, NO_ROW for what the catalogue never had; number_of: the reverse."""
    id_texts: list[str] = field(default_factory=list)
    """Item ids by row, in JSON."""
    _sorted_ids: list[str] = field(default_factory=list)
    _sorted_rows: Numbers = field(default_factory=lambda: NO_NUMBERS)
    """Ids in their order, and their rows."""
    _aligned: int = 0
    _available: dict[str | None, Availability] = field(default_factory=dict)
    restricted: OrderedDict[object, Restricted] = field(default_factory=OrderedDict)
    """What restrictions.py made of availability for the terms of recent calls."""

    def available(self, country: str | None, now: int, real_ms: int) -> Availability:
        """What may be offered in a country, at most REFRESH_MS behind the catalogue."""
        known = self._available.get(country)
        if known is not None and now < known.until:
            if known.version == self.catalogue.version:
                return known
            if 0 <= real_ms - known.made < REFRESH_MS:
                return known
        if known is None and len(self._available) >= MOST_COUNTRIES:
            self._available.clear()
        self.align()
        known = self._available[country] = judge(self.catalogue, country, now, real_ms)
        return known

    def align(self) -> None:
        """Number the catalogue's new rows. Rows never move, so old ones stay right."""
        ids = self.catalogue.ids
        if self._aligned == len(ids):
            return
        for row in range(self._aligned, len(ids)):
            number = self.numbers.number(ids[row])
            self.row_of = grown(self.row_of, number + 1, NO_ROW)
            self.number_of = grown(self.number_of, row + 1)
            self.number_of[row] = number
            self.id_texts.append(encode_text(ids[row]))
            if number:
                self.row_of[number] = row
        self._sort(range(self._aligned, len(ids)))
        self._aligned = len(ids)

    def _sort(self, rows: range) -> None:
        """Put new rows where their ids belong; a request may be waiting, so few are put in one by
        one, and only many are worth a sort of all."""
        ids = self.catalogue.ids
        if len(rows) > FEW_ROWS:
            order = sorted(range(rows.stop), key=ids.__getitem__)
            self._sorted_ids = [ids[row] for row in order]
            self._sorted_rows = np.array(order, dtype=np.int64)
        else:
            new = sorted(rows, key=ids.__getitem__)
            places = [bisect_left(self._sorted_ids, ids[row]) for row in new]
            for place, row in reversed(list(zip(places, new, strict=True))):
                self._sorted_ids.insert(place, ids[row])
            self._sorted_rows = np.insert(self._sorted_rows, places, new)
        self.id_order = np.empty(rows.stop, dtype=np.int64)
        self.id_order[self._sorted_rows] = np.arange(rows.stop)

    @property
    def size(self) -> int:
        """How many rows are aligned: the length of `id_order`."""
        return self._aligned
