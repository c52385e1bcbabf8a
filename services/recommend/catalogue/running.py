"""The catalogue of one recommend process, running: read from the topic, published from SQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from services.recommend.catalogue.api import Administration
from services.recommend.catalogue.index import Catalogue
from services.recommend.catalogue.live import Follower
from services.recommend.catalogue.publisher import Publisher, Sender
from services.recommend.catalogue.repository import CatalogueRepository
from shared.auth import Principal
from shared.database import Database
from shared.settings import Settings
from shared.topics import CATALOGUE


@dataclass(frozen=True, slots=True)
class RunningCatalogue:
    """`catalogue` to answer from, `follower` to ask whether it is complete, `administration` for
    the lifespan state of the admin endpoints."""

    catalogue: Catalogue
    follower: Follower
    publisher: Publisher
    administration: Administration


@asynccontextmanager
async def open_catalogue(
    settings: Settings,
    database: Database,
    sender: Sender,
    authenticate: Callable[[str | None], Principal],
) -> AsyncIterator[RunningCatalogue]:
    """Follow the topic and publish to it in the background until the context ends.

    Returns at once: `follower.caught_up` tells when the topic was read. Neither a log nor a
    database that is down raises here; both are tried again until they answer.
    """
    follower = Follower(settings, Catalogue())
    repository = CatalogueRepository(database)
    publisher = Publisher(repository, sender, CATALOGUE.named(settings.namespace))
    administration = Administration(repository, authenticate, settings.clock, publisher.wake)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_stop, asyncio.create_task(follower.run()))
        stack.push_async_callback(_stop, asyncio.create_task(publisher.run(follower)))
        yield RunningCatalogue(follower.catalogue, follower, publisher, administration)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
