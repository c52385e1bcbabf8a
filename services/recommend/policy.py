"""Hard rules: what must not be offered, whatever it scores, and how often each rule said so.

Third step of `pipeline`. Pure. Availability (stock, validity, country) is judged for everybody in
availability.py; here come the rules that concern one shopper. `Pooling.keep_allowed` applies both.
"""

from typing import Final, NamedTuple

from services.recommend.availability import AVAILABILITY_NAMES, Stock
from services.recommend.situation import Situation
from shared.decisions import Filtered

REASON_NAMES: Final = (*AVAILABILITY_NAMES, "in_cart", "bought", "dismissed", "excluded")
IN_CART: Final = REASON_NAMES.index("in_cart")
BOUGHT: Final = REASON_NAMES.index("bought")
DISMISSED: Final = REASON_NAMES.index("dismissed")
EXCLUDED: Final = REASON_NAMES.index("excluded")


class Rules(NamedTuple):
    """Rows that this shopper must not be offered, and why, side by side; of two entries for one
    row the later holds."""

    rows: list[int]
    codes: list[int]

    def by_row(self) -> dict[int, int]:
        """Row → reason code."""
        return dict(zip(self.rows, self.codes, strict=True))


def personal_rules(situation: Situation, stock: Stock) -> Rules:
    """What this shopper must not be offered."""
    rows: list[int] = []
    codes: list[int] = []
    for code, items in (
        (DISMISSED, situation.dismissed),
        (BOUGHT, situation.bought),
        (IN_CART, situation.cart),
        (EXCLUDED, situation.excluded),
    ):
        if not items:
            continue
        found = stock.rows_of(items)
        if code == BOUGHT:
            repeatable = stock.catalogue.columns.repeatable[found].tolist()
            found = [row for row, again in zip(found, repeatable, strict=True) if not again]
        rows += found
        codes += [code] * len(found)
    return Rules(rows, codes)


def counted(counts: dict[int, int]) -> list[Filtered]:
    """The counted reasons as the answer shows them, in the order of REASON_NAMES."""
    return [
        Filtered(reason=REASON_NAMES[code], count=count) for code, count in sorted(counts.items())
    ]
