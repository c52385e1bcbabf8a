"""The loop on a log in memory: what goes where, in which order, and what trouble does to it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from services.ingest import pipeline as pipeline_module
from services.ingest.decide import Decider
from services.ingest.enrich import KnownItems
from services.ingest.pipeline import Pipeline
from shared.bus import TopicPartition
from shared.clock import Clock
from shared.events import decode
from shared.headers import Headers, find
from tests.fixtures.fake_bus import (
    FakeAcknowledgement,
    FakeGroupConsumer,
    FakeLog,
    FakeProducer,
    FakeRecord,
)
from tests.fixtures.waiting import eventually

LIMITS = {"clickstream": 32_768, "purchases": 524_288}


def view(number: int, customer: str = "ada") -> bytes:
    event = {"type": "item_viewed", "event_id": f"e{number}", "customer": customer, "item": "mug"}
    return msgspec.json.encode(event)


def pipeline_on(producer: Any, items: KnownItems | None = None) -> Pipeline:
    return Pipeline(
        producer,
        Decider(Clock(), LIMITS, KnownItems() if items is None else items),
        events_topic="events",
        dead_letters_topic="dead-letters",
        max_records=100,
    )


@asynccontextmanager
async def running(log: FakeLog, items: KnownItems | None = None) -> AsyncIterator[Pipeline]:
    async with log.producer() as producer:
        pipeline = pipeline_on(producer, items)
        async with log.group(
            group="ingest", topics=list(LIMITS), on_revoked=pipeline.drain
        ) as consumer:
            task = asyncio.create_task(pipeline.run(consumer))  # type: ignore[arg-type]
            try:
                yield pipeline
            finally:
                pipeline.stop()
                await task


async def send_and_commit(pipeline: Pipeline, consumer: Any, batch: Any) -> None:
    """One batch by hand, without the loop's pauses between commits."""
    pipeline.consumer = consumer
    await pipeline.process(batch)
    await pipeline.commit()


async def records(log: FakeLog, topic: str, number: int) -> list[FakeRecord]:
    await eventually(lambda: len(log.records(topic)) >= number, what=f"{number} in {topic}")
    return log.records(topic)


async def committed(consumer: Any, partition: TopicPartition) -> int | None:
    found = (await consumer.committed([partition])).get(partition)
    return None if found is None else found.offset


