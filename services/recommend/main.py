"""`attune recommend`: opens what answering needs and serves it.

Order at start: database, keys, store, log, catalogue, models; a warm-up; then the port answers.
On SIGTERM or SIGINT: stop accepting, answer what is in flight, flush the decisions, close.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from typing import Any, Final

import click
import uvloop

from services.recommend.api import Deciding, Front, OpenDeciding, create_app
from services.recommend.availability import Stock
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.catalogue.running import RunningCatalogue, open_catalogue
from services.recommend.decision_log import DecisionLog
from services.recommend.huge_pages import use_huge_pages
from services.recommend.knowledge import Knowledge
from services.recommend.live import StatisticsKeeper, stopped
from services.recommend.metrics import RecommendMetrics
from services.recommend.models.keeper import ModelKeeper
from services.recommend.models.taking import UNTRAINED
from services.recommend.numbers import ItemNumbers
from services.recommend.operations import Served
from services.recommend.popularity import Popularity
from services.recommend.ranking import LinearRanker
from services.recommend.request import LARGEST_BODY
from services.recommend.service import Recommender
from services.recommend.settings import RecommendSettings
from services.recommend.store import ProfileReader, StatisticsReader, open_redis
from services.recommend.store_wire import Wire
from services.recommend.warm_up import warm_up
from services.recommend.workers import bind_for, end, fork, stop_after, stop_without
from shared import bus
from shared.auth import KeyRing, open_key_ring
from shared.auth_store import KeyStore
from shared.database import Database
from shared.direct_http import direct_protocol
from shared.errors import DatabaseUnavailable, LogUnavailable, StoreUnavailable, Unavailable
from shared.generation_store import LiveKeys
from shared.health import Check
from shared.logging import configure
from shared.migrations import migrate
from shared.serving import Server, server_of, settle
from shared.settings import Settings
from shared.topics import DECISIONS

LOG_START_S: Final = 60.0

_logger = logging.getLogger(__name__)


@click.command()
@click.option("--host", default=None, help="Address to listen on.  [default: ATTUNE_HOST]")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=None,
    help="Port to listen on, 0 for a free one.  [default: ATTUNE_RECOMMEND_PORT, or 8080]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=None,
    help="Processes that share the port.  [default: ATTUNE_RECOMMEND_WORKERS, or 1]",
)
def command(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve offers, and the catalogue's admin endpoints.

    POST /v1/recommend answers what a shopper should see now, within a deadline, with a reason for
    each item. Keys: `attune keys create`. Settings: ATTUNE_* and ATTUNE_RECOMMEND_*. Stops
    cleanly on SIGTERM and Ctrl-C.
    """
    settings = Settings.from_environment()
    own = RecommendSettings.from_environment()
    configure("recommend")
    count = own.workers if workers is None else workers
    listeners = bind_for(host or settings.host, own.port if port is None else port, count)
    with listeners[0] as listener:
        parent = os.getpid()
        children = fork(
            listeners, lambda socket: uvloop.run(serve(settings, own, socket, parent=parent))
        )
        try:
            uvloop.run(serve(settings, own, listener, children=children))
        finally:
            end(children)


async def serve(
    settings: Settings,
    own: RecommendSettings,
    listener: socket.socket,
    *,
    parent: int | None = None,
    children: Sequence[int] = (),
) -> None:
    """Serves until a signal, or until the parent process or one of the children is gone. Raises
    LogUnavailable when no broker answered in all the time that a start may take, and Unavailable
    where a child ended before its time."""
    metrics = RecommendMetrics()
    checks: dict[str, Check] = {}
    origins = [origin.strip() for origin in own.cors_origins.split(",") if origin.strip()]
    opened: list[Deciding] = []
    app = create_app(lambda: nullcontext(opened[0]), metrics, checks, origins)
    front = Front(app, metrics, origins)
    server = server_of(
        front,
        stop_timeout_s=own.stop_timeout_s,
        date_header=False,
        protocol=direct_protocol(front.replies, LARGEST_BODY),
    )
    address, port = listener.getsockname()[:2]
    _logger.info("recommend starts", extra={"address": address, "port": port})
    lost: list[str] = []
    watcher = _watched(server, parent, children, lost)
    # opened here and not by uvicorn, which answers a failure with a traceback and its own status
    async with AsyncExitStack() as stack:
        with server.capture_signals():
            opening = opener(settings, own, metrics, checks)()
            opened.append(await stack.enter_async_context(opening))
        await server.serve(sockets=[listener])
    await stopped(watcher)
    _logger.info("recommend has stopped")
    if lost:
        raise Unavailable(lost[0])


def opener(
    settings: Settings,
    own: RecommendSettings,
    metrics: RecommendMetrics,
    checks: dict[str, Check],
) -> OpenDeciding:
    """What the application opens when it starts; fills `checks` with the real dependencies."""

    @asynccontextmanager
    async def open_deciding() -> AsyncIterator[Deciding]:
        async with AsyncExitStack() as stack:
            yield await _open(stack, settings, own, metrics, checks)

    return open_deciding


