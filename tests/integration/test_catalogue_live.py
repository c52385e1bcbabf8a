"""A change by an administrator is live in every process: real log, SQL, and two of everything."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from services.local.broker import EmbeddedBroker
from services.recommend.catalogue.repository import CatalogueRepository
from services.recommend.catalogue.running import RunningCatalogue, open_catalogue
from shared.bus import Producer, scan
from shared.catalogue import ItemChanged, OfferChanged, decode, item_key
from shared.database import Database
from shared.migrations import migrate
from shared.settings import Settings
from shared.topics import CATALOGUE
from tests.fixtures.catalogue_admin import RING, admin_client
from tests.fixtures.waiting import eventually

LIVE_WITHIN_S = 2.0


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[RunningCatalogue]:
    """The catalogue as one recommend process runs it, with clients of its own."""
    await migrate(settings)
    async with (
        Database.open(settings) as database,
        Producer.open(settings) as producer,
        open_catalogue(settings, database, producer, RING.authenticate) as running,
    ):
        await asyncio.wait_for(running.follower.caught_up.wait(), 30)
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, embedded_settings: Settings) -> Settings:
    if request.param == "sqlite":
        return embedded_settings
    return replace(embedded_settings, database=request.getfixturevalue("postgres_url"))


async def test_a_change_is_live_in_every_process_within_two_seconds(settings: Settings) -> None:
    async with process(settings) as one, process(settings) as two:
        # Only one of the two holds the publisher's lock: both must do as administrators' entry.
        for running, item in ((one, "a"), (two, "b")):
            async with admin_client(running.administration) as client:
                address = f"/v1/admin/items/{item}"
                steps = (
                    ("PUT", {"price": 5, "currency": "EUR", "stock": 1}, (5, True)),
                    ("PATCH", {"stock": 0, "price": 7}, (7, False)),
                    ("DELETE", None, None),
                )
                for method, body, expected in steps:
                    began = time.monotonic()
                    answer = await client.request(method, address, json=body)
                    assert answer.is_success
                    for other in (one, two):
                        await eventually(lambda o=other, e=expected, i=item: shown(o, i) == e)
                    assert time.monotonic() - began < LIVE_WITHIN_S, method


def shown(running: RunningCatalogue, item: str) -> tuple[int, bool] | None:
    row = running.catalogue.row(item)
    if row is None:
        return None
    columns = running.catalogue.columns
    return int(columns.price[row]), bool(columns.in_stock[row])


async def test_ten_thousand_items_arrive_everywhere(settings: Settings) -> None:
    lines = "\n".join(json.dumps({"item": f"i{number}"}) for number in range(10_000))
    async with process(settings) as one, process(settings) as two:
        async with admin_client(two.administration) as client:
            answer = await client.post("/v1/admin/items:bulk", content=lines, timeout=60)
        assert answer.json()["accepted"] == 10_000
        for running in (one, two):
            await eventually(lambda r=running: len(r.catalogue) == 10_000)


async def test_another_process_publishes_when_the_publisher_ends(settings: Settings) -> None:
    async with process(settings) as first:
        await first.administration.repository.put([ItemChanged(item="a")])
        await eventually(lambda: "a" in first.catalogue)
        async with process(settings) as second:
            await second.administration.repository.put([ItemChanged(item="b")])
            await eventually(lambda: "b" in second.catalogue)
            third = ItemChanged(item="c")
    async with process(settings) as last:
        await last.administration.repository.put([third])
        await eventually(lambda: set(last.catalogue.ids) == {"a", "b", "c"})


async def test_a_new_broker_is_filled_from_sql(
    settings: Settings, embedded_broker: EmbeddedBroker, namespace: str
) -> None:
    async with process(settings) as running:
        offer = OfferChanged(offer="o", items=["a"], percent_off=10, changed_at=1)
        await running.administration.repository.put([ItemChanged(item="a", changed_at=1), offer])
        await eventually(lambda: running.catalogue.offers_for("a", 0))
    elsewhere = replace(settings, namespace=f"{namespace}-new")
    embedded_broker.create_all(elsewhere)
    async with process(elsewhere) as running:
        await eventually(lambda: running.catalogue.offers_for("a", 0) == [offer])
        assert "a" in running.catalogue


KILLED = """
    import asyncio, os, signal, sys
    from services.recommend.catalogue.publisher import Publisher
    from services.recommend.catalogue.repository import CatalogueRepository
    from shared.catalogue import ItemChanged
    from shared.database import Database
    from shared.settings import Settings

    class Killer:
        async def send(self, topic, value, *, key=None):
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        async with Database.open(Settings(database=sys.argv[1])) as database:
            repository = CatalogueRepository(database)
            await repository.put([ItemChanged(item="committed", changed_at=1)])
            async with database.lock("catalogue-publisher"):
                await Publisher(repository, Killer(), "catalogue").drain()

    asyncio.run(main())
"""


async def test_what_a_killed_process_committed_is_published(settings: Settings) -> None:
    await migrate(settings)
    program = [sys.executable, "-c", textwrap.dedent(KILLED), settings.database]
    killed = await asyncio.to_thread(
        subprocess.run, program, check=False, cwd=os.getcwd(), timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    async with process(settings) as running:
        await eventually(lambda: "committed" in running.catalogue)
        repository = CatalogueRepository(running.administration.repository.database)
        await eventually(lambda: _nothing_pending(repository))


async def _nothing_pending(repository: CatalogueRepository) -> bool:
    return await repository.pending(1) == []


@pytest.mark.kafka
async def test_on_apache_kafka(kafka_settings: Settings) -> None:
    async with process(kafka_settings) as running:
        repository = running.administration.repository
        await repository.put([ItemChanged(item="kept", changed_at=1), ItemChanged(item="gone")])
        await eventually(lambda: len(running.catalogue) == 2)
        async with admin_client(running.administration) as client:
            assert (await client.delete("/v1/admin/items/gone")).status_code == 204
        await eventually(lambda: "gone" not in running.catalogue)
    topic = CATALOGUE.named(kafka_settings.namespace)
    records = [record async for batch in scan(kafka_settings, topic) for record in batch]
    assert records[-1].key == item_key("gone").encode()
    assert records[-1].value is None
    assert decode(records[1].value or b"") == ItemChanged(item="kept", changed_at=1)
    async with process(kafka_settings) as running:
        assert list(running.catalogue.changed_at()) == ["item:kept"]
