"""What leaves profile, on a log in memory that refuses what is too large."""

import msgspec
import pytest
from msgspec.structs import replace

from services.profile import metrics
from services.profile.identity import OutboxEntry
from services.profile.publisher import Publisher
from shared import topics
from shared.clock import Clock
from shared.errors import LogUnavailable
from shared.events import MessageDecided, Verdict
from shared.headers import find
from tests.fixtures.fake_bus import FakeLog, FakeProducer

HOUR_MS = 3_600_000


def entry(number: int, key: str, size: int = 10) -> OutboxEntry:
    return OutboxEntry(f"f{number}", key, b"%d" % number + b"x" * size, f"events/0/{number}")


def message(customer: str, size: int) -> MessageDecided:
    trigger = msgspec.json.encode({"decision_id": customer, "payload": "x" * size})
    return MessageDecided(
        event_id=customer,
        customer=customer,
        occurred_at=1_700_000_000_000,
        received_at=1_700_000_000_000,
        source="attune",
        trigger_id=f"t-{customer}",
        scenario="cart_abandoned",
        channel="email",
        verdict="send",
        reason="",
        trigger=trigger,
    )


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


def publisher(log: FakeLog) -> Publisher:
    return Publisher(FakeProducer(log), "", Clock())  # type: ignore[arg-type]


async def test_a_fact_that_is_too_large_waits_with_what_follows_it_and_the_others_go(
    log: FakeLog,
) -> None:
    log.limits["events"] = 100
    entries = [
        entry(1, "c:ada"), entry(2, "c:bob", 500), entry(3, "c:bob"), entry(4, "c:eve")
    ]  # fmt: skip
    assert await publisher(log).publish(entries) == {"f2", "f3"}
    assert {record.key for record in log.records("events")} == {b"c:ada", b"c:eve"}
    log.limits.clear()
    assert await publisher(log).publish(entries[1:3]) == set()
    bob = [record.value for record in log.records("events") if record.key == b"c:bob"]
    assert [(value or b"")[:1] for value in bob] == [b"2", b"3"]


@pytest.mark.parametrize(
    ("verdict", "channel", "topic"),
    [
        ("send", "email", "triggers.email"),
        ("send", "push", "triggers.push"),
        ("hold", "email", "suppressions"),
        ("suppress", "email", "suppressions"),
    ],
)
async def test_a_channel_hears_only_of_what_is_to_be_sent(
    log: FakeLog, verdict: Verdict, channel: str, topic: str
) -> None:
    decided = replace(message("ada", 10), verdict=verdict, channel=channel)
    await publisher(log).publish([], [decided])
    heard = [topics.SUPPRESSIONS, *map(topics.triggers, topics.CHANNELS)]
    assert [each.name for each in heard if log.records(each.name)] == [topic]


async def test_a_message_that_is_too_large_is_a_dead_letter_and_the_others_go(
    log: FakeLog,
) -> None:
    log.limits["triggers.email"] = 300
    messages = [message("ada", 10), message("bob", 5_000), message("bob-2", 10)]
    assert await publisher(log).publish([], messages) == set()
    assert {record.key for record in log.records("triggers.email")} == {b"ada", b"bob-2"}
    [letter] = log.records("dead-letters")
    assert (letter.key, letter.value) == (b"bob", messages[1].trigger)
    said = {name: find(letter.headers, name) for name in ("stage", "reason", "message", "ce_id")}
    assert said == {
        "stage": "profile",
        "reason": "too_large",
        "message": "larger than triggers.email takes",
        "ce_id": "t-bob",
    }


async def test_a_message_for_a_channel_that_there_is_not_keeps_nothing_waiting(
    log: FakeLog,
) -> None:
    strange = message("bob", 10)
    strange.channel = "fax"
    await publisher(log).publish([], [strange, message("ada", 10)])
    assert {record.key for record in log.records("triggers.email")} == {b"ada"}
    [letter] = log.records("dead-letters")
    assert (letter.key, find(letter.headers, "reason")) == (b"bob", "invalid_field")


async def test_a_dead_letter_that_is_too_large_is_cut(log: FakeLog) -> None:
    log.limits |= {"triggers.email": 300, "dead-letters": 1_000}
    await publisher(log).publish([], [message("bob", 5_000)])
    [letter] = log.records("dead-letters")
    assert 0 < len(letter.value or b"") <= 1_000
    assert int(find(letter.headers, "original_bytes") or 0) > 5_000


async def test_a_log_that_is_away_is_no_size(log: FakeLog) -> None:
    log.down = True
    with pytest.raises(LogUnavailable):
        await publisher(log).publish([entry(1, "c:ada")])


@pytest.mark.parametrize(("age_ms", "published"), [(HOUR_MS, 1), (24 * HOUR_MS, 0)])
async def test_that_a_life_has_ended_is_told_for_a_day(
    log: FakeLog, age_ms: int, published: int
) -> None:
    clock = Clock(sim_start=1_700_000_000_000 + age_ms, speed=1e-9)
    ended = message("ada", 1)
    ended.verdict, ended.reason = "suppress", "expired"
    ended.trigger = msgspec.json.encode({"decision_id": "t-ada", "expires_at": ended.occurred_at})
    await Publisher(FakeProducer(log), "", clock).publish([], [ended])  # type: ignore[arg-type]
    assert len(log.records("suppressions")) == published


@pytest.mark.parametrize(("left_ms", "published"), [(0, 0), (HOUR_MS, 1)])
async def test_a_message_whose_life_has_ended_is_counted_and_not_published(
    log: FakeLog, left_ms: int, published: int
) -> None:
    clock = Clock(sim_start=1_700_000_000_000, speed=1e-9)
    expires_at = clock.now_ms() + left_ms
    late = message("ada", 1)
    late.trigger = msgspec.json.encode({"decision_id": "t-ada", "expires_at": expires_at})
    counted = metrics.EXPIRED.labels("cart_abandoned", "email", "send")
    before = counted._value.get()
    await Publisher(FakeProducer(log), "", clock).publish([], [late])  # type: ignore[arg-type]
    assert len(log.records("triggers.email")) == published
    assert counted._value.get() - before == 1 - published
