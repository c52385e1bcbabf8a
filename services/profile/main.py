"""`attune profile`: wires the loop that folds `events` into profiles, and stops it gracefully."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click
import uvloop

from services.commands.output import CommandFailed
from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.following import Following, begin_generation
from services.profile.items.catalogue import Items
from services.profile.items.indexing import InterestIndex
from services.profile.items.interest_store import InterestStore
from services.profile.items.moving import Moving
from services.profile.learned import Learned
from services.profile.offering import Offering
from services.profile.offsets import PendingOffsets
from services.profile.payloads import Payloads
from services.profile.publisher import Publisher
from services.profile.ruling import Ruling
from services.profile.scenarios.holding import SHIPPED, BookHolder
from services.profile.settings import ProfileSettings
from services.profile.steady_clock import SteadyClock
from services.profile.store import ProfileStore
from services.profile.store_keeping import Keeping
from services.profile.timer_loop import TimerLoop
from services.profile.worker import Worker
from shared import topics
from shared.bus import GroupConsumer, Producer
from shared.bus_offsets import TopicShape, read_commits, topic_shape
from shared.catalogue_tail import CatalogueTail
from shared.errors import AttuneError, LogUnavailable
from shared.generation_store import GenerationStore
from shared.health import Check, health_server, starting
from shared.keys import Keys
from shared.logging import configure
from shared.settings import Settings
from shared.store import ServerWatch, open_redis

CATALOGUE_S: Final = 60.0

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
        worker, consumer = await _open(stack, settings, own, checks)
        gc.freeze()
        gc.set_threshold(10_000, 20, 100)
        log.info("profile works", extra={"durability": settings.store_durability})
        await worker.run(consumer, stop)


async def _open(
    stack: AsyncExitStack, settings: Settings, own: ProfileSettings, checks: dict[str, Check]
) -> tuple[Worker, GroupConsumer]:
    """The worker and its place in the group; fills `checks` with the real dependencies."""
    events = topics.EVENTS.named(settings.namespace)
    group = topics.named(topics.PROFILE_GROUP, settings.namespace)

    async def shape() -> TopicShape:
        return await topic_shape(settings, events)

    watch = ServerWatch()
    redis = await stack.enter_async_context(open_redis(settings, watch=watch))
    generations = GenerationStore(redis, settings.namespace)
    found, commits = await shape(), await read_commits(settings, group, events)
    generation = await begin_generation(generations, found, commits.values())
    keys = Keys(settings.namespace, generation.token)
    store, index = ProfileStore(redis, keys, found.incarnation), InterestStore(redis, keys)
    keeping = Keeping(redis, watch, volatile=settings.store_durability == "volatile")
    await keeping.until()
    following = Following(generations, store, generation, shape, index)
    kept = _Kept(store, index, following, keeping)
    worker = await _worker(stack, settings, own, kept, checks)
    opening = GroupConsumer.open(
        settings,
        group=group,
        topics=[events],
        complete=True,
        on_assigned=worker.assigned,
        on_revoked=worker.revoked,
        instance_id=own.instance or None,
    )
    consumer = await stack.enter_async_context(opening)
    checks |= {"log": consumer.check, "store": keeping.check}
    return worker, consumer


class _Kept(NamedTuple):
    """What lies in Redis, and how."""

    store: ProfileStore
    interested: InterestStore
    following: Following
    keeping: Keeping


async def _worker(
    stack: AsyncExitStack,
    settings: Settings,
    own: ProfileSettings,
    kept: _Kept,
    checks: dict[str, Check],
) -> Worker:
    """What folds and decides, with all it asks. Raises BookRefused, LogUnavailable."""
    items = await _items(stack, settings, checks)
    ruling = await _ruling(stack, settings, items, checks)
    payloads = await stack.enter_async_context(Payloads.open(own.recommend, own.recommend_key))
    producer = await stack.enter_async_context(Producer.open(settings))
    clock = SteadyClock(settings.clock)
    publisher = Publisher(producer, settings.namespace, clock, settings.cloudevents)
    store, index, following, keeping = kept
    cache = IdentityCache(own.cached)
    interest = InterestIndex(index, ruling.wanted, clock)
    return Worker(
        store,
        Applier(store, publisher, cache, interest, ruling, clock),
        TimerLoop(store, publisher, cache, clock, ruling, Offering(payloads)),
        following,
        PendingOffsets(),
        keeping,
        moving=Moving(items, index, store, cache, keeping, ruling, clock),
        look=ruling.look,
        max_records=own.batch,
    )


async def _items(stack: AsyncExitStack, settings: Settings, checks: dict[str, Check]) -> Items:
    """The catalogue, read to its end: no condition is asked without it. Raises LogUnavailable."""
    items = Items()
    tail = CatalogueTail(settings, items)
    await stack.enter_async_context(_beside(tail.run()))
    checks |= {"catalogue": tail.check}
    try:
        await asyncio.wait_for(tail.caught_up.wait(), CATALOGUE_S)
    except TimeoutError:
        raise LogUnavailable(f"the catalogue was not read within {CATALOGUE_S:g} s") from None
    log.info("catalogue read", extra={"items": len(items.items)})
    return items


async def _ruling(
    stack: AsyncExitStack, settings: Settings, items: Items, checks: dict[str, Check]
) -> Ruling:
    """The scenarios, with what they are judged by kept level beside. Raises BookRefused."""
    books = BookHolder(Path(settings.scenarios) if settings.scenarios else SHIPPED)
    learned = Learned(settings.models)
    await stack.enter_async_context(_beside(learned.run()))
    checks |= {"scenarios": books.check}
    return Ruling(books, items.items, learned)


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs it as long as the process works."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
