"""`attune collector`: opens what the application needs and serves it.

On SIGTERM or SIGINT: stop accepting, answer what is in flight, flush, close.
"""

import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import click
import uvloop

from services.ingest.collector.app import OpenIntake, create_app
from services.ingest.collector.intake import Intake
from services.ingest.collector.log import RawLog
from services.ingest.collector.metrics import CollectorMetrics
from services.ingest.collector.settings import CollectorSettings
from services.ingest.settings import IngestSettings
from shared.auth import KeyRing, open_key_ring
from shared.auth_store import KeyStore
from shared.database import Database
from shared.errors import AttuneError, DatabaseUnavailable, Unavailable
from shared.health import Check, bind
from shared.logging import configure
from shared.migrations import migrate
from shared.serving import server_of, settle
from shared.settings import Settings

_logger = logging.getLogger(__name__)


@click.command()
@click.option("--host", default=None, help="Address to listen on.  [default: ATTUNE_HOST]")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=None,
    help="Port to listen on, 0 for a free one.  [default: ATTUNE_COLLECTOR_PORT, or 8081]",
)
def command(host: str | None, port: int | None) -> None:
    """Serve the HTTP endpoints that take events.

    POST /v1/events, and Segment's API (/v1/track, /v1/batch ...) for its SDKs. An event is answered
    with 200 once the log has it. Keys: `attune keys create`. Settings: ATTUNE_* and
    ATTUNE_COLLECTOR_*. Stops cleanly on SIGTERM and Ctrl-C.
    """
    settings = Settings.from_environment()
    own = CollectorSettings.from_environment()
    currency = IngestSettings.from_environment().shop_currency
    configure("collector")
    with bind(host or settings.host, own.port if port is None else port) as listener:
        uvloop.run(serve(settings, own, listener, currency=currency))


async def serve(
    settings: Settings,
    own: CollectorSettings,
    listener: socket.socket,
    *,
    currency: str | None = None,
) -> None:
    """Serves until a signal. Raises LogUnavailable when no broker answered in all the time that a
    start may take."""
    metrics = CollectorMetrics()
    checks: dict[str, Check] = {}
    failures: list[AttuneError] = []

    def give_up(failure: AttuneError) -> None:
        failures.append(failure)
        server.should_exit = True

    app = create_app(
        opener(settings, own, metrics, checks, give_up, currency), metrics, checks, own.origins
    )
    server = server_of(app, stop_timeout_s=own.stop_timeout_s)
    address, port = listener.getsockname()[:2]
    _logger.info("collector runs", extra={"address": address, "port": port})
    await server.serve(sockets=[listener])
    _logger.info("collector has stopped")
    if failures:
        raise failures[0]


def opener(
    settings: Settings,
    own: CollectorSettings,
    metrics: CollectorMetrics,
    checks: dict[str, Check],
    give_up: Callable[[AttuneError], None],
    currency: str | None,
) -> OpenIntake:
    """What the application opens when it starts; fills `checks` with the real dependencies."""

    @asynccontextmanager
    async def open_intake() -> AsyncIterator[Intake]:
        await _migrated(settings)
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database.open(settings))
            ring = await stack.enter_async_context(open_key_ring(KeyStore(database).snapshot))
            log = await stack.enter_async_context(
                RawLog.open(
                    settings,
                    ack_timeout_s=own.ack_timeout_s,
                    start_timeout_s=own.start_timeout_s,
                    give_up=give_up,
                )
            )
            intake = Intake(own, settings.clock, ring, log, metrics, currency=currency)
            metrics.watch(
                events=lambda: intake.budget.events,
                bytes_=lambda: intake.budget.bytes,
                key_ring_age_s=lambda: ring.age_s,
            )
            checks.update(log=log.check, keys=_keys_check(ring))
            settle()
            yield intake

    return open_intake


def _keys_check(ring: KeyRing) -> Check:
    async def check() -> None:
        if not ring.loaded:
            raise Unavailable("keys are not loaded yet")

    return check


async def _migrated(settings: Settings) -> None:
    """A database that is away keeps nobody from starting: the key ring goes on trying."""
    try:
        await migrate(settings)
    except DatabaseUnavailable:
        _logger.warning("database does not answer; keys are tried again")
