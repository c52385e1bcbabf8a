"""Features of the moment: the same for all candidates, so trees use them together with others."""

from typing import Final

from services.recommend.compiled import compiled
from services.recommend.features.feature import Feature

HOUR_MS: Final = 3_600_000
DAYS_OF_YEAR: Final = 365.25
EPOCH_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday; Monday is 0."""

HOUR: Final = Feature("hour", "Hour of the day, UTC, 0 to 23.", "nothing", "nobody", "the time")
WEEKDAY: Final = Feature("weekday", "0 (Monday) to 6, UTC.", "nothing", "nobody", "the time")
SEASON: Final = Feature("season", "Share of the year gone by.", "nothing", "nobody", "the time")
DEPTH: Final = Feature(
    "depth", "How many items the shopper looked at lately.", "the shopper's view", "profile", "it"
)


@compiled("UniTuple(float64, 3)(int64)")
def moment(now: int) -> tuple[float, float, float]:
    """Hour, weekday and season of a time in epoch ms."""
    hours = now // HOUR_MS
    days = hours // 24
    season = (days % DAYS_OF_YEAR) / DAYS_OF_YEAR
    return float(hours % 24), float((days + EPOCH_WEEKDAY) % 7), season
