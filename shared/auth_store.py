"""Keys in SQL: the tables api_keys and token_keys, and the snapshot that key rings load.

A revoked key keeps its row (who had access, until when) and is absent from snapshots. HS256
secrets have to lie here in clear, since verifying needs them: the database file is made readable
by its owner alone when one is added, and PostgreSQL's access rights have to do the same there.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import Table, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from shared.auth import ApiKey, KeySnapshot
from shared.database import Database
from shared.errors import DatabaseUnavailable, InvalidInput, NotFound
from shared.identity_tokens import HS256, TokenKey
from shared.tables import api_keys, token_keys


@dataclass(frozen=True, slots=True)
class KeptKey:
    """An API key as it is listed: never with its hash. Times are epoch ms."""

    id: str
    name: str
    kind: str
    scopes: list[str]
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class KeptTokenKey:
    """A token key as it is listed; `public_key` is None for HS256, whose key is secret."""

    kid: str
    algorithm: str
    created_at: int
    revoked_at: int | None
    public_key: str | None = field(default=None)


class KeyStore:
    """Reads and writes keys. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def snapshot(self) -> KeySnapshot:
        """All keys in force. The order is fixed, so equal contents give equal snapshots."""
        keys_query = select(api_keys).where(api_keys.c.revoked_at.is_(None)).order_by("id")
        tokens_query = select(token_keys).where(token_keys.c.revoked_at.is_(None)).order_by("kid")
        try:
            async with self._database.reading() as connection:
                keys = (await connection.execute(keys_query)).all()
                tokens = (await connection.execute(tokens_query)).all()
        except DBAPIError as error:
            # PostgreSQL reports a table that is not there yet as a programming error
            raise DatabaseUnavailable(f"keys cannot be read: {type(error.orig).__name__}") from None
        return KeySnapshot(
            tuple(
                ApiKey(
                    row.id,
                    row.kind,
                    frozenset(row.scopes),
                    bytes.fromhex(row.secret_hash),
                    row.name,
                )
                for row in keys
            ),
            tuple(TokenKey(row.kid, row.algorithm, row.key) for row in tokens),
        )

    async def add(self, key: ApiKey, now_ms: int) -> None:
        """Keep a new key; in force at the next refresh of each ring."""
        row = {
            "id": key.id,
            "name": key.name,
            "kind": key.kind,
            "scopes": sorted(key.scopes),
            "secret_hash": key.digest.hex(),
            "created_at": now_ms,
        }
        async with self._database.begin() as connection:
            await connection.execute(insert(api_keys), row)

    async def keys(self) -> list[KeptKey]:
        """All keys, revoked ones included, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [
            KeptKey(row.id, row.name, row.kind, row.scopes, row.created_at, row.revoked_at)
            for row in rows
        ]

    async def revoke(self, identifier: str, now_ms: int) -> int:
        """When the key stopped being valid; revoking again changes nothing. Raises NotFound."""
        return await self._revoke(api_keys, "id", identifier, now_ms)

    async def add_token_key(self, key: TokenKey, now_ms: int) -> None:
        """Keep a token key. Raises InvalidInput where its kid was used before."""
        if key.algorithm == HS256:
            restrict_file(self._database)
        row = {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "key": key.verification_key,
            "created_at": now_ms,
        }
        try:
            async with self._database.begin() as connection:
                await connection.execute(insert(token_keys), row)
        except IntegrityError:
            raise InvalidInput(f"the kid {key.kid!r} is taken; revoked ones stay taken") from None

    async def token_keys(self) -> list[KeptTokenKey]:
        """All token keys, revoked ones included, oldest first; no secrets."""
        query = select(token_keys).order_by(token_keys.c.created_at, token_keys.c.kid)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [
            KeptTokenKey(
                row.kid,
                row.algorithm,
                row.created_at,
                row.revoked_at,
                None if row.algorithm == HS256 else row.key,
            )
            for row in rows
        ]

    async def revoke_token_key(self, kid: str, now_ms: int) -> int:
        """When the token key stopped being valid. Raises NotFound."""
        return await self._revoke(token_keys, "kid", kid, now_ms)

    async def _revoke(self, table: Table, column: str, value: str, now_ms: int) -> int:
        found = table.c[column] == value
        async with self._database.begin() as connection:
            await connection.execute(
                update(table).where(found, table.c.revoked_at.is_(None)).values(revoked_at=now_ms)
            )
            revoked_at = (
                await connection.execute(select(table.c.revoked_at).where(found))
            ).scalar()
        if revoked_at is None:
            raise NotFound(f"no key with the {column} {value!r}")
        return int(revoked_at)


def restrict_file(database: Database) -> None:
    """Make a SQLite file, and the logs beside it, readable by their owner alone."""
    if not database.is_sqlite:
        return
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.chmod(f"{database.engine.url.database}{suffix}", 0o600)
