"""Every fact there ever was: the log, and before it the archive where the log's start is gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from services.profile.rebuild.sources import archived_ends, plan
from shared.archive import ArchiveReader
from shared.bus import Record, scan
from shared.bus_offsets import topic_bounds, topic_shape
from shared.bus_read import RangeReader
from shared.settings import Settings
from shared.topics import EVENTS


async def whole_log(settings: Settings) -> AsyncIterator[Sequence[Record]]:
    """All records of `events`, each partition's in order; a list is of one partition.

    Raises LogTruncated where neither the log nor the archive has a part of it.
    """
    topic = EVENTS.named(settings.namespace)
    bounds = await topic_bounds(settings, topic)
    if not any(found.begin for found in bounds.values()):
        async for records in scan(settings, topic):
            yield records
        return
    shape = await topic_shape(settings, topic)
    archived = await asyncio.to_thread(archived_ends, settings, "auto", shape.incarnation, bounds)
    reader = await asyncio.to_thread(ArchiveReader.open, settings, EVENTS)
    async with RangeReader.open(settings) as log:
        for part in plan(bounds, archived, {}):
            rows = reader.records(part.partition)
            while found := await asyncio.to_thread(next, rows, None):
                # The archive may have gone on since its ends were read.
                yield [record for record in found if record.offset < part.archived]
            async for records in log.read((topic, part.partition), part.archived, part.end):
                yield records
