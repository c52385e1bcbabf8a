"""Where training's rows come from: the log itself, or the archive of it.

Both give every record of `events`, partition after partition and each in log order: the same facts
in the same order make the same model. The archive serves long histories without a load on brokers.
"""

from collections.abc import AsyncIterator, Sequence

from services.recommend.training.building import Recorded
from shared.archive import ArchiveReader
from shared.bus_offsets import topic_bounds
from shared.bus_read import RangeReader, scan
from shared.errors import LogTruncated, NotFound, UnknownTopic
from shared.settings import Settings
from shared.topics import DECISIONS, EVENTS


async def from_log(settings: Settings) -> AsyncIterator[Sequence[Recorded]]:
    """Lists of records of one partition, to the log's end. Raises LogUnavailable, LogTruncated."""
    name = EVENTS.named(settings.namespace)
    bounds = await topic_bounds(settings, name)
    for partition, found in sorted(bounds.items()):
        if found.begin > 0:
            raise LogTruncated(
                f"{name}/{partition} begins at offset {found.begin}: its oldest {found.begin} "
                "records are gone (retention, or the embedded broker's 5 MiB a partition); where "
                "they were archived, use --source archive"
            )
    async with RangeReader.open(settings) as reader:
        for partition, found in sorted(bounds.items()):
            async for records in reader.read((name, partition), 0, found.end):
                yield records


async def from_archive(settings: Settings) -> AsyncIterator[Sequence[Recorded]]:
    """The same from the archive, up to what it has. Raises NotFound, ArchiveUnavailable,
    LogTruncated."""
    # Blocking, and nothing waits beside it: `attune train` does one thing.
    reader = ArchiveReader.open(settings, EVENTS)
    for partition in sorted(reader.ends()):
        for records in reader.records(partition):
            yield records


async def decisions_from(settings: Settings, source: str) -> AsyncIterator[Sequence[Recorded]]:
    """The records of `decisions`, as far back as the log or the archive keeps them; none where
    there are none. Raises LogUnavailable, ArchiveUnavailable."""
    if source == "archive":
        try:
            reader = ArchiveReader.open(settings, DECISIONS)
        except NotFound:
            return
        for partition in sorted(reader.ends()):
            for records in reader.records(partition, complete=False):
                yield records
        return
    try:
        async for found in scan(settings, DECISIONS.named(settings.namespace), complete=False):
            yield found
    except UnknownTopic:
        return
