"""Where a dry run reads from: the archive, or the log where there is none; and up to when.

The archive alone is enough: no broker is asked then. The window ends with the newest fact rather
than today, so that an archive that was put aside gives the same report for ever.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from services.profile.batch import read_delivery
from shared.archive import ArchiveReader
from shared.bus_offsets import topic_bounds
from shared.bus_read import RangeReader, scan
from shared.errors import LogTruncated, LogUnavailable, NotFound, UnknownTopic
from shared.settings import Settings
from shared.topics import CATALOGUE, EVENTS

if TYPE_CHECKING:
    from shared.bus import Record

log = logging.getLogger(__name__)

Source = Literal["archive", "log"]
LAST_RECORDS: Final = 64
"""Of these, at the end of each partition, the newest says when the log ends."""
CATALOGUE_S: Final = 3.0
"""The report names the catalogue as missing where no broker answers for so long."""


class History(Struct, frozen=True):
    """What there is to replay. ends: partition → its end; newest: epoch ms, when the log took the
    newest fact; 0 where there is none."""

    source: Source
    ends: dict[int, int]
    newest: int


async def find(settings: Settings, source: Source | None) -> History:
    """The history as it stands now; source None: the archive if there is one, else the log.

    Raises NotFound, ArchiveUnavailable, LogUnavailable, LogTruncated.
    """
    if source != "log":
        try:
            reader = await asyncio.to_thread(ArchiveReader.open, settings, EVENTS)
        except NotFound:
            if source == "archive":
                raise
        else:
            return await asyncio.to_thread(_archived, reader)
    return await _logged(settings)


def _archived(reader: ArchiveReader) -> History:
    ends = {partition: end for partition, end in reader.ends().items() if end}
    newest = 0
    for partition, end in ends.items():
        for records in reader.records(partition, max(0, end - LAST_RECORDS)):
            newest = max(newest, _newest(records))
    return History("archive", ends, newest)


async def _logged(settings: Settings) -> History:
    topic = EVENTS.named(settings.namespace)
    bounds = await topic_bounds(settings, topic)
    cut = [(number, found.begin) for number, found in bounds.items() if found.begin]
    if cut:
        raise LogTruncated(
            f"partition {cut[0][0]} of events begins at offset {cut[0][1]}, and there is no "
            "archive: profiles cannot be folded from a log without its start"
        )
    newest = 0
    async with RangeReader.open(settings) as reader:
        for partition, found in bounds.items():
            start = max(0, found.end - LAST_RECORDS)
            async for records in reader.read((topic, partition), start, found.end):
                newest = max(newest, _newest(records))
    ends = {partition: found.end for partition, found in bounds.items() if found.end}
    return History("log", ends, newest)


def _newest(records: "Iterable[Record]") -> int:
    reads = [read for record in records if (read := read_delivery(record)) is not None]
    return max((delivery.fact.received_at for _, delivery in reads), default=0)


async def partition_records(
    settings: Settings, source: Source, partition: int, end: int
) -> "AsyncIterator[Sequence[Record]]":
    """All of a partition, in its order, up to that end. Raises LogTruncated, LogUnavailable."""
    if source == "archive":
        for records in ArchiveReader.open(settings, EVENTS).records(partition):
            # The archive may have gone on since its ends were read.
            yield [record for record in records if record.offset < end]
        return
    where = (EVENTS.named(settings.namespace), partition)
    async with (
        RangeReader.open(settings) as reader,
        aclosing(reader.read(where, 0, end)) as reading,
    ):
        async for found in reading:
            yield found


async def catalogue_changes(settings: Settings) -> list[bytes]:
    """What `catalogue` still holds, in its order; nothing, with a warning, where no broker answers.

    It is compacted: of an item that changed twice, the first change may be gone.
    """
    topic = CATALOGUE.named(settings.namespace)
    found: list[bytes] = []
    try:
        async for records in scan(settings, topic, complete=False, wait_s=CATALOGUE_S):
            found += [record.value for record in records if record.value]
    except (LogUnavailable, UnknownTopic) as error:
        log.warning("no catalogue: %s", error)
        return []
    return found
