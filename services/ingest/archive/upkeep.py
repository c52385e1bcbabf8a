"""Joining small files and deleting what nobody needs any more, beside the writing of new rows.

Appends go on meanwhile, and so do readers; of two services that compact at once one gives up.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.ingest.archive import metrics
from services.ingest.archive.settings import ArchiveSettings
from shared.archive_table import compact, count_files, location_of, vacuum
from shared.errors import AttuneError, NotFound
from shared.settings import Settings
from shared.topics import Topic

log = logging.getLogger(__name__)

FIRST_AFTER_S: Final = 60.0
"""Soon after the start: a service that restarts often must compact all the same."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What upkeep did to a table: its files before and after, and how many it deleted."""

    files_before: int
    files_after: int
    files_joined: int
    files_deleted: int


def keep(settings: Settings, topic: Topic, *, retention_hours: int) -> Kept | None:
    """Compacts and cleans a topic's table; None where nothing was archived yet. Blocking.

    Raises ArchiveConflict when another was faster, ArchiveUnavailable.
    """
    location = location_of(settings, topic)
    try:
        before = count_files(location)
    except NotFound:
        return None
    done = compact(location)
    deleted = vacuum(location, retention_hours=retention_hours)
    return Kept(before, count_files(location), done.files_removed, deleted)


async def keep_up(settings: Settings, own: ArchiveSettings, topics: Sequence[Topic]) -> None:
    """Keeps all tables in shape, every so often, until cancelled."""
    await asyncio.sleep(min(FIRST_AFTER_S, own.compact_every_s))
    while True:
        for topic in topics:
            try:
                kept = await asyncio.to_thread(
                    keep, settings, topic, retention_hours=own.retention_hours
                )
            except AttuneError as error:
                metrics.FAILURES.labels(f"upkeep_{error.code}").inc()
                log.warning("upkeep failed", extra={"topic": topic.name}, exc_info=error)
                continue
            if kept is not None:
                metrics.COMPACTED.labels(topic.name).inc(kept.files_joined)
        await asyncio.sleep(own.compact_every_s)
