"""`attune archive`: wires settings, log, tables and health into one archiver, and runs it.

On SIGTERM or SIGINT: write what waits, leave the group.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import Any, Final

import click
import uvloop

from services.commands.output import Report, json_option
from services.ingest.archive.archiver import Archiver
from services.ingest.archive.settings import ArchiveSettings
from services.ingest.archive.upkeep import keep, keep_up
from shared.bus import GroupConsumer
from shared.health import Check, health_server, starting
from shared.logging import configure
from shared.settings import Settings
from shared.topics import ARCHIVE_GROUP, DECISIONS, EVENTS, named

log = logging.getLogger(__name__)

TOPICS: Final = (EVENTS, DECISIONS)


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Port of health and metrics.")
@click.option("--compact", is_flag=True, help="Join small files once, clean up, and end.")
@json_option
def command(port: int | None, compact: bool, as_json: bool) -> None:
    """Write events and decisions to the archive, each record exactly once.

    The archive is two Delta tables under ATTUNE_ARCHIVE, a folder or an object-store URL, for
    training, rebuilding and analysts. Start several to share partitions. Settings: ATTUNE_*,
    ATTUNE_ARCHIVE_*. Stops cleanly on SIGTERM and Ctrl-C.
    """
    settings, own = Settings.from_environment(), ArchiveSettings.from_environment()
    if compact:
        _compact(settings, own, as_json=as_json)
        return
    if as_json:
        raise click.UsageError("--json goes with --compact: the service itself reports nothing")
    if port is not None:
        own = replace(own, port=port)
    configure("archive", own.log_level)
    with suppress(asyncio.CancelledError):
        uvloop.run(serve(settings, own))


def _compact(settings: Settings, own: ArchiveSettings, *, as_json: bool) -> None:
    shown = {"archive": settings.archive, "retention_hours": own.retention_hours}
    with Report("archive", as_json=as_json, settings=shown) as report:
        tables = {}
        for topic in TOPICS:
            kept = keep(settings, topic, retention_hours=own.retention_hours)
            tables[topic.name] = None if kept is None else asdict(kept)
        report.add(tables=tables)


async def serve(settings: Settings, own: ArchiveSettings) -> None:
    """Runs until a signal. Raises LogUnavailable or SettingsError where it cannot start,
    ArchiveMismatch where the log is not the one that was archived."""
    checks: dict[str, Check] = {"log": starting, "archive": starting}
    archiver = Archiver(settings, own, TOPICS)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            health_server(checks, host=settings.host, port=own.port)
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, archiver.stop)
        consumer = await stack.enter_async_context(
            GroupConsumer.open(
                settings,
                group=named(ARCHIVE_GROUP, settings.namespace),
                topics=archiver.topics,
                on_assigned=archiver.assigned,
                on_revoked=archiver.revoked,
                instance_id=own.instance_id or None,
            )
        )
        checks |= {"log": consumer.check, "archive": archiver.check}
        await stack.enter_async_context(_beside(keep_up(settings, own, TOPICS)))
        log.info("archive runs", extra={"port": port, "archive": settings.archive})
        await archiver.run(consumer)
    log.info("archive has stopped")


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` while the context is open."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
