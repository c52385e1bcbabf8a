"""Past decisions are found by their id alone: in the log, and in the archive behind it."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from services.recommend import decision_lookup
from services.recommend.decision_ids import DecisionIds
from services.recommend.decision_lookup import DecisionLookup
from shared.archive_rows import ArchivedRecord
from shared.archive_table import ArchiveTable
from shared.bus import Producer, topic_id
from shared.bus_read import RangeReader
from shared.clock import real_now_ms
from shared.decisions import Decision, ModelName, Recommendation, encode_decision
from shared.errors import Busy, InvalidInput, NotFound
from shared.settings import Settings
from shared.topics import DAY_MS, DECISIONS


def decision(decision_id: str) -> Decision:
    return Decision(
        decision_id=decision_id,
        decided_at=7,
        placement="home",
        answer=Recommendation(
            decision_id=decision_id,
            arm="personalised",
            model=ModelName(name="linear", version="1"),
            profile_age_ms=None,
            fallback="catalogue",
            consent_mode="profiled",
            items=[],
            filtered=[],
        ),
    )


def made(times: Sequence[int]) -> list[str]:
    ids = DecisionIds(random.Random(1).getrandbits)
    return [ids.next(time) for time in times]


async def write(settings: Settings, ids: Sequence[str], times: Sequence[int]) -> None:
    """Records as they lay in the log had they been written at those times."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap)
    await producer.start()
    try:
        for decision_id, at in zip(ids, times, strict=True):
            topic = DECISIONS.named(settings.namespace)
            value, key = encode_decision(decision(decision_id)), decision_id.encode()
            await producer.send(topic, value, key, timestamp_ms=at)
        await producer.flush()
    finally:
        await producer.stop()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    found: Settings = request.getfixturevalue(f"{request.param}_settings")
    return replace(found, archive=str(tmp_path / "archive"))


async def test_a_decision_is_found_by_its_id_alone(settings: Settings) -> None:
    start = real_now_ms() - 8_000_000
    times = [start + 1_000 * number for number in range(6_000)]
    ids = made(times)
    # processes write beside each other, so the log is not quite in the order of time
    await write(settings, ids, [at + random.Random(at).randrange(900) for at in times])
    lookup = DecisionLookup(settings)
    for number in (0, 1, 2_999, 5_998, 5_999):
        assert await lookup.find(ids[number]) == decision(ids[number])
    (unknown,) = made([start + 3_000_500])
    with pytest.raises(NotFound):
        await lookup.find(unknown)


async def test_little_is_read_to_find_it(settings: Settings) -> None:
    start = real_now_ms() - 8_000_000
    times = [start + 1_000 * number for number in range(6_000)]
    await write(settings, made(times), times)
    topic = DECISIONS.named(settings.namespace)
    async with RangeReader.open(settings) as reader:
        (begin, end), *_ = await reader.bounds(topic)
        for wanted in (times[0] - 9, times[3_000], times[5_999] + 9):
            found = await reader.since((topic, 0), wanted, begin, end)
            records = [each async for part in reader.read((topic, 0), found, end) for each in part]
            ahead = [record for record in records if record.timestamp < wanted]
            assert len(ahead) <= 256
            everything = [
                each async for part in reader.read((topic, 0), begin, end) for each in part
            ]
            assert [record.offset for record in everything if record.timestamp >= wanted] == [
                record.offset for record in records if record.timestamp >= wanted
            ]


async def test_what_the_log_has_dropped_is_found_in_the_archive(settings: Settings) -> None:
    at = real_now_ms() - 29 * DAY_MS
    times = [at + number for number in range(500)]
    # the last was sent a day later
    ids = made([*times, at + 500])
    lookup = DecisionLookup(settings)
    with pytest.raises(NotFound):
        await lookup.find(ids[3])
    topic = DECISIONS.named(settings.namespace)
    table = ArchiveTable.open(
        settings, DECISIONS, incarnation=await topic_id(settings, topic), partitions=1
    )
    table.append(
        [
            ArchivedRecord(
                topic, 0, offset, time, each.encode(), encode_decision(decision(each)), ()
            )
            for offset, (each, time) in enumerate(zip(ids, [*times, at + DAY_MS], strict=True))
        ]
    )
    for found in (ids[0], ids[3], ids[500]):
        assert await lookup.find(found) == decision(found)
    with pytest.raises(NotFound):
        await lookup.find(made([at + 600])[0])


async def test_what_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = DecisionLookup(settings)
    for malformed in ("", "x", "019a5d0e-7c1f-4000-8a3b-5f6d7c8e9f01", "019A5D0E' OR '1'='1"):
        with pytest.raises(InvalidInput, match="decision_id"):
            await lookup.find(malformed)
    (unknown,) = made([real_now_ms()])
    monkeypatch.setattr(decision_lookup, "MOST_AT_ONCE", 1)
    first = asyncio.create_task(lookup.find(unknown))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await lookup.find(unknown)
    with pytest.raises(NotFound):
        await first
    async with Producer.open(settings) as producer:
        topic = DECISIONS.named(settings.namespace)
        await producer.send(topic, b"no decision", key=unknown.encode())
        await producer.flush()
    with pytest.raises(NotFound, match="cannot be read"):
        await lookup.find(unknown)
