"""The catalogue in SQL: what the admin endpoints write and the publisher reads.

Invariant: a change and its row in `catalogue_outbox` are one transaction, so whatever is committed
will be published, whichever process dies, and when. Rows are written in the order of their keys,
which keeps concurrent writers on PostgreSQL from waiting for each other in a circle.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.recommend.catalogue.kinds import KINDS, Kind, kind_of
from shared.catalogue import Change, encode, key_of
from shared.database import Database
from shared.errors import NotFound
from shared.tables import catalogue_outbox, metadata


@dataclass(frozen=True, slots=True)
class Pending:
    """A key to publish and what to publish under it; None deletes."""

    key: str
    revision: int
    value: bytes | None


class CatalogueRepository:
    """Every method is one transaction. All raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def get(self, kind: Kind, id_: str) -> Change:
        """What stands under the id. Raises NotFound."""
        async with self.database.reading() as connection:
            return await _one(connection, kind, id_, lock=False)

    async def page(self, kind: Kind, after: str | None, limit: int) -> list[Change]:
        """Up to `limit` in the order of their ids, those after `after`."""
        identity = _identity(kind)
        statement = select(_table(kind)).order_by(identity).limit(limit)
        if after is not None:
            statement = statement.where(identity > after)
        async with self.database.reading() as connection:
            return [kind.change(row) for row in await connection.execute(statement)]

    async def count(self, kind: Kind) -> int:
        """How many there are."""
        async with self.database.reading() as connection:
            statement = select(func.count()).select_from(_table(kind))
            return int((await connection.execute(statement)).scalar_one())

    async def put(self, changes: Iterable[Change]) -> None:
        """Write all, or none; of several with one key the last."""
        last = {key_of(change): change for change in changes}
        if not last:
            return
        rows: dict[str, list[dict[str, Any]]] = {}
        for key in sorted(last):
            kind = kind_of(last[key])
            rows.setdefault(kind.name, []).append(kind.row(last[key]))
        async with self.database.begin() as connection:
            for kind in KINDS:
                if kind.name in rows:
                    await connection.execute(self.database.upsert(_table(kind)), rows[kind.name])
            await self._mark(connection, last)

    async def revise(self, kind: Kind, id_: str, revision: Callable[[Change], Change]) -> Change:
        """Replace what stands under the id by what `revision` makes of it, which no other writer
        can come between. Raises NotFound, and whatever `revision` raises."""
        async with self.database.begin() as connection:
            change = revision(await _one(connection, kind, id_, lock=True))
            await connection.execute(self.database.upsert(_table(kind)), [kind.row(change)])
            await self._mark(connection, [kind.key(id_)])
        return change

    async def delete(self, kind: Kind, id_: str) -> None:
        """Raises NotFound."""
        async with self.database.begin() as connection:
            found = await connection.execute(delete(_table(kind)).where(_identity(kind) == id_))
            if found.rowcount == 0:
                raise NotFound(f"there is no {kind.name} {id_!r}")
            await self._mark(connection, [kind.key(id_)])

    async def changed_at(self) -> dict[str, int]:
        """When each thing was changed, by topic key."""
        stamps: dict[str, int] = {}
        async with self.database.reading() as connection:
            for kind in KINDS:
                statement = select(_identity(kind), _table(kind).c.changed_at)
                for id_, changed_at in await connection.execute(statement):
                    stamps[kind.key(id_)] = changed_at
        return stamps

    async def mark(self, keys: Iterable[str]) -> None:
        """Have the present state of these keys published again."""
        async with self.database.begin() as connection:
            await self._mark(connection, keys)

    async def pending(self, limit: int) -> list[Pending]:
        """Up to `limit` keys that have still to be published, with their present state."""
        statement = select(catalogue_outbox).order_by(catalogue_outbox.c.key).limit(limit)
        async with self.database.reading() as connection:
            marks = [(row.key, row.revision) for row in await connection.execute(statement)]
            values = await _values(connection, [key for key, _ in marks]) if marks else {}
        return [Pending(key, revision, values.get(key)) for key, revision in marks]

    async def published(self, done: Sequence[Pending]) -> None:
        """Forget what the log has acknowledged; a key that changed meanwhile stays to be
        published."""
        statement = delete(catalogue_outbox).where(
            catalogue_outbox.c.key == bindparam("done_key"),
            catalogue_outbox.c.revision == bindparam("done_revision"),
        )
        rows = [
            {"done_key": pending.key, "done_revision": pending.revision}
            for pending in sorted(done, key=lambda pending: pending.key)
        ]
        if rows:
            async with self.database.begin() as connection:
                await connection.execute(statement, rows)

    async def _mark(self, connection: AsyncConnection, keys: Iterable[str]) -> None:
        rows = [{"key": key, "revision": 1} for key in sorted(keys)]
        statement = self.database.insert(catalogue_outbox)
        statement = statement.on_conflict_do_update(
            index_elements=[catalogue_outbox.c.key],
            set_={"revision": catalogue_outbox.c.revision + 1},
        )
        if rows:
            await connection.execute(statement, rows)


def _table(kind: Kind) -> Table:
    return metadata.tables[kind.plural]


def _identity(kind: Kind) -> Any:
    return _table(kind).c[kind.name]


async def _one(connection: AsyncConnection, kind: Kind, id_: str, *, lock: bool) -> Change:
    statement = select(_table(kind)).where(_identity(kind) == id_)
    if lock:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(f"there is no {kind.name} {id_!r}")
    return kind.change(row)


async def _values(connection: AsyncConnection, keys: Sequence[str]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for kind in KINDS:
        ids = [key.removeprefix(kind.prefix) for key in keys if key.startswith(kind.prefix)]
        if ids:
            found = await connection.execute(select(_table(kind)).where(_identity(kind).in_(ids)))
            for row in found:
                change = kind.change(row)
                values[key_of(change)] = encode(change)
    return values
