"""One suite of what services rely on, run on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, select

from services.local.ports import free_port
from shared.database import Database, parse_address
from shared.errors import DatabaseUnavailable, SettingsError
from shared.migrations import migrate
from shared.settings import Settings
from shared.tables import import_ledger, metadata, placements
from tests.fixtures.waiting import eventually

BACKENDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=BACKENDS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with the address of an empty database."""
    if request.param == "sqlite":
        return Settings(database=f"sqlite:///{tmp_path / 'a folder' / 'attune.db'}")
    return Settings(database=request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    await migrate(settings)
    async with Database.open(settings) as opened:
        yield opened


def placement(name: str, n: int) -> dict[str, Any]:
    return {"placement": name, "objective": "click", "n": n, "changed_at": 1}


async def numbers(database: Database) -> dict[str, int]:
    async with database.reading() as connection:
        rows = await connection.execute(select(placements))
        return {row.placement: row.n for row in rows}


async def test_models_and_migrated_schema_do_not_differ(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_at_the_same_time_and_again_is_safe(settings: Settings) -> None:
    await asyncio.gather(*(migrate(settings) for _ in range(4)))
    async with Database.open(settings) as database:
        async with database.begin() as connection:
            await connection.execute(placements.insert(), placement("kept", 1))
        await migrate(settings)
        assert await numbers(database) == {"kept": 1}
        async with database.reading() as connection:
            found = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert set(found) == {*metadata.tables, "alembic_version"}


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.begin() as connection:
            await connection.execute(placements.insert(), placement("lost", 1))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await write_and_fail()
    assert await numbers(database) == {}


async def test_reading_keeps_nothing(database: Database) -> None:
    async with database.reading() as connection:
        await connection.execute(placements.insert(), placement("lost", 1))
    assert await numbers(database) == {}


async def test_upsert_overwrites_all_but_what_is_kept(database: Database) -> None:
    row = {
        "digest": "d",
        "mapping": "m",
        "file_name": "one",
        "status": "running",
        "rows_done": 1,
        "byte_position": 2**40,
        "counts": {},
        "started_at": 1,
        "updated_at": 1,
    }
    later = row | {"rows_done": 2, "started_at": 9, "updated_at": 9, "file_name": "two"}
    async with database.begin() as connection:
        statement = database.upsert(import_ledger, keep=["started_at"])
        await connection.execute(statement, row)
        await connection.execute(statement, later)
        found = (await connection.execute(select(import_ledger))).one()
    assert dict(found._mapping) == later | {"started_at": 1, "finished_at": None}


async def test_writers_that_read_first_wait_for_each_other(database: Database) -> None:
    async with database.begin() as connection:
        await connection.execute(placements.insert(), placement("count", 0))
    statement = select(placements.c.n).where(placements.c.placement == "count").with_for_update()

    async def count() -> None:
        async with database.begin() as connection:
            n = (await connection.execute(statement)).scalar_one()
            await asyncio.sleep(0)
            row = placement("count", n + 1)
            await connection.execute(database.upsert(placements), row)

    await asyncio.gather(*(count() for _ in range(20)))
    assert await numbers(database) == {"count": 20}


async def test_a_lock_is_held_by_one_at_a_time(settings: Settings, database: Database) -> None:
    inside: list[str] = []

    async def hold(name: str, release: asyncio.Event) -> None:
        async with Database.open(settings) as own, own.lock("publisher") as held:
            inside.append(name)
            await release.wait()
            await held()
            inside.remove(name)

    releases = {name: asyncio.Event() for name in ("one", "two")}
    tasks = [asyncio.create_task(hold(name, event)) for name, event in releases.items()]
    await eventually(lambda: inside)
    async with database.lock("something else"):
        assert len(inside) == 1, "other names are other locks"
    first = inside[0]
    releases[first].set()
    await eventually(lambda: inside and inside != [first])
    for event in releases.values():
        event.set()
    await asyncio.gather(*tasks)
    assert inside == []


async def test_a_lock_is_freed_when_its_holder_fails(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.lock("publisher"):
            raise RuntimeError("died")
    async with asyncio.timeout(10), database.lock("publisher") as held:
        await held()


async def test_it_answers(database: Database) -> None:
    await database.ping()


@pytest.mark.postgres
async def test_a_session_that_ended_no_longer_holds_its_lock(postgres_url: str) -> None:
    async def lose(database: Database) -> None:
        async with database.lock("publisher") as held:
            async with database.engine.connect() as connection:
                await connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            await held()

    async with Database.open(Settings(database=postgres_url)) as database:
        with pytest.raises(DatabaseUnavailable):
            await lose(database)
        async with asyncio.timeout(10), database.lock("publisher") as held:
            await held()


@pytest.mark.postgres
async def test_a_database_that_does_not_exist(postgres_url: str) -> None:
    settings = Settings(database=postgres_url + "_never_made")
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        await migrate(settings)


async def test_a_server_that_is_down() -> None:
    address = f"postgresql://attune@127.0.0.1:{free_port()}/attune"
    async with Database.open(Settings(database=address)) as database:
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            await database.ping()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "no address"),
        ("not an address", "no address"),
        ("unheard-of://host/name", "no address"),
        ("mysql://host/name", "not mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
async def test_addresses_that_are_refused(address: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        async with Database.open(replace(Settings(), database=address)):
            pass


def test_addresses_get_their_driver() -> None:
    assert parse_address("postgresql://u@h/n").drivername == "postgresql+asyncpg"
    assert parse_address("sqlite:///x.db").drivername == "sqlite+aiosqlite"
