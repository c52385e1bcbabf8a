"""Cells become values: numbers as spreadsheets write them, exact money, local times."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.imports.values import (
    as_text,
    read_integer,
    read_money,
    read_number,
    read_time,
)
from shared.errors import EventRefused

LONDON = ZoneInfo("Europe/London")
PATTERN = "%Y-%m-%d %H:%M:%S"


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2011-01-15 12:00:00", "2011-01-15T12:00:00"),
        ("2011-07-15 12:00:00", "2011-07-15T11:00:00"),
        # Clocks went from 01:00 to 02:00: 01:30 was skipped and moves forward, to 02:30.
        ("2011-03-27 00:59:59", "2011-03-27T00:59:59"),
        ("2011-03-27 01:30:00", "2011-03-27T01:30:00"),
        ("2011-03-27 02:00:00", "2011-03-27T01:00:00"),
        # Clocks went from 02:00 to 01:00: 01:30 came twice, the first one is taken.
        ("2011-10-30 01:30:00", "2011-10-30T00:30:00"),
        ("2011-10-30 02:00:00", "2011-10-30T02:00:00"),
    ],
)
def test_local_times_and_the_change_of_clocks(local: str, instant: str) -> None:
    assert read_time(local, PATTERN, LONDON) == utc(instant)
    assert read_time(local, "iso", LONDON) == utc(instant)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2037, 12, 31)))  # noqa: DTZ001  (local times)
def test_a_local_time_that_exists_reads_back(local: datetime) -> None:
    local = local.replace(microsecond=0)
    read = read_time(local.strftime(PATTERN), PATTERN, LONDON)
    back = datetime.fromtimestamp(read / 1000, LONDON).replace(tzinfo=None, fold=0)
    assert back == local or (back - local).total_seconds() == 3600


def test_stated_offsets_and_epochs_need_no_zone() -> None:
    assert read_time("2011-07-15T12:00:00+02:00", "iso", LONDON) == utc("2011-07-15T10:00:00")
    assert read_time("1310720400", "epoch_s", LONDON) == 1310720400000
    assert read_time("1310720400123", "epoch_ms", LONDON) == 1310720400123


@pytest.mark.parametrize("text", ["1969-12-31 22:00:00", "9999-01-01 00:00:00", "soon", "", "nan"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_time(text, "iso", LONDON)


@given(st.integers(-(10**9), 10**9))
def test_whole_numbers_as_spreadsheets_write_them(number: int) -> None:
    assert read_integer(f"{number}.0") == read_integer(str(number)) == number


@pytest.mark.parametrize("text", ["1.5", "", "1e3", "x", "9" * 40])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="whole"):
        read_integer(text)


@given(st.integers(-(10**9), 10**9))
def test_money_is_exact(minor: int) -> None:
    assert read_money(str(Decimal(minor) / 100), "GBP") == minor
    assert read_money(str(minor), "JPY") == minor
    assert read_money(str(minor), None) == minor


def test_money_beyond_the_last_digit_goes_to_the_nearest_even_unit() -> None:
    assert [read_money(text, "GBP") for text in ("0.001", "0.005", "0.015")] == [0, 0, 2]


def test_money_that_is_none() -> None:
    with pytest.raises(EventRefused):
        read_money("--5", "GBP")


@pytest.mark.parametrize("text", ["nan", "inf", "x"])
def test_numbers_are_finite(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_number(text)


def test_json_values_read_like_cells() -> None:
    assert [as_text(value) for value in (" a ", None, True, 3, 2.5)] == [
        "a",
        "",
        "true",
        "3",
        "2.5",
    ]
