"""The archive's loop on a log in memory: two at once, and a partition that moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.ingest.archive import metrics
from services.ingest.archive.archiver import Archiver
from services.ingest.archive.settings import ArchiveSettings
from shared import bus
from shared.settings import Settings
from shared.topics import EVENTS
from tests.fixtures.archives import archived, in_archive_form, rows
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.waiting import eventually

OWN = ArchiveSettings(max_rows=7, max_wait_s=0.01)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    found = FakeLog(partitions=3)

    async def topic_id(settings: Settings, topic: str) -> str:
        return "first"

    async def partitions_of(settings: Settings, topic: str) -> int:
        return found.partitions(topic)

    monkeypatch.setattr(bus, "topic_id", topic_id)
    monkeypatch.setattr(bus, "partitions_of", partitions_of)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(archive=str(tmp_path))


@asynccontextmanager
async def running(log: FakeLog, settings: Settings, group: str) -> AsyncIterator[Archiver]:
    archiver = Archiver(settings, OWN, [EVENTS])
    async with log.group(
        group=group,
        topics=archiver.topics,
        on_assigned=archiver.assigned,
        on_revoked=archiver.revoked,
    ) as member:
        task = asyncio.create_task(archiver.run(member))  # type: ignore[arg-type]
        try:
            yield archiver
        finally:
            archiver.stop()
            await task


def fill(log: FakeLog, begin: int, end: int) -> None:
    for number in range(begin, end):
        log.append("events", b"value %d" % number, key=b"key", partition=number % 3)


def as_logged(log: FakeLog) -> dict[int, list[object]]:
    found: dict[int, list[object]] = {}
    for record in log.records("events"):
        found.setdefault(record.partition, []).append(in_archive_form(record))
    return found


async def has_rows(settings: Settings, count: int) -> None:
    await eventually(lambda: rows(settings, EVENTS) == count, what=f"{count} rows")


async def test_two_that_do_not_know_of_each_other_write_each_record_once(
    log: FakeLog, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.archive.archiver.BACKOFF_S", (0.01,))
    conflicts = metrics.FAILURES.labels("archive_conflict")
    before = conflicts._value.get()
    fill(log, 0, 60)
    # Groups of their own: each believes that all partitions are its to write.
    async with running(log, settings, "one"), running(log, settings, "other"):
        for begin in range(60, 300, 30):
            fill(log, begin, begin + 30)
            await asyncio.sleep(0.02)
        await has_rows(settings, 300)
    assert archived(settings, EVENTS) == as_logged(log)
    assert conflicts._value.get() > before, "they never met"


async def test_partitions_move_without_loss(log: FakeLog, settings: Settings) -> None:
    fill(log, 0, 50)
    async with running(log, settings, "archive"):
        fill(log, 50, 100)
        async with running(log, settings, "archive"):
            fill(log, 100, 150)
            await has_rows(settings, 150)
        fill(log, 150, 200)
        await has_rows(settings, 200)
    assert archived(settings, EVENTS) == as_logged(log)


async def test_what_waits_is_written_at_the_end(log: FakeLog, settings: Settings) -> None:
    fill(log, 0, 20)
    async with running(log, settings, "archive"):
        await has_rows(settings, 20)
        fill(log, 20, 22)
    fill(log, 22, 25)
    async with running(log, settings, "archive"):
        await has_rows(settings, 25)
    assert archived(settings, EVENTS) == as_logged(log)
