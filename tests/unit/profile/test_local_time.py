"""Local days and times of day, for every zone: gaps, folds, leap days, and the next of a year."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile.timers.local_time import local_day, moment, next_yearly, not_before, on_day

BERLIN = ZoneInfo("Europe/Berlin")
zones = st.sampled_from(sorted(available_timezones() - {"localtime"})).map(ZoneInfo)
dates = st.dates(date(2012, 1, 1), date(2090, 12, 31))
minutes = st.integers(0, 1_439)
times = st.integers(1_325_376_000_000, 3_800_000_000_000)
ends_of_months = st.integers(1, 12).flatmap(
    lambda month: st.tuples(st.just(month), st.integers(1, monthrange(2024, month)[1]))
)


def said(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="minutes")[:16]


def on_clock(day: date, minute: int) -> datetime:
    return datetime(day.year, day.month, day.day, *divmod(minute, 60))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("day", "minute", "expected"),
    [
        (date(2026, 7, 1), 600, "2026-07-01T08:00"),
        (date(2026, 1, 1), 600, "2026-01-01T09:00"),
        # 02:30 does not exist: 03:30 summer time
        (date(2026, 3, 29), 150, "2026-03-29T01:30"),
        # 02:30 comes twice: the first is summer time
        (date(2026, 10, 25), 150, "2026-10-25T00:30"),
    ],
)
def test_a_time_of_day_in_berlin(day: date, minute: int, expected: str) -> None:
    assert said(moment(day, minute, BERLIN)) == expected


@given(dates, minutes, zones)
def test_a_moment_shows_its_minute_first_or_lies_behind_a_gap(
    day: date, minute: int, zone: ZoneInfo
) -> None:
    at = moment(day, minute, zone)
    shown = datetime.fromtimestamp(at / 1_000, zone)
    wanted = on_clock(day, minute)
    local = shown.replace(tzinfo=None, fold=0)
    if local == wanted:
        assert shown.fold == 0
    else:
        # nobody's clock ever shows it
        assert local > wanted
        both = (wanted.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        before, after = both
        assert before is not None
        assert after is not None
        assert local - wanted == after - before


@given(ends_of_months, st.integers(-366, 366), minutes, zones, times, st.floats(0, 1))
def test_the_next_of_a_year_is_the_first_after(
    on: tuple[int, int], days: int, minute: int, zone: ZoneInfo, after: int, part: float
) -> None:
    month, day = on
    at, meant = next_yearly(month, day, days, minute, zone, after)
    assert at > after
    assert at == moment(meant - timedelta(days=days), minute, zone)
    assert meant == date(meant.year, month, min(day, monthrange(meant.year, month)[1]))
    # whenever it is asked until then it is the same, and then it is another
    between = after + int((at - 1 - after) * part)
    assert next_yearly(month, day, days, minute, zone, between) == (at, meant)
    later = next_yearly(month, day, days, minute, zone, at)
    assert later.day.year == meant.year + 1
    # which leaves no year out, as of the local calendar
    earlier = date(meant.year - 1, month, min(day, monthrange(meant.year - 1, month)[1]))
    assert moment(earlier - timedelta(days=days), minute, zone) <= after


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-01-01", "2026-02-28T09:00"),
        ("2027-03-01", "2028-02-29T09:00"),
        ("2028-02-28", "2028-02-29T09:00"),
        ("2028-03-01", "2029-02-28T09:00"),
    ],
)
def test_who_was_born_on_a_leap_day_has_a_birthday_each_year(after: str, expected: str) -> None:
    since = int(datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp()) * 1_000
    assert said(next_yearly(2, 29, 0, 600, BERLIN, since).at) == expected


@given(times, minutes, zones)
def test_the_first_time_of_day_from_a_moment_on(at: int, minute: int, zone: ZoneInfo) -> None:
    found = not_before(at, minute, zone)
    assert at <= found <= at + 49 * 3_600_000
    day = local_day(at, zone)
    assert found in {moment(day, minute, zone), moment(day + timedelta(days=1), minute, zone)}
    assert found == moment(day, minute, zone) or moment(day, minute, zone) < at


@given(times, st.integers(-400, 400), minutes, zones)
def test_days_before_are_local_days(at: int, days: int, minute: int, zone: ZoneInfo) -> None:
    expected = local_day(at, zone) - timedelta(days=days)
    assert on_day(at, days, minute, zone) == moment(expected, minute, zone)