def header(record: FakeRecord, name: str) -> str | None:
    return find(record.headers, name)


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(pipeline_module, "_LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(pipeline_module, "_POLL_MS", 50)


async def test_a_raw_event_becomes_a_fact_with_its_position(log: FakeLog) -> None:
    position = log.append("clickstream", view(1), key=b"k", headers=(("at", b"1234"),))
    async with running(log):
        [record] = await records(log, "events", 1)
    assert record.key == b"c:ada"
    assert header(record, "src") == f"clickstream/{position.partition}/{position.offset}"
    assert header(record, "at") == "1234"
    assert record.value is not None
    assert decode(record.value).event_id == "e1"


async def test_bad_events_do_not_stop_the_others(log: FakeLog) -> None:
    bad: list[tuple[bytes | None, bytes | None]] = [
        (b"k", None), (None, b"{"), (b"k", b"\xff"), (b"k", b"[" * 5000), (None, b"x" * 1_000_000),
    ]  # fmt: skip
    for key, value in bad:
        log.append("clickstream", value, key=key, partition=0)
        log.append("clickstream", view(len(log.records("clickstream"))), partition=0)
    async with running(log):
        facts = await records(log, "events", len(bad))
        letters = await records(log, "dead-letters", len(bad))
    assert len(facts) == len(bad)
    by_source = {header(letter, "src"): letter for letter in letters}
    kept = [by_source[f"clickstream/0/{number}"] for number in range(0, 2 * len(bad), 2)]
    assert [(letter.key, letter.value) for letter in kept[:4]] == bad[:4]
    reasons = [header(letter, "reason") for letter in kept]
    assert reasons == ["null_value", "malformed_json", "bad_utf8", "too_deep", "too_large"]


async def test_a_login_is_written_under_both_keys(log: FakeLog) -> None:
    login = {"type": "identified", "event_id": "e", "customer": "ada", "anonymous": "v"}
    log.append("clickstream", msgspec.json.encode(login))
    async with running(log):
        found = await records(log, "events", 2)
    assert {record.key for record in found} == {b"c:ada", b"a:v"}
    assert len({(record.value, header(record, "src")) for record in found}) == 1


async def test_one_identitys_facts_keep_their_order(log: FakeLog) -> None:
    for number in range(50):
        log.append("clickstream", view(number), key=b"k")
    async with running(log):
        found = await records(log, "events", 50)
    ids = [decode(record.value or b"").event_id for record in found]
    assert ids == [f"e{number}" for number in range(50)]


async def test_offsets_are_committed_behind_the_last_record(log: FakeLog) -> None:
    for number in range(3):
        log.append("purchases", view(number), partition=2)
    async with running(log):
        await records(log, "events", 3)
    async with log.group(group="ingest", topics=list(LIMITS)) as consumer:
        assert await committed(consumer, ("purchases", 2)) == 3


async def test_while_the_log_is_away_nothing_is_lost_or_committed(log: FakeLog) -> None:
    async with log.producer() as producer:
        pipeline = pipeline_on(producer)
        async with log.group(group="ingest", topics=list(LIMITS)) as consumer:
            log.append("clickstream", view(1), partition=0)
            batch = await consumer.poll(max_records=10, timeout_ms=10)
            log.down = True
            task = asyncio.create_task(send_and_commit(pipeline, consumer, batch))
            await asyncio.sleep(0.05)
            assert not log.records("events")
            log.down = False
            await task
            assert len(log.records("events")) == 1
            assert await committed(consumer, ("clickstream", 0)) == 1


async def test_stopping_while_the_log_is_away_commits_nothing(log: FakeLog) -> None:
    log.append("clickstream", view(1), partition=0)
    async with log.producer() as producer:
        pipeline = pipeline_on(producer)
        async with log.group(group="ingest", topics=list(LIMITS)) as consumer:
            batch = await consumer.poll(max_records=10, timeout_ms=10)
            log.down = True
            pipeline.stop()
            await send_and_commit(pipeline, consumer, batch)
            log.down = False
            assert await committed(consumer, ("clickstream", 0)) is None
    async with running(log):
        assert len(await records(log, "events", 1)) == 1


class _DiesBeforeCommit(FakeGroupConsumer):
    async def commit(self, offsets: Mapping[TopicPartition, int], metadata: str = "") -> None:
        raise RuntimeError("killed")


async def test_a_crash_before_the_commit_sends_the_same_again(log: FakeLog) -> None:
    position = log.append("clickstream", view(1))
    async with log.producer() as producer:
        pipeline = pipeline_on(producer)
        async with log.group(group="ingest", topics=list(LIMITS)) as consumer:
            consumer.__class__ = _DiesBeforeCommit
            batch = await consumer.poll(max_records=10, timeout_ms=10)
            with pytest.raises(RuntimeError):
                await send_and_commit(pipeline, consumer, batch)
    async with running(log):
        found = await records(log, "events", 2)
    assert {header(record, "src") for record in found} == {
        f"clickstream/{position.partition}/{position.offset}"
    }


class _LosesAcknowledgements(FakeProducer):
    """Appends, but what it sends first of all is not known to have arrived."""

    lost = 1

    async def send(self, topic: str, value: bytes | None, **rest: Any) -> FakeAcknowledgement:
        sent = await super().send(topic, value, **rest)
        if not self.lost:
            return sent
        self.lost -= 1
        self._failed = True
        return FakeAcknowledgement(None)


async def test_a_lost_acknowledgement_is_sent_again_before_the_commit(log: FakeLog) -> None:
    for number in (1, 2):
        log.append("clickstream", view(number), partition=1)
    pipeline = pipeline_on(_LosesAcknowledgements(log))
    async with log.group(group="ingest", topics=list(LIMITS)) as consumer:
        batch = await consumer.poll(max_records=10, timeout_ms=10)
        await send_and_commit(pipeline, consumer, batch)
        assert await committed(consumer, ("clickstream", 1)) == 2
    # The second waits for the first, which is sent again before it.
    ids = [decode(record.value or b"").event_id for record in log.records("events")]
    assert ids == ["e1", "e1", "e2"]


async def passed(log: FakeLog, **limits: int) -> list[FakeRecord]:
    """Sends three events, the second of them large; the dead letters."""
    for number, note in enumerate(("a", "b" * 9_000, "c")):
        event = {"type": "searched", "event_id": f"e{number}", "customer": "ada", "query": "q"}
        raw = msgspec.json.encode(event | {"note": note})
        log.append("clickstream", raw, partition=0, key=b"k")
    log.limits = {name.replace("_", "-"): limit for name, limit in limits.items()}
    pipeline = pipeline_on(FakeProducer(log))
    async with log.group(group="ingest", topics=list(LIMITS)) as consumer:
        batch = await consumer.poll(max_records=10, timeout_ms=10)
        await asyncio.wait_for(send_and_commit(pipeline, consumer, batch), 5)
        assert await committed(consumer, ("clickstream", 0)) == 3
    ids = [decode(record.value or b"").event_id for record in log.records("events")]
    assert ids == ["e0", "e2"]
    return log.records("dead-letters")


async def test_a_fact_the_log_finds_too_large_is_a_dead_letter_and_the_others_go_on(
    log: FakeLog,
) -> None:
    [letter] = await passed(log, events=5_000)
    assert (letter.key, header(letter, "reason")) == (b"k", "too_large")
    assert header(letter, "message") == "its fact is larger than the log takes"
    assert header(letter, "src") == "clickstream/0/1"
    assert header(letter, "original_bytes") is None
    assert b"b" * 9_000 in (letter.value or b"")


async def test_a_dead_letter_the_log_finds_too_large_is_cut(log: FakeLog) -> None:
    [letter] = await passed(log, events=5_000, dead_letters=1_000)
    assert header(letter, "reason") == "too_large"
    assert int(header(letter, "original_bytes") or 0) > 9_000
    assert 100 < len(letter.value or b"") < 1_000


async def test_partitions_are_let_go_after_their_batch(log: FakeLog) -> None:
    for number in range(200):
        log.append("clickstream", view(number, customer=f"c{number}"))
    async with running(log):
        await records(log, "events", 1)
        async with running(log):
            await records(log, "events", 200)
    ids = [decode(record.value or b"").event_id for record in log.records("events")]
    assert sorted(ids) == sorted(f"e{number}" for number in range(200))


async def test_what_moved_before_its_commit_is_left_to_its_owner(log: FakeLog) -> None:
    log.append("clickstream", view(1), partition=0)
    async with log.producer() as producer:
        pipeline = pipeline_on(producer)
        async with log.group(group="ingest", topics=list(LIMITS)) as consumer:
            batch = await consumer.poll(max_records=10, timeout_ms=10)
            consumer.positions.pop(("clickstream", 0))
            await send_and_commit(pipeline, consumer, batch)
            assert await committed(consumer, ("clickstream", 0)) is None


class _Broken(KnownItems):
    def enrich(self, fact: Any) -> None:
        if fact.item == "mug":
            raise ZeroDivisionError


async def test_what_could_not_be_committed_in_time_is_not_when_its_partition_comes_back(
    log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "_DRAIN_S", 0.05)
    log.append("clickstream", view(0), key=b"ada")
    async with (
        log.producer() as producer,
        log.group(group="ingest", topics=["clickstream"]) as consumer,
    ):
        pipeline = pipeline_on(producer)
        pipeline.consumer = consumer
        batch = await consumer.poll(max_records=10, timeout_ms=100)
        [partition] = batch
        await pipeline.process(batch)
        log.down = True
        await pipeline.drain([partition])
        log.down = False
        # Another member has read on meanwhile; then the partition came back.
        await consumer.commit({partition: 1_000})
        await pipeline.commit()
        assert await committed(consumer, partition) == 1_000


async def test_a_fault_of_ours_is_a_dead_letter_too(log: FakeLog) -> None:
    log.append("clickstream", view(1), partition=0)
    log.append("clickstream", view(2).replace(b"mug", b"pot"), partition=0)
    async with running(log, _Broken()):
        [letter] = await records(log, "dead-letters", 1)
        await records(log, "events", 1)
    assert header(letter, "reason") == "internal_error"
    assert header(letter, "message") == "a fault in ingest: ZeroDivisionError"


async def test_a_replayed_record_keeps_its_source(log: FakeLog) -> None:
    replayed: Headers = (("src", b"clickstream/7/77"), ("attempt", b"2"))
    log.append("clickstream", view(1), headers=replayed)
    log.append("clickstream", b"{", headers=replayed)
    log.append("clickstream", view(2), headers=(("src", b"forged/1/1"),), partition=3)
    async with running(log):
        facts = await records(log, "events", 2)
        [letter] = await records(log, "dead-letters", 1)
    sources = {header(record, "src") for record in facts}
    assert "clickstream/7/77" in sources
    assert "forged/1/1" not in sources
    assert (header(letter, "src"), header(letter, "attempt")) == ("clickstream/7/77", "2")
