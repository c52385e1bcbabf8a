"""One raw record's outcome: times, sources and what is too large to send."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.decide import Decider
from services.ingest.enrich import KnownItems
from services.ingest.reasons import Reason
from shared.clock import Clock
from shared.events import decode
from shared.headers import Headers, find
from tests.fixtures.fake_bus import FakeRecord

NOW = 1_700_000_000_000
LIMITS = {"clickstream": 32_768, "purchases": 524_288}
VIEW = b'{"type":"item_viewed","event_id":"e","customer":"ada","item":"mug"}'


def decider(clock: Clock | None = None) -> Decider:
    return Decider(clock or Clock(), LIMITS, KnownItems())


def raw(value: bytes | None = VIEW, headers: Headers = (), **options: object) -> FakeRecord:
    fields = {"topic": "clickstream", "partition": 3, "offset": 9, "key": b"k"} | options
    return FakeRecord(value=value, headers=headers, **fields)  # type: ignore[arg-type]


def received_at(record: FakeRecord, clock: Clock | None = None) -> int:
    outcome = decider(clock).decide(record, now=NOW)
    assert outcome.reason is None
    return decode(outcome.value or b"").received_at


def test_the_time_of_receipt() -> None:
    assert received_at(raw(headers=(("received_at", b"5000"),), timestamp=NOW - 1)) == 5000
    assert received_at(raw(timestamp=NOW - 70)) == NOW - 70
    assert received_at(raw(timestamp=NOW + 86_400_000)) == NOW
    assert received_at(raw(timestamp=-1)) == NOW


def test_the_time_of_receipt_is_business_time() -> None:
    accelerated = Clock(NOW - 1000, NOW, 100.0)
    assert received_at(raw(timestamp=NOW - 900), accelerated) == NOW + 10_000


def test_limits_follow_the_topic() -> None:
    large = VIEW[:-1] + b',"note":"' + b"x" * 40_000 + b'"}'
    assert decider().decide(raw(large), now=NOW).reason == "too_large"
    assert decider().decide(raw(large, topic="purchases"), now=NOW).reason is None


def test_numbers_that_grow_beyond_what_the_log_takes() -> None:
    grown = VIEW[:-1] + b',"note":[' + b"9e15," * 100_000 + b"1]}"
    outcome = decider().decide(raw(grown, topic="purchases"), now=NOW)
    assert outcome.reason == "too_large"
    assert outcome.value == grown


def test_what_a_metric_may_say_of_the_format() -> None:
    segment = b'{"type":"page","messageId":"m","userId":"ada"}'
    imported = VIEW[:-1] + b',"source":"import:orders-2011.csv"}'
    assert decider().decide(raw(), now=NOW).format == "native"
    assert decider().decide(raw(segment), now=NOW).format == "segment"
    assert decider().decide(raw(imported), now=NOW).format == "native"
    assert decider().decide(raw(b"{"), now=NOW).format == "unknown"
    assert decider().decide(raw(b"{", (("format", b"segment"),)), now=NOW).format == "segment"


def test_the_age_counts_from_acceptance() -> None:
    outcome = decider().decide(raw(headers=(("at", b"1699999999000"),)), now=NOW)
    assert outcome.accepted_at == NOW - 1000
    assert decider().decide(raw(), now=NOW).accepted_at == NOW


def test_headers_that_hold_no_number_or_nothing() -> None:
    for odd in ("²", "--5", "9" * 5000, "1_0", "٣"):
        assert received_at(raw(headers=(("received_at", odd.encode()),), timestamp=7)) == 7
    null: Any = (("format", None), ("auth", None), ("received_at", None), ("trace", None))
    assert decider().decide(raw(b"{", null), now=NOW).reason == "malformed_json"
    assert received_at(raw(headers=null, timestamp=7)) == 7


NAMES = ["format", "received_at", "at", "src", "attempt", "auth", "subject", "first_seen", "x"]


@given(
    value=st.none() | st.binary(max_size=60) | st.just(VIEW),
    key=st.none() | st.binary(max_size=8),
    headers=st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=12)), max_size=6),
    timestamp=st.integers(-1, 2**62),
)
def test_it_never_raises(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], timestamp: int
) -> None:
    record = raw(value, tuple(headers), key=key, timestamp=timestamp)
    outcome = decider().decide(record, now=NOW)
    assert outcome.reason != Reason.INTERNAL_ERROR
    assert outcome.keys
    assert find(outcome.headers, "src")
    assert outcome.reason is not None or msgspec.json.decode(outcome.value or b"")
