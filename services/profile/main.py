"""`attune profile`: wires the loop that folds `events` into profiles, and stops it gracefully."""

import asyncio
import gc
import logging
import os
import signal
from contextlib import AsyncExitStack

import click
import uvloop

from services.commands.output import CommandFailed
from services.profile.cache import IdentityCache
from services.profile.offsets import AOF_DELAY_S, PendingOffsets
from services.profile.publisher import Publisher
from services.profile.settings import ProfileSettings
from services.profile.store import ProfileStore
from services.profile.timer_loop import TimerLoop
from services.profile.worker import Worker
from shared import topics
from shared.bus import GroupConsumer, Producer, topic_id
from shared.errors import AttuneError
from shared.health import Check, health_server, starting
from shared.keys import Keys
from shared.logging import configure
from shared.settings import Settings
from shared.store import ServerWatch, open_redis

log = logging.getLogger(__name__)


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), help="Port of health and metrics.")
def command(port: int | None) -> None:
    """Fold events into profiles in Redis and publish triggers.

    Addresses come from ATTUNE_* settings. Ends on SIGTERM: the batch under way is finished,
    what is durable is committed, and the group is left.
    """
    configure("profile", os.environ.get("ATTUNE_LOG_LEVEL", "info"))
    try:
        settings = Settings.from_environment()
        own = ProfileSettings.from_environment()
        uvloop.run(serve(settings, own, port=own.port if port is None else port))
        log.info("profile stopped")
    except AttuneError as error:
        raise CommandFailed.of(error) from None


async def serve(
    settings: Settings, own: ProfileSettings, *, port: int, stop: asyncio.Event | None = None
) -> None:
    """Runs until `stop` is set or a signal comes. Raises AttuneError when it cannot work."""
    stop = stop or asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    checks: dict[str, Check] = {"log": starting, "store": starting}
    async with AsyncExitStack() as stack:
        # First of all: a process that cannot have its port must not join the group.
        await stack.enter_async_context(health_server(checks, port=port, host=settings.host))
        events = topics.EVENTS.named(settings.namespace)
        incarnation = await topic_id(settings, events)
        watch = ServerWatch()
        redis = await stack.enter_async_context(open_redis(settings, watch=watch))
        store = ProfileStore(redis, Keys(settings.namespace), incarnation, watch)
        await store.ping()
        producer = await stack.enter_async_context(Producer.open(settings))
        publisher = Publisher(producer, settings.namespace, settings.clock)
        cache = IdentityCache(own.cached)
        timers = TimerLoop(store, publisher, cache, settings.clock)
        delay_s = AOF_DELAY_S if settings.store_durability == "aof" else 0.0
        worker = Worker(
            store, publisher, timers, cache, PendingOffsets(delay_s), max_records=own.batch
        )
        consumer = await stack.enter_async_context(
            GroupConsumer.open(
                settings,
                group=topics.named(topics.PROFILE_GROUP, settings.namespace),
                topics=[events],
                on_assigned=worker.assigned,
                on_revoked=worker.revoked,
                instance_id=own.instance or None,
            )
        )
        await _claim(store, consumer, events, await producer.partitions_of(events))
        checks |= {"log": consumer.check, "store": store.ping}
        gc.freeze()
        gc.set_threshold(10_000, 20, 100)
        log.info("profile works", extra={"durability": settings.store_durability})
        await worker.run(consumer, stop)


async def _claim(store: ProfileStore, consumer: GroupConsumer, topic: str, partitions: int) -> None:
    """Refuses a store that was emptied since the group folded; marks a new one as ours."""
    offsets = [await consumer.committed((topic, number)) for number in range(partitions)]
    if any(offsets):
        await store.refuse_emptied()
    await store.claim()
