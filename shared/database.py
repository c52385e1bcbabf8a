"""The SQL database: one engine a process, opened in its lifespan and passed to repositories.

SQLite by default (write-ahead log, so readers and one writer do not wait for each other),
PostgreSQL in production; the address alone decides. Only repository modules issue SQL.
"""

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
from sqlalchemy import Connection, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.errors import DatabaseUnavailable, SettingsError
from shared.settings import Settings

BUSY_TIMEOUT_MS: Final = 10_000
"""How long a SQLite writer waits for another one."""
LOCK_POLL_S: Final = 0.05
Held: TypeAlias = Callable[[], Awaitable[None]]
_IMMEDIATE: Final = "attune_immediate"


class Database:
    """An engine and its transactions. Invariant: `begin` commits all of its block or nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["Database"]:
        """The database at `settings.database`; a SQLite file's folder is made.

        Connects lazily, so a server that is down shows at the first statement. Raises
        SettingsError where the address names no database that Attune speaks to.
        """
        url = parse_address(settings.database)
        engine = _sqlite_engine(url) if _is_sqlite(url) else _postgresql_engine(url)
        try:
            yield cls(engine)
        finally:
            await engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed at the end, rolled back on an exception.

        On SQLite it takes the write lock at once (waiting for it), because a transaction that
        reads first and writes later is refused when another writer came between. Raises
        DatabaseUnavailable.
        """
        with unavailable():
            async with self.engine.connect() as connection:
                await connection.execution_options(**{_IMMEDIATE: True})
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot to read from; what is written in it is rolled back."""
        with unavailable():
            async with self.engine.connect() as connection:
                yield connection

    async def ping(self) -> None:
        """Whether the database answers, for readiness. Raises DatabaseUnavailable."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    def insert(self, table: Table) -> Any:
        """INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def upsert(self, table: Table, *, keep: Iterable[str] = ()) -> Any:
        """INSERT that overwrites all columns but the key and `keep` where the key exists."""
        statement = self.insert(table)
        fixed = {column.name for column in table.primary_key} | set(keep)
        updates = {
            column.name: statement.excluded[column.name]
            for column in table.columns
            if column.name not in fixed
        }
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=updates
        )

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator["Held"]:
        """Held by one process at a time among all that share the database; waits for it.

        Freed by the system when the holder dies: an advisory lock of a PostgreSQL session, or a
        lock on a file beside the SQLite file. Not reentrant. Yields a check that raises
        DatabaseUnavailable when the session, and so the lock, is gone.
        """
        if self.is_sqlite:
            async with _file_lock(f"{self.engine.url.database}.{name}.lock"):
                yield _held
            return
        async with _session_lock(self.engine, name) as held:
            yield held


def parse_address(address: str) -> URL:
    """The address of SQLite or PostgreSQL, with its async driver. Raises SettingsError."""
    try:
        url = make_url(address)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise SettingsError("ATTUNE_DATABASE: no address of a database") from None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    if backend not in drivers:
        raise SettingsError(f"ATTUNE_DATABASE: sqlite or postgresql, not {backend}")
    return url.set(drivername=drivers[backend])


@contextmanager
def unavailable() -> Iterator[None]:
    """Turns a database that does not answer into DatabaseUnavailable; its address is not told."""
    try:
        yield
    except DBAPIError as error:
        if not _lost_connection(error):
            raise
        raise DatabaseUnavailable(f"the database does not answer: {error.orig}") from error
    except (ConnectionError, TimeoutError) as error:
        raise DatabaseUnavailable(f"the database does not answer: {error}") from error


def _lost_connection(error: DBAPIError) -> bool:
    # asyncpg's refusals to connect are of no narrower kind than DBAPIError; a session that ends
    # while a statement is on its way shows as an error inside the driver.
    return (
        isinstance(error, OperationalError | InterfaceError)
        or type(error) is DBAPIError
        or isinstance(getattr(error.orig, "__cause__", None), asyncpg.InternalClientError)
    )


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sqlite_engine(url: URL) -> AsyncEngine:
    if url.database in {None, "", ":memory:"}:
        raise SettingsError("ATTUNE_DATABASE: SQLite needs a file, the services share it")
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, json_serializer=_compact)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    # The driver's own BEGIN comes too late (at the first write): _begin_sqlite says it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _postgresql_engine(url: URL) -> AsyncEngine:
    # pool_pre_ping: a server that restarted costs no request its answer.
    return create_async_engine(
        url, json_serializer=_compact, pool_pre_ping=True, pool_size=8, max_overflow=8
    )


async def _held() -> None:
    """A file lock is held as long as its process lives."""


@asynccontextmanager
async def _file_lock(path: str) -> AsyncIterator[None]:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while not _taken(descriptor):  # noqa: ASYNC110  (another process frees it)
            await asyncio.sleep(LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)  # frees the lock


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def _session_lock(engine: AsyncEngine, name: str) -> AsyncIterator[Held]:
    key = {"key": int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)}
    take = text("SELECT pg_try_advisory_lock(:key)")
    with unavailable():
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")

            async def held() -> None:
                with unavailable():
                    await connection.execute(text("SELECT 1"))

            while not (await connection.execute(take, key)).scalar_one():  # noqa: ASYNC110
                await asyncio.sleep(LOCK_POLL_S)
            try:
                yield held
            finally:
                # Ending the session frees the lock, also where the session cannot be asked to.
                await connection.invalidate()
