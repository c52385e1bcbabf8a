"""When it happened, whatever the client's clock says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.clock_skew import FUTURE_TOLERANCE_MS, corrected, read_time
from shared.errors import EventRefused

NOW = 1_700_000_000_000


@given(skew=st.integers(-(10**12), 10**12), age=st.integers(0, 10**9))
def test_only_the_age_is_taken_from_the_client(skew: int, age: int) -> None:
    sent = NOW + skew
    assert corrected(received=NOW, original=sent - age, sent=sent) == NOW - age


def test_without_a_sent_time_the_stated_time_counts() -> None:
    assert corrected(received=NOW, original=NOW - 5, sent=None) == NOW - 5
    assert corrected(received=NOW, original=NOW + FUTURE_TOLERANCE_MS, sent=None) > NOW
    assert corrected(received=NOW, original=None, sent=NOW) == NOW


def test_younger_than_its_own_sending_means_at_receipt() -> None:
    assert corrected(received=NOW, original=100, sent=50) == NOW


@pytest.mark.parametrize(
    ("original", "sent", "reason"),
    [
        (NOW + FUTURE_TOLERANCE_MS + 1, None, "future_time"),
        (FUTURE_TOLERANCE_MS + 11, 10, "future_time"),
        (0, NOW + 1, "before_1970"),
    ],
)
def test_refused_times(original: int, sent: int | None, reason: str) -> None:
    with pytest.raises(EventRefused) as caught:
        corrected(received=NOW, original=original, sent=sent)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:20.000999+00:00",
        "2023-11-14T23:13:20+01:00",
        "2023-11-14T22:13:20",
        "2023-11-14 22:13:20",
        "1700000000000",
        1_700_000_000_000,
        1.7e12,
    ],
)
def test_ways_to_write_a_time(text: object) -> None:
    assert read_time(text, "occurred_at") == NOW
