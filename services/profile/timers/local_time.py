"""Days and times of day on a customer's own clock and calendar. Pure.

A time of day that the clock leaves out (set forward over it) comes as much later as the clock was
set; of one that comes twice (set back over it) it is the first. 29 February is 28 February in
common years, and so is any day that a month does not have its last one.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_YEARS_BACK: Final = 2
_YEARS_ON: Final = 4
"""`days` reach a year to either side."""


class Yearly(NamedTuple):
    """A day of the year as it comes round: when it is spoken of (epoch ms), and the day meant."""

    at: int
    day: date


@lru_cache(maxsize=4_096)
def moment(day: date, minute: int, zone: ZoneInfo) -> int:
    """That minute of that local day, epoch ms. Kept, since customers share days."""
    hour, minute = divmod(minute, 60)
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    return int(local.astimezone(UTC).timestamp()) * 1_000


def local_day(at_ms: int, zone: ZoneInfo) -> date:
    """The local day that a moment is in."""
    return datetime.fromtimestamp(at_ms / 1_000, zone).date()


def on_day(at_ms: int, days_before: int, minute: int, zone: ZoneInfo) -> int:
    """The minute of the local day so many days before (negative: after) that of a moment."""
    return moment(local_day(at_ms, zone) - timedelta(days=days_before), minute, zone)


def not_before(at_ms: int, minute: int, zone: ZoneInfo) -> int:
    """The first time from a moment on at which a local day comes to the minute."""
    found = on_day(at_ms, 0, minute, zone)
    return found if found >= at_ms else on_day(at_ms, -1, minute, zone)


def next_yearly(
    month: int, day: int, days_before: int, minute: int, zone: ZoneInfo, after_ms: int
) -> Yearly:
    """The next time strictly after a moment that a day of the year is to be spoken of, so many days
    before it (negative: after it)."""
    today = local_day(after_ms, zone)
    begin = today.year if days_before >= 0 else today.year - _YEARS_BACK
    ahead, yesterday = timedelta(days=days_before), today - timedelta(days=1)
    for year in range(begin, today.year + _YEARS_ON):
        meant = date(year, month, min(day, monthrange(year, month)[1]))
        spoken = meant - ahead
        # a clock that was set over midnight may still be to show yesterday's time of day
        if spoken >= yesterday and (at := moment(spoken, minute, zone)) > after_ms:
            return Yearly(at, meant)
    raise ValueError(f"a day of the year is spoken of within a year of it, not {days_before} days")
