"""New items: what came into the catalogue lately, the newest first.

Candidates of `pipeline`. When an item came is what the shop says: its `valid_from`, else its field
`added_at` (epoch ms, or ISO 8601 date). The time of a change is none: a price that moves makes
nothing new, and a first import would make everything so.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Scores
from services.recommend.catalogue.index import Catalogue

NEW_MS: Final = 30 * 86_400_000
MOST_NEW: Final = 200
ADDED_AT: Final = "added_at"


@dataclass(slots=True)
class Newcomers:
    """Rows of items that came within NEW_MS, and 1 for just now down to 0; kept up to date by
    `refresh`, at most MOST_NEW."""

    rows: Numbers = field(default_factory=lambda: NO_NUMBERS)
    scores: Scores = field(default_factory=lambda: NO_SCORES)
    version: int = -1
    until: int = 0

    def arrays(self) -> tuple[Numbers, Scores]:
        """What compiled code takes."""
        return self.rows, self.scores

    def refresh(self, catalogue: Catalogue, now: int, every_ms: int) -> None:
        """Looks again where the catalogue changed, or after `every_ms`."""
        if catalogue.version == self.version and abs(now - self.until) <= every_ms:
            return
        self.version, self.until = catalogue.version, now
        self.rows, self.scores = newest(arrivals(catalogue), catalogue.columns.live, now)


def arrivals(catalogue: Catalogue) -> NDArray[np.float64]:
    """By row, when the item came, epoch ms; nan where nobody said."""
    columns = catalogue.columns
    since = columns.valid_from[: columns.size].astype(np.float64)
    since[since == 0] = np.nan
    stated = catalogue.fields.column(ADDED_AT)
    if stated is not None:
        dates = np.array([*map(_epoch_ms, stated.labels.labels), np.nan])
        for said in (stated.numbers[: columns.size], dates[stated.codes[: columns.size, 0]]):
            known = since[: len(said)]
            known[np.isnan(known)] = said[np.isnan(known)]
    return since


def newest(since: NDArray[np.float64], live: NDArray[np.bool_], now: int) -> tuple[Numbers, Scores]:
    """The rows that came within NEW_MS of `now`, the newest first (equal ones by row), and how new
    they are, 0 to 1."""
    age = now - since
    rows = np.flatnonzero((age >= 0) & (age < NEW_MS) & live[: len(age)])
    rows = rows[np.argsort(age[rows], kind="stable")][:MOST_NEW]
    return rows, 1.0 - age[rows] / NEW_MS


def _epoch_ms(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return np.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000
