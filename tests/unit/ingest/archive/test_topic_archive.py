"""One topic on its way into its table: when it is written, and when it must not be."""

from pathlib import Path

import pytest

from services.ingest.archive.archiver import TopicArchive
from services.ingest.archive.settings import ArchiveSettings
from shared import bus
from shared.archive import ArchiveReader
from shared.archive_rows import ArchivedRecord
from shared.errors import ArchiveConflict, ArchiveMismatch, SettingsError
from shared.settings import Settings
from shared.topics import EVENTS

OWN = ArchiveSettings(max_rows=10, max_bytes=10_000, max_wait_s=5.0)


class Broker:
    """What the archive asks the broker about a topic."""

    incarnation = "first"

    async def topic_id(self, settings: Settings, topic: str) -> str:
        return self.incarnation

    async def partitions_of(self, settings: Settings, topic: str) -> int:
        return 2


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    fake = Broker()
    monkeypatch.setattr(bus, "topic_id", fake.topic_id)
    monkeypatch.setattr(bus, "partitions_of", fake.partitions_of)
    return fake


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(archive=str(tmp_path))


def some(partition: int, *offsets: int, size: int = 1) -> list[ArchivedRecord]:
    return [
        ArchivedRecord("events", partition, offset, 1, b"key", b"v" * size, ())
        for offset in offsets
    ]


def read(settings: Settings) -> list[ArchivedRecord]:
    reader = ArchiveReader.open(settings, EVENTS)
    return [record for n in reader.ends() for found in reader.records(n) for record in found]


@pytest.mark.usefixtures("broker")
async def test_it_is_written_when_much_or_old_enough(settings: Settings) -> None:
    archive = TopicArchive(settings, EVENTS)
    assert await archive.begin([0, 1]) == {0: 0, 1: 0}
    assert not archive.due(OWN, 1_000.0)
    archive.add(0, some(0, *range(9)), 1.0)
    assert not archive.due(OWN, 5.9)
    assert archive.due(OWN, 6.0), "old"
    archive.add(1, some(1, 0), 2.0)
    assert archive.due(OWN, 2.0), "many"
    await archive.write()
    assert not archive.due(OWN, 1_000.0)
    archive.add(1, some(1, 1, size=10_000), 3.0)
    assert archive.due(OWN, 3.0), "large"
    assert read(settings) == some(0, *range(9)) + some(1, 0)


@pytest.mark.usefixtures("broker")
async def test_what_another_service_wrote_is_not_written_again(settings: Settings) -> None:
    one, other = TopicArchive(settings, EVENTS), TopicArchive(settings, EVENTS)
    for archive in (one, other):
        await archive.begin([0])
        archive.add(0, some(0, 0, 1), 1.0)
    await one.write()
    with pytest.raises(ArchiveConflict):
        await other.write()
    assert await other.begin([0]) == {0: 2}
    assert other.buffer.rows == 0
    assert read(settings) == some(0, 0, 1)


async def test_records_of_a_topic_made_anew_are_not_written(
    settings: Settings, broker: Broker
) -> None:
    archive = TopicArchive(settings, EVENTS)
    await archive.begin([0])
    archive.add(0, some(0, 0), 1.0)
    broker.incarnation = "second"
    with pytest.raises(ArchiveMismatch, match="made anew"):
        await archive.write()
    assert read(settings) == []
    with pytest.raises(ArchiveMismatch, match="made anew"):
        await archive.begin([0])


@pytest.mark.parametrize(
    "variable",
    [
        "PORT=-1",
        "MAX_ROWS=0",
        "MAX_BYTES=0",
        "MAX_WAIT_S=0",
        "COMPACT_EVERY_S=0",
        "RETENTION_HOURS=0",
    ],
)
def test_settings_outside_their_bounds_are_refused(variable: str) -> None:
    name, _, value = variable.partition("=")
    with pytest.raises(SettingsError, match=f"ATTUNE_ARCHIVE_{name}"):
        ArchiveSettings.from_environment({f"ATTUNE_ARCHIVE_{name}": value})
