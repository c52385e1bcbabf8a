"""Quiet hours by the clock on the customer's wall, on the days when clocks are changed too."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.profile.arbiter.policy import QuietHours
from services.profile.arbiter.quiet import quiet_until, zone_of

BERLIN = "Europe/Berlin"


def at(zone: str, text: str, fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.astimezone(UTC).timestamp() * 1000)


def minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def until(zone: str, hours: str, text: str, fold: int = 0) -> str | None:
    begin, _, end = hours.partition("-")
    quiet = QuietHours(begin=minutes(begin), end=minutes(end))
    found = quiet_until(quiet, ZoneInfo(zone), at(zone, text, fold))
    if found is None:
        return None
    return datetime.fromtimestamp(found / 1000, ZoneInfo(zone)).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("hours", "text", "expected"),
    [
        ("21:00-08:00", "2026-07-01T20:59:59", None),
        ("21:00-08:00", "2026-07-01T21:00", "2026-07-02T08:00+02:00"),
        ("21:00-08:00", "2026-07-02T07:59:59", "2026-07-02T08:00+02:00"),
        ("21:00-08:00", "2026-07-02T08:00", None),
        ("12:00-14:00", "2026-07-02T11:59", None),
        ("12:00-14:00", "2026-07-02T13:10", "2026-07-02T14:00+02:00"),
        ("12:00-14:00", "2026-07-02T14:00", None),
        ("12:00-12:00", "2026-07-02T12:00", None),
        # the night in which the clock is set forward is an hour shorter
        ("21:00-08:00", "2026-03-28T23:00", "2026-03-29T08:00+02:00"),
        # and an hour longer where it is set back
        ("21:00-08:00", "2026-10-24T23:00", "2026-10-25T08:00+01:00"),
        # the end falls into the hour that does not exist
        ("22:00-02:30", "2026-03-28T23:00", "2026-03-29T03:30+02:00"),
        # the end comes twice
        ("22:00-02:30", "2026-10-24T23:00", "2026-10-25T02:30+01:00"),
        # after the gap it would be quiet again
        ("02:45-02:30", "2026-03-29T01:00", "2026-03-30T02:30+02:00"),
    ],
)
def test_when_the_night_ends_in_berlin(hours, text, expected) -> None:
    assert until(BERLIN, hours, text) == expected


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    assert until(BERLIN, "02:00-02:30", "2026-10-25T02:10") == "2026-10-25T02:30+01:00"
    assert until(BERLIN, "02:00-02:30", "2026-10-25T02:40") is None
    assert until(BERLIN, "02:00-02:30", "2026-10-25T02:10", fold=1) == "2026-10-25T02:30+01:00"


def test_a_day_that_does_not_exist() -> None:
    # Samoa went from the 29th of December 2011 to the 31st
    assert until("Pacific/Apia", "21:00-08:00", "2011-12-29T22:00") == "2011-12-31T08:00+14:00"


@settings(max_examples=1500)
@given(
    st.sampled_from(sorted(available_timezones())),
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.integers(1_700_000_000, 1_830_000_000),
)
def test_quiet_hours_end_when_the_wall_says_so(zone, begin, end, second) -> None:
    quiet, there = QuietHours(begin=begin, end=end), ZoneInfo(zone)
    found = quiet_until(quiet, there, second * 1000)
    if found is not None:
        assert second * 1000 < found <= second * 1000 + 49 * 3_600_000
        assert quiet_until(quiet, there, found) is None


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../../etc/passwd", "Europe", 7, "\0"])
def test_a_zone_that_nobody_knows_is_the_shops(name) -> None:
    assert zone_of(name, BERLIN).key == BERLIN


def test_a_known_zone_is_the_customers_own() -> None:
    assert zone_of("Asia/Tokyo", BERLIN).key == "Asia/Tokyo"
