"""`attune ingest`: wires settings, log, catalogue and health into one pipeline, and runs it.

On SIGTERM or SIGINT: stop fetching, finish the batch in hand, flush, commit, leave the group.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import click
import uvloop

from services.ingest import metrics
from services.ingest.decide import Decider
from services.ingest.enrich import KnownItems
from services.ingest.normalise import MAX_BYTES
from services.ingest.pipeline import Pipeline
from services.ingest.raw_topics import RawTopics
from services.ingest.settings import IngestSettings
from shared.bus import GroupConsumer, Producer
from shared.catalogue_tail import CatalogueTail
from shared.errors import LogUnavailable
from shared.health import Check, health_server, starting
from shared.logging import configure
from shared.settings import Settings
from shared.topics import DEAD_LETTERS, EVENTS, INGEST_GROUP, RAW, named

log = logging.getLogger(__name__)

_LAG_EVERY_S: Final = 5.0
_CATALOGUE_S: Final = 20.0


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Port of health and metrics.")
def command(port: int | None) -> None:
    """Turn raw events into canonical facts.

    Reads the topics clickstream and purchases, writes facts to events and what is refused to
    dead-letters. Start as many as there are partitions to share. Settings: ATTUNE_*,
    ATTUNE_INGEST_*. Stops cleanly on SIGTERM and Ctrl-C.
    """
    own = IngestSettings.from_environment()
    if port is not None:
        own = replace(own, port=port)
    configure("ingest", own.log_level)
    with suppress(asyncio.CancelledError):
        uvloop.run(serve(Settings.from_environment(), own))


async def serve(settings: Settings, own: IngestSettings) -> None:
    """Runs until a signal. Raises LogUnavailable or SettingsError where it cannot start, and
    RecreatedTopic whenever a raw topic is not the one that was read."""
    checks: dict[str, Check] = {"log": starting}
    async with AsyncExitStack() as stack:
        _on_signals(_cancel_current())
        port = await stack.enter_async_context(
            health_server(checks, host=settings.host, port=own.port)
        )
        producer = await stack.enter_async_context(Producer.open(settings))
        items = KnownItems()
        tail = CatalogueTail(settings, items)
        await stack.enter_async_context(_beside(tail.run()))
        await catch_up(tail)
        group = named(INGEST_GROUP, settings.namespace)
        raw = [topic.named(settings.namespace) for topic in RAW]
        raw_topics = await RawTopics.find(settings, group, raw)
        pipeline = build_pipeline(settings, own, producer, items, raw_topics)
        consumer = await stack.enter_async_context(
            GroupConsumer.open(
                settings,
                group=group,
                topics=raw,
                on_revoked=pipeline.drain,
                instance_id=own.instance_id or None,
            )
        )
        checks |= {"log": producer.check, "group": consumer.check}
        await stack.enter_async_context(_beside(_watch(consumer, items)))
        _on_signals(pipeline.stop)
        _settle_garbage()
        log.info("ingest runs", extra={"port": port, "items": len(items)})
        await pipeline.run(consumer)
    log.info("ingest has stopped")


async def catch_up(tail: CatalogueTail) -> None:
    """Waits until the catalogue that stood at the start is known, for at most 20 s.

    Ingest can do without: facts are then enriched as far as the catalogue has been read.
    """
    try:
        await asyncio.wait_for(tail.caught_up.wait(), _CATALOGUE_S)
    except TimeoutError:
        log.warning("the catalogue is not read to its end yet")


def build_pipeline(
    settings: Settings,
    own: IngestSettings,
    producer: Producer,
    items: KnownItems,
    raw_topics: RawTopics | None = None,
) -> Pipeline:
    """The pipeline on the deployment's own topics."""
    limits = {topic.named(settings.namespace): MAX_BYTES[topic.name] for topic in RAW}
    return Pipeline(
        producer,
        Decider(settings.clock, limits, items, own.shop_currency),
        events_topic=EVENTS.named(settings.namespace),
        dead_letters_topic=DEAD_LETTERS.named(settings.namespace),
        max_records=own.max_records,
        raw_topics=raw_topics,
    )


def _cancel_current() -> Callable[[], object]:
    """What a signal does before the pipeline runs: nothing is in hand yet."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("not inside a task")
    return task.cancel


def _on_signals(action: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, action)


def _settle_garbage() -> None:
    """What lives as long as the process is never looked at again by the collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` while the context is open."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LogUnavailable):
            await task


async def _watch(consumer: GroupConsumer, items: KnownItems) -> None:
    """Keeps the gauges of lag and catalogue up to date."""
    while True:
        with suppress(LogUnavailable):
            lag = await consumer.lag()
            metrics.LAG.clear()
            for (topic, partition), records in lag.items():
                metrics.LAG.labels(topic, str(partition)).set(records)
        metrics.KNOWN_ITEMS.set(len(items))
        await asyncio.sleep(_LAG_EVERY_S)
