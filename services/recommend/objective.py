"""What an offer is worth to the shop if it succeeds: the second factor of what is maximised.

Between the ranker, which says how likely a click is, and the arrangement. Money is in minor units
and currencies are not converted: a shop with several has them all ranked as they are written. Pure.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.recommend.arrays import NO_SCORES, Numbers, Scores
from services.recommend.catalogue.columns import NONE, Columns
from services.recommend.catalogue.index import Catalogue
from services.recommend.ranking import Ranked, Ranker
from shared.catalogue import Objective

STEEPNESS: Final = 4.0
"""How fast a score that is no probability is taken to rise: twice the odds for each 0.17 more."""
USUAL_MARGIN: Final = 0.3
"""Of the price, where no item of the shop says what it earns."""


@dataclass(slots=True)
class Worth:
    """By row what a purchase brings: `revenue` its price; `margin` what it says it earns.

    An item without a price is taken to cost the shop's median, one without a margin to earn the
    shop's median share of its price: unknown is neither favoured nor punished.
    """

    revenue: Scores = field(default_factory=lambda: NO_SCORES)
    margin: Scores = field(default_factory=lambda: NO_SCORES)
    _version: int = -1

    def refresh(self, catalogue: Catalogue) -> None:
        """Follow the catalogue; rows that are new until then are worth nothing yet."""
        if catalogue.version != self._version:
            self.revenue, self.margin = worth_of(catalogue.columns)
            self._version = catalogue.version


def worth_of(columns: Columns) -> tuple[Scores, Scores]:
    """Revenue and margin by row, see Worth."""
    price, margin = columns.price[: columns.size], columns.margin[: columns.size]
    priced = price != NONE
    median = float(np.median(price[priced])) if priced.any() else 1.0
    revenue = np.where(priced, price, median).astype(np.float64)
    known = (margin != NONE) & (revenue > 0.0)
    share = float(np.median(margin[known] / revenue[known])) if known.any() else USUAL_MARGIN
    return revenue, np.where(margin != NONE, margin, revenue * share).astype(np.float64)


def values(objective: Objective, ranked: Ranked, ranker: Ranker, worth: Worth) -> Scores:
    """What each of the ranked is expected to bring by an objective; float64, side by side.

    A calibrated ranker's chances are taken as they are. Scores that are no chances order clicks and
    conversions by themselves, and count as log odds where money is at stake.
    """
    if ranker.calibrated:
        chances = ranked.scores if objective == "click" else ranker.conversion(ranked)
    elif objective in ("click", "conversion"):
        return ranked.scores
    else:
        chances = 1.0 / (1.0 + np.exp(-STEEPNESS * (ranked.scores - 1.0)))
    if objective in ("click", "conversion"):
        return chances
    return chances * _at(worth.margin if objective == "margin" else worth.revenue, ranked.rows)


def _at(column: Scores, rows: Numbers) -> Scores:
    held = np.zeros(len(rows))
    inside = rows < len(column)
    held[inside] = column[rows[inside]]
    return held
