"""Where a dry run reads from: an archive alone, up to the end it had at the start."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from services.profile.dry_run.sources import History, find, partition_records
from shared import events as facts
from shared.archive_rows import ArchivedRecord
from shared.archive_table import ArchiveTable
from shared.errors import NotFound
from shared.settings import Settings
from shared.topics import EVENTS
from tests.unit.profile.builders import NOW, viewed


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # Nobody answers there: whatever reads the archive must not ask.
    return Settings(archive=str(tmp_path / "archive"), bootstrap="127.0.0.1:1")


def records(partition: int, offsets: Iterable[int]) -> list[ArchivedRecord]:
    return [
        ArchivedRecord(
            EVENTS.name,
            partition,
            offset,
            NOW,
            b"c:alice",
            facts.encode(viewed(offset, NOW + offset)),
            (),
        )
        for offset in offsets
    ]


def archive(settings: Settings, *batches: list[ArchivedRecord]) -> ArchiveTable:
    table = ArchiveTable.open(settings, EVENTS, incarnation="first", partitions=3)
    for batch in batches:
        table.append(batch)
    return table


async def read(settings: Settings, partition: int, end: int) -> list[int]:
    reading = partition_records(settings, "archive", partition, end)
    return [record.offset async for found in reading for record in found]


def test_an_archive_is_replayed_without_a_broker(settings: Settings) -> None:
    archive(settings, records(0, range(200)) + records(2, range(5)))

    found = asyncio.run(find(settings, None))

    assert found == History("archive", {0: 200, 2: 5}, NOW + 199 + 5)
    assert asyncio.run(read(settings, 0, 200)) == list(range(200))


def test_what_is_archived_meanwhile_is_left_out(settings: Settings) -> None:
    table = archive(settings, records(0, range(10)))
    found = asyncio.run(find(settings, "archive"))
    table.append(records(0, range(10, 20)))

    assert asyncio.run(read(settings, 0, found.ends[0])) == list(range(10))


def test_an_archive_that_was_asked_for_and_is_not_there_is_an_error(settings: Settings) -> None:
    with pytest.raises(NotFound):
        asyncio.run(find(settings, "archive"))