async def _open(
    stack: AsyncExitStack,
    settings: Settings,
    own: RecommendSettings,
    metrics: RecommendMetrics,
    checks: dict[str, Check],
) -> Deciding:
    await _migrated(settings)
    database = await stack.enter_async_context(Database.open(settings))
    ring = await stack.enter_async_context(open_key_ring(KeyStore(database).snapshot))
    client = await stack.enter_async_context(open_redis(settings))
    live = await _live_keys(client, settings)
    reader = ProfileReader(client, live, metrics, own.store_deadline_ms, Wire.beside(client))
    stack.push_async_callback(reader.close)
    producer = await stack.enter_async_context(_open_producer(settings))
    running = await stack.enter_async_context(
        open_catalogue(settings, database, producer, ring.authenticate)
    )
    knowledge = _knowledge(running, own)
    statistics = StatisticsKeeper(StatisticsReader(client, live), knowledge, settings.partitions)
    models = _models(settings, own, knowledge, metrics)
    log = DecisionLog(producer, DECISIONS.named(settings.namespace), own.decision_buffer, metrics)
    stack.push_async_callback(log.finish)
    settled = asyncio.Event()
    settling = _settle_again(running, models, knowledge, settled)
    for loop in (live.follow(), statistics.run(), models.run(), log.run(), settling):
        stack.push_async_callback(stopped, asyncio.create_task(loop))
    checks.update(
        store=reader.check,
        log=producer.check,
        keys=_keys_check(ring),
        catalogue=_catalogue_check(running),
        live=_live_check(models, settled),
    )
    _watch(metrics, running, log, ring)
    warm_up()
    _settle_memory()
    recommender = Recommender(own, settings.clock, knowledge, reader, log, metrics, ring.subject)
    return Deciding(Served(recommender, settings), ring.authenticate, running.administration)


async def _live_keys(client: Any, settings: Settings) -> LiveKeys:
    """Read once before the first request; a store that is away is looked at again."""
    live = LiveKeys(client, settings.namespace)
    with suppress(StoreUnavailable):
        await live.refresh()
    return live


def _open_producer(settings: Settings) -> AbstractAsyncContextManager[bus.Producer]:
    return bus.Producer.open(settings, wait_s=LOG_START_S, compression="zstd")


def _knowledge(running: RunningCatalogue, own: RecommendSettings) -> Knowledge:
    return Knowledge(
        stock=Stock(running.catalogue, ItemNumbers()),
        sessions=SessionIndex(capacity=own.live_sessions),
        pairs=Pairs(),
        popularity=Popularity(),
        ranker=LinearRanker(UNTRAINED),
    )


def _models(
    settings: Settings, own: RecommendSettings, knowledge: Knowledge, metrics: RecommendMetrics
) -> ModelKeeper:
    poll_s, capacity = own.model_poll_s, own.live_sessions
    return ModelKeeper(settings, knowledge, metrics, poll_s=poll_s, capacity=capacity)


def _watch(
    metrics: RecommendMetrics, running: RunningCatalogue, log: DecisionLog, ring: KeyRing
) -> None:
    metrics.watch(
        catalogue_items=lambda: len(running.catalogue),
        decisions_waiting=lambda: len(log),
        key_ring_age_seconds=lambda: ring.age_s,
    )


def _keys_check(ring: KeyRing) -> Check:
    async def check() -> None:
        if not ring.loaded:
            raise Unavailable("keys are not loaded yet")

    return check


def _catalogue_check(running: RunningCatalogue) -> Check:
    async def check() -> None:
        if not running.follower.caught_up.is_set():
            raise LogUnavailable("the catalogue has not been read yet")

    return check


async def _migrated(settings: Settings) -> None:
    """A database that is away keeps nobody from starting: the key ring goes on trying."""
    try:
        await migrate(settings)
    except DatabaseUnavailable:
        _logger.warning("database does not answer; keys are tried again")


def _settle_memory() -> None:
    """What lives as long as the process is passed by at garbage collection, and in huge pages."""
    settle()
    use_huge_pages()


async def _settle_again(
    running: RunningCatalogue, models: ModelKeeper, knowledge: Knowledge, settled: asyncio.Event
) -> None:
    """Once more when catalogue and live indexes are in memory: they stay."""
    await running.follower.caught_up.wait()
    await models.caught_up()
    knowledge.prepare()
    _settle_memory()
    settled.set()


def _live_check(models: ModelKeeper, settled: asyncio.Event) -> Check:
    """Settling blocks for some hundred milliseconds: nobody should be sent here before."""

    async def check() -> None:
        await models.check()
        if not settled.is_set():
            raise Unavailable("memory is not settled yet")

    return check


def _watched(
    server: Server, parent: int | None, children: Sequence[int], lost: list[str]
) -> "asyncio.Task[None]":
    def stop() -> None:
        if parent is None and not server.should_exit:
            lost.append("a worker process has ended; see its log")
        server.should_exit = True

    waiting = stop_after(children, stop) if parent is None else stop_without(parent, stop)
    return asyncio.create_task(waiting)
