from random import Random

import pytest

from services.simulator import noise
from services.simulator.clock import BusinessClock
from services.simulator.latencies import percentile, summary

EVENT = {"type": "item_viewed", "event_id": "e", "occurred_at": 1, "anonymous": "a", "item": "i"}


def test_a_small_share_of_traffic_is_broken_and_resent() -> None:
    random = Random(1)
    broken = sum(noise.broken_beside(EVENT, random) is not None for _ in range(10_000))
    assert 0.5 * noise.BROKEN < broken / 10_000 < 2 * noise.BROKEN
    resent = sum(noise.resends(random) for _ in range(10_000))
    assert 0.5 * noise.RESENT < resent / 10_000 < 2 * noise.RESENT


def test_broken_events_never_spoil_the_good_one() -> None:
    random, before = Random(2), dict(EVENT)
    found = [noise.broken_beside(EVENT, random) for _ in range(5_000)]
    assert before == EVENT
    ids = [event["event_id"] for event in found if event is not None]
    assert len(set(ids)) == len(ids) > 10


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 100.0
    assert summary([1.0]) == {"p50": 1.0, "p99": 1.0, "n": 1}


def test_the_shop_reads_the_clock_text_of_the_services() -> None:
    clock = BusinessClock.parse("1000:5000:4320.0")
    assert clock.real_seconds(4_320_000) == 1.0
    assert BusinessClock.parse("") == BusinessClock()
    with pytest.raises(ValueError, match="unpack"):
        BusinessClock.parse("1000")
    with pytest.raises(ValueError, match="speed"):
        BusinessClock.parse("1:1:0")
