"""Hard rules: what must not be offered, whatever it scores, and how often each rule said so.

Third step of `pipeline`. Pure. Availability (stock, validity, country) is judged for everybody in
availability.py; here come the rules that concern one shopper.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Reasons, grown
from services.recommend.availability import AVAILABILITY_NAMES, Availability, Stock
from services.recommend.situation import Situation
from shared.decisions import Filtered

REASON_NAMES: Final = (*AVAILABILITY_NAMES, "in_cart", "bought", "dismissed", "excluded")
IN_CART: Final = REASON_NAMES.index("in_cart")
BOUGHT: Final = REASON_NAMES.index("bought")
DISMISSED: Final = REASON_NAMES.index("dismissed")
EXCLUDED: Final = REASON_NAMES.index("excluded")


def personal_rules(situation: Situation, stock: Stock) -> dict[int, int]:
    """Row → reason code for what this shopper must not be offered; the last rule named wins."""
    rules = dict.fromkeys(stock.rows_of(situation.dismissed), DISMISSED)
    repeatable = stock.catalogue.columns.repeatable
    for row in stock.rows_of(situation.bought):
        if not repeatable[row]:
            rules[row] = BOUGHT
    for row in stock.rows_of(situation.cart):
        rules[row] = IN_CART
    for row in stock.rows_of(situation.excluded):
        rules[row] = EXCLUDED
    return rules


@dataclass(slots=True)
class Policy:
    """Applies the rules to a pool. `mark` is scratch by row, 0 between requests."""

    mark: Reasons = field(default_factory=lambda: np.zeros(64, dtype=np.uint8))

    def judge(
        self, rows: Numbers, available: Availability, rules: dict[int, int]
    ) -> tuple[NDArray[np.bool_], dict[int, int]]:
        """Which of the rows may be offered, and how many each reason code withholds."""
        self.mark = mark = grown(self.mark, len(available.codes))
        named = list(rules)
        mark[named] = list(rules.values())
        general, personal = available.codes[rows], mark[rows]
        mark[named] = 0
        codes = np.where(general, general, personal)
        counts = np.bincount(codes).tolist()
        return codes == 0, {code: count for code, count in enumerate(counts) if code and count}


def counted(counts: dict[int, int]) -> list[Filtered]:
    """The counted reasons as the answer shows them, in the order of REASON_NAMES."""
    return [
        Filtered(reason=REASON_NAMES[code], count=count) for code, count in sorted(counts.items())
    ]
