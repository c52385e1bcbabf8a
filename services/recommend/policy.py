"""Hard rules: what must not be offered, whatever it scores, and how often each rule said so.

Third step of `pipeline`. Pure. Availability (stock, validity, country) is judged for everybody in
availability.py; here come the rules that concern one shopper. `candidates.gathering` applies both.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers
from services.recommend.asking import Ask
from services.recommend.availability import AVAILABILITY_NAMES, Stock
from services.recommend.compiled import compiled
from services.recommend.situation import Situation
from shared.decisions import Filtered

REASON_NAMES: Final = (*AVAILABILITY_NAMES, "in_cart", "bought", "dismissed", "excluded", "capped")
IN_CART: Final = REASON_NAMES.index("in_cart")
BOUGHT: Final = REASON_NAMES.index("bought")
DISMISSED: Final = REASON_NAMES.index("dismissed")
EXCLUDED: Final = REASON_NAMES.index("excluded")
CAPPED: Final = REASON_NAMES.index("capped")
OWN_RULES: Final = (BOUGHT, CAPPED, DISMISSED, IN_CART, EXCLUDED)
"""Of two that concern one item the later holds."""


def own_items(situation: Situation, ask: Ask, now: int) -> tuple[list[str], ...]:
    """The items that each of OWN_RULES withholds."""
    return (
        situation.bought,
        situation.capped(ask.cap, now),
        situation.dismissed,
        situation.cart,
        situation.excluded,
    )


@compiled("int64[:, ::1](int64[::1], int64[::1], int64[::1], boolean[::1])")
def named_rows(
    items: Numbers, lengths: Numbers, row_of: Numbers, repeatable: NDArray[np.bool_]
) -> Numbers:
    """Rows that a shopper's own rules withhold, and the reason codes, side by side. items: numbers,
    as many of each rule as `lengths` says; what the catalogue never had is left out."""
    named = np.empty((2, len(items)), dtype=np.int64)
    count = at = 0
    for rule in range(len(lengths)):
        code = OWN_RULES[rule]
        for _ in range(lengths[rule]):
            row = row_of[items[at]] if items[at] < len(row_of) else -1
            at += 1
            if row < 0 or (code == BOUGHT and repeatable[row]):
                continue
            named[0, count] = row
            named[1, count] = code
            count += 1
    return named[:, :count].copy()


def withheld_rows(situation: Situation, ask: Ask, stock: Stock, now: int) -> dict[int, int]:
    """Rows that this shopper's own rules withhold → reason code."""
    known = [stock.numbers.numbers_of(items) for items in own_items(situation, ask, now)]
    rows, codes = named_rows(
        np.array([number for items in known for number in items], dtype=np.int64),
        np.array([len(items) for items in known], dtype=np.int64),
        stock.row_of,
        stock.catalogue.columns.repeatable,
    ).tolist()
    return dict(zip(rows, codes, strict=True))


def counted(counts: list[int]) -> list[Filtered]:
    """Counts by reason code as the answer shows them, without those of 0."""
    return [
        Filtered(reason=reason, count=count)
        for reason, count in zip(REASON_NAMES, counts, strict=False)
        if count
    ]


class CategoryRoom:
    """How many more items of each category an answer takes, where the placement sets a limit."""

    def __init__(self, limit: int, categories: Codes) -> None:
        self._limit = limit
        self._categories = categories
        self._held: Counter[int] = Counter()

    @classmethod
    def of(cls, ask: Ask, categories: Codes, rows: Iterable[int] = ()) -> "CategoryRoom":
        """Beside the rows that the answer has already. categories: codes by row."""
        room = cls(ask.most_of_category or 0, categories)
        for row in rows:
            room.takes(row)
        return room

    def takes(self, row: int) -> bool:
        """Whether there is room for the row, which is then taken."""
        category = int(self._categories[row])
        if not self._limit or category < 0:
            return True
        if self._held[category] == self._limit:
            return False
        self._held[category] += 1
        return True

    def chances(self, allowed: Numbers, drawn: list[int]) -> list[float]:
        """Of rows drawn one after another, uniformly among the allowed that there was room for,
        each one's chance given those before it."""
        left = Counter(self._categories[allowed].tolist())
        free, taken, chances = len(allowed), Counter[int](), []
        for row in drawn:
            category = int(self._categories[row])
            chances.append(1.0 / max(free, 1))
            free -= 1
            left[category] -= 1
            taken[category] += 1
            if category >= 0 and taken[category] == self._limit:
                free -= left[category]
        return chances
