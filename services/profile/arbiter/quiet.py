"""When the night lets a message pass, by the customer's own clock. Pure: times are epoch ms."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from services.profile.arbiter.policy import QuietHours

TRIES: Final = 3


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_of(name: object, default: str) -> ZoneInfo:
    """The time zone of that name, or the default where no zone is called so."""
    return ZoneInfo(name if isinstance(name, str) and name in _known() else default)


def quiet_until(quiet: QuietHours, zone: ZoneInfo, now: int) -> int | None:
    """When the quiet hours that `now` lies in end; None outside of them.

    Where the clock is set forward over the end, they end as long after the gap as the end lay in
    it; where it is set back over it, at the later of the two.
    """
    until = _end(quiet, zone, now)
    for _ in range(TRIES):
        # Behind a gap the day may be quiet again, or quiet hours be all but a few minutes.
        later = None if until is None else _end(quiet, zone, until)
        if later is None:
            break
        until = later
    return until


def _end(quiet: QuietHours, zone: ZoneInfo, now: int) -> int | None:
    local = datetime.fromtimestamp(now / 1000, zone)
    minute = local.hour * 60 + local.minute
    if quiet.end <= quiet.begin:
        if quiet.end <= minute < quiet.begin or quiet.begin == quiet.end:
            return None
        days = 1 if minute >= quiet.begin else 0
    else:
        if not quiet.begin <= minute < quiet.end:
            return None
        days = 0
    day = local.date() + timedelta(days=days)
    hours, minutes = divmod(quiet.end, 60)
    end = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(
        hours=hours, minutes=minutes
    )
    # PEP 495: of the two readings of a time in a gap or a fold, the later one in UTC.
    return max(_milliseconds(end), _milliseconds(end.replace(fold=1)))


def _milliseconds(local: datetime) -> int:
    return int(local.astimezone(UTC).timestamp()) * 1000
