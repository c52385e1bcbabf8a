"""Did offers help? Conversion of visits by arm, and the lift with its interval.

The unit is a visit that had offers shown; it converted where anything was bought in it, whether
offered or not: counting only offered items would show a lift where there is none. The interval
resamples shoppers, not visits, because the visits of one shopper are alike.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

PERSONALISED: Final = "personalised"
RANDOM: Final = "random"
ARMS: Final = (PERSONALISED, RANDOM)
REPLICATES: Final = 4000
FEWEST: Final = 5
"""With fewer conversions in an arm no interval is claimed."""


@dataclass(frozen=True, slots=True)
class Lift:
    """Relative lift of personalised over random offers; None where the counts are too small."""

    lift: float | None
    interval: tuple[float | None, float | None]


class Conversions:
    """Visits with offers shown, by shopper and arm."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])

    def add(self, shopper: str, arm: str, converted: bool) -> None:
        """Counts one visit. Raises ValueError for an arm that no experiment has."""
        if arm not in ARMS:
            raise ValueError(f"no arm is called {arm!r}")
        column = ARMS.index(arm) * 2
        row = self._counts[shopper]
        row[column] += 1
        row[column + 1] += converted

    def totals(self) -> tuple[int, int, int, int]:
        """Personalised shown and converted, random shown and converted."""
        shown, converted, shown_random, converted_random = (
            sum(row[column] for row in self._counts.values()) for column in range(4)
        )
        return shown, converted, shown_random, converted_random

    def lift(self, seed: int = 0) -> Lift:
        """The lift and its 95 % percentile interval from a bootstrap over shoppers."""
        shown, converted, shown_random, converted_random = self.totals()
        if not shown or not converted_random:
            return Lift(None, (None, None))
        estimate = converted / shown / (converted_random / shown_random) - 1
        if min(converted, converted_random) < FEWEST:
            return Lift(estimate, (None, None))
        counts = np.array([self._counts[name] for name in sorted(self._counts)], dtype=float)
        people = len(counts)
        draws = np.random.default_rng(seed).multinomial(
            people, np.full(people, 1 / people), size=REPLICATES
        )
        sums = draws @ counts
        rates = (sums[:, 1::2] + 0.5) / (sums[:, 0::2] + 1.0)
        low, high = np.quantile(rates[:, 0] / rates[:, 1] - 1, (0.025, 0.975))
        return Lift(estimate, (float(low), float(high)))

    def as_json(self, seed: int = 0) -> dict[str, Any]:
        """The object `conversion` of CLI.md."""
        shown, converted, shown_random, converted_random = self.totals()
        result = self.lift(seed)
        return {
            PERSONALISED: {"shown": shown, "converted": converted},
            RANDOM: {"shown": shown_random, "converted": converted_random},
            "lift": _rounded(result.lift),
            "ci95": [_rounded(end) for end in result.interval],
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
